"""Python values to Arrow arrays: fast where all values fit their column's type, one by one where some do not.

Arrays are made from buffers rather than by ``pyarrow.array``: that (like ``pyarrow.scalar``) imports pandas, which
costs a second at every start, and it takes twice as long for the long texts of JSON columns.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa

from klaviyo_pipeline.klaviyo.columns import ColumnType
from klaviyo_pipeline.klaviyo.errors import UnreadablePageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

TIMESTAMP_TYPE = pa.timestamp("us", "UTC")
ARROW_TYPES: dict[ColumnType, pa.DataType] = {
    ColumnType.STRING: pa.string(),
    ColumnType.INTEGER: pa.int64(),
    ColumnType.FLOAT: pa.float64(),
    ColumnType.BOOLEAN: pa.bool_(),
    ColumnType.TIMESTAMP: TIMESTAMP_TYPE,
    ColumnType.JSON: pa.string(),
}
_NONE = type(None)
_FITTING: dict[ColumnType, frozenset[type]] = {
    ColumnType.STRING: frozenset({str, _NONE}),
    ColumnType.INTEGER: frozenset({int, _NONE}),
    ColumnType.FLOAT: frozenset({int, float, str, _NONE}),
    ColumnType.BOOLEAN: frozenset({bool, _NONE}),
    ColumnType.TIMESTAMP: frozenset({str, _NONE}),
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def convert(values: list[Any], kind: ColumnType) -> tuple[pa.Array, dict[int, bytes]]:
    """An array of the column's type, and by row the JSON text of each value that does not fit it."""
    if values.count(None) == len(values):
        return pa.nulls(len(values), ARROW_TYPES[kind]), {}
    if kind is ColumnType.JSON:
        return _json_texts(values), {}
    if _FITTING[kind].issuperset(map(type, values)):
        try:
            if kind is ColumnType.TIMESTAMP:
                return string_array(values).cast(TIMESTAMP_TYPE), {}
            return _MAKE[kind](values), {}
        except (pa.ArrowException, OverflowError, ValueError):
            pass
    fitted: list[Any] = []
    refused: dict[int, bytes] = {}
    for row, value in enumerate(values):
        try:
            fitted.append(None if value is None else _FIT[kind](value))
        except (TypeError, ValueError, OverflowError):
            fitted.append(None)
            refused[row] = msgspec.json.encode(value)
    return _MAKE[kind](fitted), refused


def constant_array(value: Any, kind: ColumnType, rows: int) -> pa.Array:  # noqa: ANN401 - of the kind
    """The same value so many times."""
    return _MAKE[kind]([value] * rows)


def microseconds(time: datetime) -> int:
    """An aware time as Arrow stores it."""
    return (time - _EPOCH) // _MICROSECOND


def stored_times(times: pa.Array) -> np.ndarray[Any, np.dtype[np.int64]]:
    """A timestamp array's microseconds since 1970, whatever its nulls (``to_numpy`` would import pandas)."""
    import numpy as np

    return np.frombuffer(times.buffers()[1], np.int64, len(times), times.offset * 8)


def from_microseconds(stored: int) -> datetime:
    """An aware UTC time from what Arrow stores (``as_py`` would import pandas)."""
    return _EPOCH + int(stored) * _MICROSECOND


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
    if not joined.isascii():
        return _texts([None if value is None else value.encode() for value in values])
    return _from_parts(values, filled, joined.encode())


def _json_texts(values: list[msgspec.Raw | None]) -> pa.Array:
    """JSON in Klaviyo's own words, joined without copying each; its null is ours."""
    sizes = set(map(len, [value for value in values if value is not None]))
    if len(b"null") in sizes:
        values = [None if value is None or bytes(value) == b"null" else value for value in values]
    return _texts(values)


def _texts(values: Sequence[bytes | msgspec.Raw | None]) -> pa.Array:
    """Texts in UTF-8 as an Arrow array.

    Raises:
        UnreadablePageError: for bytes that are no UTF-8.
    """
    filled = [b"" if value is None else value for value in values]
    texts = _from_parts(values, filled, b"".join(filled))
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid as error:
        raise UnreadablePageError(f"text that is not UTF-8: {error}") from None
    return texts


def _from_parts(values: Sequence[Any], filled: Sequence[Any], joined: bytes) -> pa.Array:
    # The standard library's arrays: for a page's few hundred rows numpy takes longer to get going.
    try:
        offsets = pa.py_buffer(array("i", accumulate(map(len, filled), initial=0)))
    except OverflowError:
        raise UnreadablePageError("more than 2 GB of text in one column of a page") from None
    return pa.Array.from_buffers(pa.string(), len(values), [_validity(values), offsets, pa.py_buffer(joined)])


def _numbers(values: list[Any], code: str, kind: pa.DataType) -> pa.Array:
    numbers = array(code, [0 if value is None else value for value in values])
    return pa.Array.from_buffers(kind, len(values), [_validity(values), pa.py_buffer(numbers)])


def _floats(values: list[Any]) -> pa.Array:
    # Klaviyo gives latitude and longitude as a number or as text (OpenAPI: oneOf string, number).
    return _numbers([None if value is None else float(value) for value in values], "d", pa.float64())


def _booleans(values: list[Any]) -> pa.Array:
    bits = _bits([bool(value) for value in values])
    return pa.Array.from_buffers(pa.bool_(), len(values), [_validity(values), bits])


def _times(values: list[datetime | None]) -> pa.Array:
    return _numbers([None if value is None else microseconds(value) for value in values], "q", TIMESTAMP_TYPE)


def _validity(values: Sequence[Any]) -> pa.Buffer | None:
    return _bits([value is not None for value in values]) if None in values else None


def _bits(flags: list[bool]) -> pa.Buffer:
    import numpy as np

    return pa.py_buffer(np.packbits(np.array(flags, bool), bitorder="little"))


_MAKE: dict[ColumnType, Callable[[list[Any]], pa.Array]] = {
    ColumnType.STRING: string_array,
    ColumnType.INTEGER: lambda values: _numbers(values, "q", pa.int64()),
    ColumnType.FLOAT: _floats,
    ColumnType.BOOLEAN: _booleans,
    ColumnType.TIMESTAMP: _times,
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
    return float(value)


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
}
