"""Values to Arrow: the fast way, all of a column at once, and the careful way, one by one, say the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from klaviyo_pipeline.klaviyo.catalogue.columns import ColumnType
from klaviyo_pipeline.klaviyo.decode.arrays import ARROW_TYPES, convert, python_rows
from klaviyo_pipeline_tests.soaking import examples

MISFITS: dict[ColumnType, Any] = {
    ColumnType.STRING: 7,
    ColumnType.INTEGER: "7",
    ColumnType.FLOAT: "seven",
    ColumnType.BOOLEAN: 1,
    ColumnType.TIMESTAMP: "yesterday",
}
"""Beside such a value, the others of its column are converted one by one."""

OFFSETS = st.sampled_from(["", "Z", "+00:00", "-00:00", "+01:00", "-12:00", "+14:00", "-0330", "+23:59", "+01:00:30"])
YEARS = st.sampled_from(["0000", "0001", "1969", "1970", "2026", "9999", "10000", "-001"])
DAYS = st.sampled_from(["-01-01", "-12-31", "-02-29", "-06-30", "0101", "-W01-1", "-1-1"])
CLOCKS = st.sampled_from(
    ["T00:00:00", "T23:59:59", " 23:59:59.999999", "T23:59:60", "T24:00:00", "T00:00", "", "T1:00", "T00:00:00.1234567"]
)
TIMES = st.builds(lambda *parts: "".join(parts), YEARS, DAYS, CLOCKS, OFFSETS) | st.sampled_from(
    ["", "infinity", "-infinity", "now", "epoch", "NaT", "null", " 2026-01-01", "٢٠٢٦-01-01"]
)
NUMBERS = st.sampled_from(
    ["NaN", "Infinity", "-inf", "1e999", "-1e999", "1e-999", "1_000", "٣", " 12 ", "+5", ".5", "5.", "0x10", "", "1,5"]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | TIMES
    | NUMBERS
    | st.sampled_from([2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**400])
    | st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat)
)
VALUES = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(st.text("ab", max_size=2), SCALARS, max_size=2)


def converted(values: list[Any], kind: ColumnType) -> list[tuple[Any, bytes | None]]:
    """Each value as its column has it, and the text that is kept of one that does not fit."""
    import pyarrow as pa

    ((array, refused),) = convert([(values, kind)])
    rows = python_rows(pa.RecordBatch.from_arrays([array], ["value"]))
    return [(row["value"], refused.get(number)) for number, row in enumerate(rows)]


def test_values_when_one_column_does_not_fit_then_those_of_every_other_kind_have_theirs() -> None:
    columns: list[tuple[list[Any], ColumnType]] = [
        (["yesterday"], ColumnType.TIMESTAMP),
        (["2026-11-20T00:00:00Z"], ColumnType.TIMESTAMP),
        ([2**70], ColumnType.INTEGER),
        ([7], ColumnType.INTEGER),
        (["seven"], ColumnType.FLOAT),
        ([7.5], ColumnType.FLOAT),
        ([True], ColumnType.BOOLEAN),
        (["text"], ColumnType.STRING),
        ([b'{"a":1}'], ColumnType.JSON),
    ]
    for order in (columns, columns[::-1]):
        cells = {
            (str(values), kind): (array.type, array.to_pylist(), refused)
            for (values, kind), (array, refused) in zip(order, convert(order), strict=True)
        }
        assert [(cells[str(values), kind][1:]) for values, kind in columns] == [
            ([None], {0: b'"yesterday"'}),
            ([datetime(2026, 11, 20, tzinfo=UTC)], {}),
            ([None], {0: str(2**70).encode()}),
            ([7], {}),
            ([None], {0: b'"seven"'}),
            ([7.5], {}),
            ([True], {}),
            (["text"], {}),
            (['{"a":1}'], {}),
        ]
        assert all(found[0] == ARROW_TYPES[kind] for (_values, kind), found in cells.items())


@pytest.mark.soak
@pytest.mark.parametrize("kind", MISFITS)
def test_values_when_converted_at_once_or_one_by_one_then_are_the_same(kind: ColumnType) -> None:
    fitting = {
        ColumnType.STRING: st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
        ColumnType.INTEGER: st.none() | st.integers(-(2**65), 2**65),
        ColumnType.FLOAT: st.none() | NUMBERS | st.floats(allow_nan=False, allow_infinity=False) | st.integers(),
        ColumnType.BOOLEAN: st.none() | st.booleans(),
        ColumnType.TIMESTAMP: st.none() | TIMES | st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
    }[kind]

    @examples(120, settings(database=None))
    @given(st.lists(fitting, min_size=1, max_size=3) | st.lists(VALUES, min_size=1, max_size=4))
    @example(["0000-12-31T23:00:00-02:00"])
    @example(["0001-01-01T00:00:00+01:00"])
    @example(["9999-12-31T23:59:59-12:00"])
    @example(["NaN"])
    def check(values: list[Any]) -> None:
        assert converted(values, kind) == converted([*values, MISFITS[kind]], kind)[:-1]
        for value, (found, kept) in zip(values, converted(values, kind), strict=True):
            # What is not in the column is kept as it came; what is there need not be kept.
            assert (found is None) == (value is None or kept is not None)
            assert kept is None or json.loads(kept) == value

    check()
