"""Pages of rows in a file on disk, each with a checksum.

A file is an Arrow IPC stream of pages. Arrow's readers do not check data: one flipped bit can crash the process or
change a value without an error. So the reader compares the bytes with their checksum in memory before it decodes them.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa

_CHUNK_BYTES = 500_000
"""Pages are read so many bytes at a time: less costs a stream for each page, more leaves the processor's cache."""


FileState = tuple[int, int, int]
"""A file's inode, size and time of change (in nanoseconds): another one when it is written to."""
Verified = dict[Path, FileState]
"""Files whose pages were all verified, and their state then."""


class DamagedPagesError(Exception):
    """A file does not hold the pages that were written to it. The message names the file and the fault."""


class StagedPage(NamedTuple):
    """A page in a file: the byte where it ends, its rows, and the CRC-32 of its bytes."""

    end: int
    rows: int
    checksum: int


@dataclass(frozen=True)
class StagedFile:
    """A file of rows: an Arrow IPC stream (``.arrows``) or a Parquet file (``.parquet``).

    Args:
        path: Where it is.
        valid_bytes: For a stream without ``pages``: how far its writer vouches for it, at the end of a batch. What
            follows (the torn tail of a killed writer) is not read. None: all of it.
        pages: The pages that its writer vouches for, in order. Given, every page is verified before it is decoded.
    """

    path: Path
    valid_bytes: int | None = None
    pages: Sequence[StagedPage] = ()

    @property
    def rows(self) -> int:
        """Rows of all pages."""
        return sum(page.rows for page in self.pages)


def checksum(content: bytes | bytearray | memoryview, after: int = 0) -> int:
    """The CRC-32 of bytes. ``after`` is the checksum of the bytes before them."""
    return zlib.crc32(content, after)


def encode_page(batch: pa.RecordBatch, *, first: bool) -> memoryview:
    """The bytes of a page to append to a file. The first page of a file has the schema."""
    import pyarrow as pa

    # lz4 costs next to nothing and takes half the disk; handing a page's small buffers to other threads costs twice
    # as much again.
    options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
    sink = pa.BufferOutputStream()
    pa.ipc.new_stream(sink, batch.schema, options=options).write_batch(batch)
    content = memoryview(sink.getvalue())
    return content if first else content[len(batch.schema.serialize()) :]


def verify(file: StagedFile, *, whole: bool) -> None:
    """Compares a file with the checksums of its pages.

    Args:
        file: The file.
        whole: Whether the file must end with its last page. Otherwise incomplete bytes may follow.

    Raises:
        DamagedPagesError: The file is missing, a link, too short, too long, or another file.
    """
    for _chunk in _chunks(file, whole=whole):
        pass


def read_schema(file: StagedFile) -> pa.Schema:
    """The schema of a file with pages.

    Raises:
        DamagedPagesError: as ``verify`` does, about the first page.
    """
    import pyarrow as pa

    content, _pages = next(_chunks(StagedFile(file.path, pages=file.pages[:1]), whole=False))
    return _decoded(file, lambda: pa.ipc.open_stream(pa.py_buffer(content)).schema)


def read_pages(
    file: StagedFile, columns: Sequence[str] | None = None, verified: Verified | None = None
) -> Iterator[pa.RecordBatch]:
    """The batches of a file with pages, a page each.

    Args:
        file: The file.
        columns: Decode only these, in the file's order; those that it lacks are left out.
        verified: For files that are read several times: what has been verified, and has not changed since.

    Raises:
        DamagedPagesError: as ``verify`` does, or if a page does not hold as many rows as were written.
    """
    import pyarrow as pa

    schema = read_schema(file)
    head = schema.serialize().to_pybytes()
    # None included would mean all: then take the first.
    names = schema.names if columns is None else columns
    included = [schema.get_field_index(name) for name in names if name in schema.names] or [0]
    options = pa.ipc.IpcReadOptions(included_fields=included, use_threads=False)
    for content, pages in _chunks(file, whole=False, head=head, verified=verified):
        stream = _decoded(file, partial(pa.ipc.open_stream, pa.py_buffer(content), options=options))
        for page in pages:
            batch = _decoded(file, stream.read_next_batch)
            if batch.num_rows != page.rows:
                raise _damaged(file, f"a page has {batch.num_rows} rows, and {page.rows} were written")
            yield batch


def _chunks(
    file: StagedFile, *, whole: bool, head: bytes = b"", verified: Verified | None = None
) -> Iterator[tuple[bytearray, Sequence[StagedPage]]]:
    """Verified bytes, some pages at a time; behind ``head``, but for the first page, which has the schema itself."""
    try:
        if file.path.is_symlink():
            raise _damaged(file, "it is a link")
        with file.path.open("rb", buffering=0) as source:
            state = _state(source)
            known = verified is not None and verified.get(file.path) == state
            begins = 0
            for pages in _grouped(file.pages):
                before = head if begins else b""
                content = bytearray(len(before) + pages[-1].end - begins)
                content[: len(before)] = before
                view = memoryview(content)[len(before) :]
                if _read_into(source, view) < len(view):
                    raise _damaged(file, f"it ends before byte {pages[-1].end:,}, where a page ends")
                at = 0
                for page in pages:
                    length = page.end - begins
                    if not known and checksum(view[at : at + length]) != page.checksum:
                        raise _damaged(file, f"the page that ends at byte {page.end:,} is not the one written")
                    at, begins = at + length, page.end
                yield content, pages
            if whole and source.read(1):
                raise _damaged(file, f"it is longer than {begins:,} bytes, where the last page ends")
            if verified is not None and _state(source) == state:
                verified[file.path] = state
    except OSError as error:
        raise _damaged(file, error.strerror or str(error)) from error


def _state(source: Any) -> FileState:  # noqa: ANN401 - io.FileIO
    stat = os.fstat(source.fileno())
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _grouped(pages: Sequence[StagedPage]) -> Iterator[Sequence[StagedPage]]:
    first = begins = 0
    for number, page in enumerate(pages):
        if page.end - begins > _CHUNK_BYTES and number > first:
            yield pages[first:number]
            first, begins = number, pages[number - 1].end
    if first < len(pages):
        yield pages[first:]


def _read_into(source: Any, view: memoryview) -> int:  # noqa: ANN401 - io.FileIO
    done = 0
    while done < len(view) and (count := source.readinto(view[done:])):
        done += count
    return done


def _decoded(file: StagedFile, step: Callable[[], Any]) -> Any:  # noqa: ANN401 - of Arrow
    """What Arrow makes of verified bytes. Those that it refuses were never a stream of this form."""
    import pyarrow as pa

    try:
        return step()
    except (OSError, StopIteration, pa.ArrowException) as error:
        raise _damaged(file, f"Arrow cannot read it: {error}") from error


def _damaged(file: StagedFile, problem: str) -> DamagedPagesError:
    return DamagedPagesError(f"{file.path}: {problem}")
