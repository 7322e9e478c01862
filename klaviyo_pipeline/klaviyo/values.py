"""Python values to Arrow arrays: fast where all values fit their column's type, one by one where some do not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pyarrow as pa

from klaviyo_pipeline.klaviyo.columns import ColumnType
from klaviyo_pipeline.klaviyo.errors import UnreadablePageError

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


def convert(values: list[Any], kind: ColumnType) -> tuple[pa.Array, dict[int, bytes]]:
    """An array of the column's type, and by row the JSON text of each value that does not fit it."""
    if kind is ColumnType.JSON:
        return _json_array(values), {}
    if _FITTING[kind].issuperset(map(type, values)):
        try:
            if kind is ColumnType.TIMESTAMP:
                return pa.array(values, pa.string()).cast(TIMESTAMP_TYPE), {}
            return pa.array(values, ARROW_TYPES[kind]), {}
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
    return pa.array(fitted, ARROW_TYPES[kind]), refused


def _json_array(values: list[Any]) -> pa.Array:
    texts = [None if value is None else bytes(value) for value in values]
    if b"null" in texts:
        texts = [None if text == b"null" else text for text in texts]
    try:
        return pa.array(texts, pa.string())
    except pa.ArrowException as error:
        raise UnreadablePageError(f"text that is not UTF-8: {error}") from None


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
