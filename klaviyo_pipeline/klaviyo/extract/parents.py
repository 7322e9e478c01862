"""The rows that a fetch follows from, such as the events whose profiles are read, as their keeper offers them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pyarrow as pa


class OpenedParents(Protocol):
    """Rows that are held for a while: each has an id, a key that names another row, and what is carried over."""

    def key_groups(self) -> Iterator[list[str]]:
        """The different keys, sorted, in groups; a group has the same keys in the next run of the same rows."""
        ...

    def joined(
        self, others: Callable[[], pa.RecordBatchReader], carries: Sequence[tuple[str, str]]
    ) -> Iterator[pa.RecordBatch]:
        """Each row, with those columns of it that are carried, and the other row that its key names."""
        ...

    def unmatched(self, keys: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        """The rows whose key is none of these."""
        ...


class Parents(Protocol):
    """Rows that can be opened, also twice."""

    def opened(self) -> AbstractContextManager[OpenedParents]:
        """The rows as they are now, until the end of the block."""
        ...
