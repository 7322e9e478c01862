"""What no column takes: kept as JSON in ``_extra``, and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

import msgspec
import pyarrow as pa

from klaviyo_pipeline.klaviyo.catalogue.columns import ColumnType
from klaviyo_pipeline.klaviyo.decode.arrays import ARROW_TYPES, json_array
from klaviyo_pipeline.klaviyo.decode.structs import Path
from klaviyo_pipeline.klaviyo.decode.undecodable import SetAside


class Extras:
    """What goes to ``_extra``: by row, values' JSON texts by path."""

    def __init__(self) -> None:
        self._rows: dict[int, dict[str, Any]] = {}
        self.unknown: Counter[str] = Counter()
        self.misfits: Counter[str] = Counter()

    def keep(self, row: int, path: Path, text: bytes, counter: Counter[str]) -> None:
        counter[".".join(path)] += 1
        node = self._rows.setdefault(row, {})
        for step in path[:-1]:
            node = node.setdefault(step, {})
        node[path[-1]] = msgspec.Raw(text)

    def set_aside(self, found: SetAside, left_out: Collection[str] = ()) -> None:
        for row, name, text in found.values:
            if name not in left_out:
                self.keep(row, (name,), msgspec.json.encode(text), self.misfits)
        if found.elsewhere:
            self.misfits["(not in rows)"] += found.elsewhere

    def column(self, rows: int) -> pa.Array:
        if not self._rows:
            return pa.nulls(rows, ARROW_TYPES[ColumnType.JSON])
        texts = {row: msgspec.json.encode(tree).decode() for row, tree in self._rows.items()}
        return json_array([texts.get(row) for row in range(rows)])
