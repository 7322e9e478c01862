"""Python values to Arrow arrays: fast where all values fit their column's type, one by one where some do not.

Arrays are made from buffers rather than by ``pyarrow.array``: that (like ``pyarrow.scalar``) imports pandas, which
costs a second at every start, and it takes twice as long for the long texts of JSON columns.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
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
    ColumnType.FLOAT: frozenset({int, float, _NONE}),
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
        texts = [None if value is None else bytes(value) for value in values]
        return _texts([None if text == b"null" else text for text in texts]), {}
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


def string_array(values: Sequence[str | None]) -> pa.Array:
    """Texts as an Arrow array."""
    joined = "".join([value for value in values if value])
    if not joined.isascii():
        return _texts([None if value is None else value.encode() for value in values])
    return _from_parts(values, joined.encode())


def _texts(values: Sequence[bytes | None]) -> pa.Array:
    """Texts in UTF-8 as an Arrow array.

    Raises:
        UnreadablePageError: for bytes that are no UTF-8.
    """
    array = _from_parts(values, b"".join([value for value in values if value]))
    try:
        array.validate(full=True)
    except pa.ArrowInvalid as error:
        raise UnreadablePageError(f"text that is not UTF-8: {error}") from None
    return array


def _from_parts(values: Sequence[str | bytes | None], joined: bytes) -> pa.Array:
    import numpy as np

    lengths = [len(value) if value is not None else 0 for value in values]
    offsets = np.zeros(len(values) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    if offsets[-1] > np.iinfo(np.int32).max:
        raise UnreadablePageError("more than 2 GB of text in one column of a page")
    buffers = [_validity(values), pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(joined)]
    return pa.Array.from_buffers(pa.string(), len(values), buffers)


def _numbers(values: list[Any], dtype: str, kind: pa.DataType) -> pa.Array:
    import numpy as np

    numbers = np.array([0 if value is None else value for value in values], dtype)
    return pa.Array.from_buffers(kind, len(values), [_validity(values), pa.py_buffer(numbers)])


def _booleans(values: list[Any]) -> pa.Array:
    bits = _bits([bool(value) for value in values])
    return pa.Array.from_buffers(pa.bool_(), len(values), [_validity(values), bits])


def _times(values: list[datetime | None]) -> pa.Array:
    return _numbers([None if value is None else microseconds(value) for value in values], "int64", TIMESTAMP_TYPE)


def _validity(values: Sequence[Any]) -> pa.Buffer | None:
    return _bits([value is not None for value in values]) if None in values else None


def _bits(flags: list[bool]) -> pa.Buffer:
    import numpy as np

    return pa.py_buffer(np.packbits(np.array(flags, bool), bitorder="little"))


_MAKE: dict[ColumnType, Callable[[list[Any]], pa.Array]] = {
    ColumnType.STRING: string_array,
    ColumnType.INTEGER: lambda values: _numbers(values, "int64", pa.int64()),
    ColumnType.FLOAT: lambda values: _numbers(values, "float64", pa.float64()),
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
    # Klaviyo gives latitude and longitude as a number or as text (OpenAPI: oneOf string, number).
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
