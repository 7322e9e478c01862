"""Python values to Arrow arrays: fast if all values fit their column's type, else value by value.

Arrays are made from buffers rather than by ``pyarrow.array``: that (like ``pyarrow.scalar``) imports pandas, which
costs a second at every start, and it takes twice as long for the long texts of JSON columns.
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate, chain, repeat
from operator import is_not
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa

from klaviyo_pipeline.klaviyo.catalogue.columns import ColumnType
from klaviyo_pipeline.klaviyo.errors import UnreadablePageError
from klaviyo_pipeline.times import from_microseconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np

TIMESTAMP_TYPE = pa.timestamp("us", "UTC")
ARROW_TYPES: dict[ColumnType, pa.DataType] = {
    ColumnType.STRING: pa.string(),
    ColumnType.INTEGER: pa.int64(),
    ColumnType.FLOAT: pa.float64(),
    ColumnType.BOOLEAN: pa.bool_(),
    ColumnType.TIMESTAMP: TIMESTAMP_TYPE,
    ColumnType.DATE: pa.date32(),
    ColumnType.JSON: pa.json_(),
}
_NONE = type(None)
_NOTHING = pa.nulls(0)
_FITTING: dict[ColumnType, frozenset[type]] = {
    ColumnType.STRING: frozenset({str, _NONE}),
    ColumnType.INTEGER: frozenset({int, _NONE}),
    ColumnType.FLOAT: frozenset({int, float, str, _NONE}),
    ColumnType.BOOLEAN: frozenset({bool, _NONE}),
    ColumnType.TIMESTAMP: frozenset({str, _NONE}),
    ColumnType.DATE: frozenset({date, _NONE}),
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST_TIME = (datetime(2, 1, 1, tzinfo=UTC) - _EPOCH) // _MICROSECOND
_LAST_TIME = (datetime(9999, 1, 1, tzinfo=UTC) - _EPOCH) // _MICROSECOND
"""Between these Arrow and Python read every time alike, whatever its offset."""
_NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*", re.ASCII)


def convert(columns: Sequence[tuple[list[Any], ColumnType]]) -> list[tuple[pa.Array, dict[int, bytes]]]:
    """For each column's values an array of its type, and by row the JSON text of each value that does not fit it.

    Columns of one type become one long array, of which each is a slice: a page has few rows and many columns, and
    making an array costs more than filling it.
    """
    converted: list[tuple[pa.Array, dict[int, bytes]]] = [(_NOTHING, {})] * len(columns)
    alike: dict[ColumnType, list[int]] = {}
    for i, (values, kind) in enumerate(columns):
        if values.count(None) == len(values):
            converted[i] = pa.nulls(len(values), ARROW_TYPES[kind]), {}
        elif kind is ColumnType.JSON or _FITTING[kind].issuperset(map(type, values)):
            alike.setdefault(kind, []).append(i)
        else:
            converted[i] = _one_by_one(values, kind)
    for kind, members in alike.items():
        try:
            together = _MAKE[kind](list(chain.from_iterable(columns[i][0] for i in members)))
        except (pa.ArrowException, OverflowError, ValueError):
            for i in members:
                converted[i] = _one_by_one(columns[i][0], kind)
            continue
        first = 0
        for i in members:
            rows = len(columns[i][0])
            converted[i] = together.slice(first, rows), {}
            first += rows
    return converted


def _one_by_one(values: list[Any], kind: ColumnType) -> tuple[pa.Array, dict[int, bytes]]:
    fitted: list[Any] = []
    refused: dict[int, bytes] = {}
    for row, value in enumerate(values):
        try:
            fitted.append(None if value is None else _FIT[kind](value))
        except (TypeError, ValueError, OverflowError):
            fitted.append(None)
            refused[row] = msgspec.json.encode(value)
    return _MAKE_FITTED[kind](fitted), refused


def copied(array: pa.Array) -> pa.Array:
    """A copy that shares no memory with other arrays.

    The arrays of ``convert`` are slices of longer ones. Arrow writes a slice with up to 63 bytes of what stands behind
    it: values of another column, which may not be kept.
    """
    if array.null_count == len(array):
        return pa.nulls(len(array), array.type)
    if isinstance(array, pa.ExtensionArray):
        return json_array(array.storage.to_pylist())
    if array.type == pa.string():
        return string_array(array.to_pylist())
    valid = _bits(array.is_valid().to_pylist(), len(array)) if array.null_count else None
    if array.type == pa.bool_():
        return pa.Array.from_buffers(array.type, len(array), [valid, _bits(map(bool, array.to_pylist()), len(array))])
    width = array.type.bit_width // 8
    content = array.buffers()[1].slice(array.offset * width, len(array) * width).to_pybytes()
    return pa.Array.from_buffers(array.type, len(array), [valid, pa.py_buffer(content)])


def boolean_array(values: list[bool]) -> pa.Array:
    """Truth values as an Arrow array."""
    return _booleans(values)


def constant_array(value: Any, kind: ColumnType, rows: int) -> pa.Array:  # noqa: ANN401 - of the kind
    """An array of one repeated value."""
    return _MAKE_FITTED[kind]([value] * rows)


def microseconds(time: datetime) -> int:
    """An aware time as Arrow stores it."""
    return (time - _EPOCH) // _MICROSECOND


def stored_times(times: pa.Array) -> np.ndarray[Any, np.dtype[np.int64]]:
    """A timestamp array's microseconds since 1970, also with nulls (``to_numpy`` would import pandas)."""
    import numpy as np

    return np.frombuffer(times.buffers()[1], np.int64, len(times), times.offset * 8)


def python_rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """A batch's rows as dictionaries, with aware UTC times (``to_pylist`` would import pandas for these)."""
    columns = {}
    for name, values in zip(batch.schema.names, batch.columns, strict=True):
        if values.type.equals(TIMESTAMP_TYPE):
            valid, stored = values.is_valid().to_pylist(), stored_times(values)
            columns[name] = [
                from_microseconds(time) if there else None for there, time in zip(valid, stored, strict=True)
            ]
        else:
            columns[name] = values.to_pylist()
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def times_within(times: pa.Array, start: datetime | None, end: datetime | None) -> pa.Array:
    """Which times lie in ``[start, end)``; None is unbounded, and a missing time lies everywhere."""
    import numpy as np

    stored = stored_times(times)
    within = np.full(len(stored), True)
    if start is not None:
        within &= stored >= microseconds(start)
    if end is not None:
        within &= stored < microseconds(end)
    if times.null_count:
        within |= [not valid for valid in times.is_valid().to_pylist()]
    return _booleans(within.tolist())


def string_array(values: list[str | None]) -> pa.Array:
    """Texts as an Arrow array."""
    filled = [value or "" for value in values]
    joined = "".join(filled)
    if joined.isascii():
        return _from_parts(values, map(len, filled), joined.encode())
    return _from_parts(values, map(len, map(str.encode, filled)), joined.encode())


def json_array(values: list[str | None]) -> pa.Array:
    """JSON texts as an Arrow array of JSON."""
    return pa.ExtensionArray.from_storage(pa.json_(), string_array(values))


def _json_as_sent(values: list[msgspec.Raw | None]) -> pa.Array:
    """JSON in Klaviyo's own words, joined without copying each; its null is ours.

    msgspec has checked its grammar, so that as Arrow's JSON type DuckDB need not parse it again; not its UTF-8.

    Raises:
        UnreadablePageError: for bytes that are not UTF-8.
    """
    filled = [b"" if value is None else value for value in values]
    sizes = list(map(len, filled))
    if len(b"null") in sizes:
        values = [None if value is None or bytes(value) == b"null" else value for value in values]
        filled = [b"" if value is None else value for value in values]
        sizes = list(map(len, filled))
    texts = _from_parts(values, sizes, b"".join(filled))
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid as error:
        raise UnreadablePageError(f"text that is not UTF-8: {error}") from None
    return pa.ExtensionArray.from_storage(pa.json_(), texts)


def _from_parts(values: Sequence[Any], sizes: Iterable[int], joined: bytes) -> pa.Array:
    # The standard library's arrays: for a page's few hundred rows numpy takes longer to get going.
    try:
        offsets = pa.py_buffer(array("i", accumulate(sizes, initial=0)))
    except OverflowError:
        raise UnreadablePageError("more than 2 GB of text in the columns of a page") from None
    return pa.Array.from_buffers(pa.string(), len(values), [_validity(values), offsets, pa.py_buffer(joined)])


def _numbers(values: list[Any], code: str, kind: pa.DataType) -> pa.Array:
    numbers = array(code, [0 if value is None else value for value in values])
    return pa.Array.from_buffers(kind, len(values), [_validity(values), pa.py_buffer(numbers)])


def _floats(values: list[Any]) -> pa.Array:
    # Klaviyo gives latitude and longitude as a number or as text (OpenAPI: oneOf string, number).
    numbers = [_number_in(value) if type(value) is str else value for value in values]
    return _numbers(numbers, "d", pa.float64())


def _number_in(text: str) -> float:
    """A text's number. Python also reads ``nan``, ``inf``, ``1_000`` and the digits of any script; JSON does not."""
    number = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _booleans(values: list[Any]) -> pa.Array:
    bits = _bits(map(bool, values), len(values))
    return pa.Array.from_buffers(pa.bool_(), len(values), [_validity(values), bits])


def _times_as_sent(values: list[str | None]) -> pa.Array:
    """Times by Arrow's cast, which knows years that Python has no aware time for.

    Raises:
        OverflowError: for a time near or beyond these years, to be looked at by itself.
    """
    times = string_array(values).cast(TIMESTAMP_TYPE)
    stored = stored_times(times)
    if stored.min() < _FIRST_TIME or stored.max() > _LAST_TIME:
        raise OverflowError
    return times


def _times(values: list[datetime | None]) -> pa.Array:
    return _numbers([None if value is None else microseconds(value) for value in values], "q", TIMESTAMP_TYPE)


def date_array(values: list[date | None]) -> pa.Array:
    """Days as an Arrow array."""
    days = [None if value is None else (value - _EPOCH.date()).days for value in values]
    return _numbers(days, "i", pa.date32())


def _validity(values: Sequence[Any]) -> pa.Buffer | None:
    return _bits(map(is_not, values, repeat(None)), len(values)) if None in values else None


def _bits(flags: Iterable[bool], count: int) -> pa.Buffer:
    import numpy as np

    return pa.py_buffer(np.packbits(np.fromiter(flags, bool, count), bitorder="little"))


_MAKE_FITTED: dict[ColumnType, Callable[[list[Any]], pa.Array]] = {
    ColumnType.STRING: string_array,
    ColumnType.INTEGER: lambda values: _numbers(values, "q", pa.int64()),
    ColumnType.FLOAT: _floats,
    ColumnType.BOOLEAN: _booleans,
    ColumnType.TIMESTAMP: _times,
    ColumnType.DATE: date_array,
}
_MAKE: dict[ColumnType, Callable[[list[Any]], pa.Array]] = {
    **_MAKE_FITTED,
    ColumnType.TIMESTAMP: _times_as_sent,
    ColumnType.JSON: _json_as_sent,
}


def _string(value: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    if not isinstance(value, str):
        raise TypeError
    return value


def _integer(value: Any) -> int:  # noqa: ANN401
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise TypeError
    return value


def _float(value: Any) -> float:  # noqa: ANN401
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    return _number_in(value) if isinstance(value, str) else float(value)


def _boolean(value: Any) -> bool:  # noqa: ANN401
    if not isinstance(value, bool):
        raise TypeError
    return value


def _timestamp(value: Any) -> datetime:  # noqa: ANN401
    # Older revisions write a space for the T; a time without an offset is UTC, as all of Klaviyo's are.
    parsed = datetime.fromisoformat(_string(value))
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


_FIT: dict[ColumnType, Callable[[Any], Any]] = {
    ColumnType.STRING: _string,
    ColumnType.INTEGER: _integer,
    ColumnType.FLOAT: _float,
    ColumnType.BOOLEAN: _boolean,
    ColumnType.TIMESTAMP: _timestamp,
    ColumnType.DATE: lambda value: date.fromisoformat(_string(value)),
}
