"""Staged pages on disk, and the manifest that lets a killed fetch go on where it stopped.

A stage is a folder of Arrow streams, one a slice, to which pages are appended as they arrive, and a manifest of
one JSON line for each thing that happened. A page counts only once its line stands in the manifest, which is
written after the page; so whatever the moment of a kill, the manifest never promises more than the files hold.
A stage is named after everything that decides its rows (account, source, window, options, columns), and its
first line repeats it: pages of another window, account or program version are never mixed in.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import filelock

from klaviyo_pipeline.klaviyo.errors import StagingError
from klaviyo_pipeline.klaviyo.windows import TimeSlice

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = 3
RESUMABLE_FOR = timedelta(hours=6)
"""Pages older than this are fetched anew: rows change meanwhile."""
_MANIFEST = "manifest.jsonl"


@dataclass(frozen=True)
class StagedFile:
    """An Arrow stream of which the first ``valid_bytes`` count (a killed writer may leave a torn tail)."""

    path: Path
    valid_bytes: int
    rows: int


@dataclass
class StagedSlice:
    """What a manifest says of one slice: how far it was read, and where its rows are."""

    number: int
    stream: str
    bounds: TimeSlice
    file: str
    through: datetime | None = None
    valid_bytes: int = 0
    rows: int = 0
    done: bool = False


class Stage:
    """One extract's folder. Safe to write to from several threads, each slice from one at a time."""

    def __init__(self, folder: Path, lock: filelock.BaseFileLock, began: datetime, extract_id: str) -> None:
        self.folder = folder
        self.began = began
        self.extract_id = extract_id
        self.slices: dict[int, StagedSlice] = {}
        self.numbers = 0
        """Slice numbers given so far. None is given twice: a dropped slice may still have a writer."""
        self._lock = lock
        self._mutex = threading.Lock()
        self._manifest = (folder / _MANIFEST).open("ab", buffering=0)

    def add_slice(self, stream: str, bounds: TimeSlice) -> StagedSlice:
        """Begin a slice."""
        with self._mutex:
            number, self.numbers = self.numbers, self.numbers + 1
            staged = StagedSlice(number, stream, bounds, f"slice-{number:05d}.arrows")
            self.slices[number] = staged
            self._record(
                slice=number, stream=stream, start=_text(bounds.start), end=_text(bounds.end), file=staged.file
            )
        return staged

    def cut_slice(self, staged: StagedSlice, end: datetime) -> None:
        """A slice ends earlier than it began with; the rest has been added as slices of their own."""
        with self._mutex:
            staged.bounds = TimeSlice(staged.bounds.start, end)
            self._record(cut=staged.number, end=_text(end))

    def add_page(self, staged: StagedSlice, valid_bytes: int, rows: int, through: datetime | None) -> None:
        """A page of a slice is in its file. All rows before ``through`` have been read; None if nobody knows."""
        with self._mutex:
            staged.valid_bytes, staged.rows = valid_bytes, staged.rows + rows
            staged.through = through
            self._record(page=staged.number, bytes=valid_bytes, rows=rows, through=_text(through))

    def finish_slice(self, staged: StagedSlice) -> None:
        """All of a slice has been read."""
        with self._mutex:
            staged.done = True
            self._record(done=staged.number)

    def drop_slice(self, staged: StagedSlice) -> None:
        """A slice's rows do not count (any more)."""
        with self._mutex:
            self.slices.pop(staged.number, None)
            self._record(drop=staged.number)
            (self.folder / staged.file).unlink(missing_ok=True)

    def writer(self, staged: StagedSlice, schema: pa.Schema) -> SliceWriter:
        """Opens a slice's file for its pages."""
        return SliceWriter(self, staged, schema)

    def files(self) -> tuple[StagedFile, ...]:
        """The files that hold rows, in the order in which their slices began."""
        return tuple(
            StagedFile(self.folder / staged.file, staged.valid_bytes, staged.rows)
            for _number, staged in sorted(self.slices.items())
            if staged.rows
        )

    def close(self, *, remove: bool) -> None:
        """Let go of the folder, and remove it if its rows have landed."""
        self._manifest.close()
        if remove:
            shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.release()

    def _record(self, **entry: Any) -> None:  # noqa: ANN401 - JSON
        with disk_errors(self.folder):
            line = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
            if self._manifest.write(line) != len(line):
                raise OSError(errno.ENOSPC, "No space left on device")


class SliceWriter:
    """Appends pages to a slice's Arrow stream; the file is made with the first one."""

    def __init__(self, stage: Stage, staged: StagedSlice, schema: pa.Schema) -> None:
        self._stage = stage
        self._staged = staged
        self._schema = schema
        self._sink: Any = None
        self._stream: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._sink is not None:
            self._sink.close()

    def write(self, batch: pa.RecordBatch, through: datetime | None) -> None:
        """Append a page's rows, then say so in the manifest.

        Raises:
            StagingError: if the disk is full or the folder can not be written to.
        """
        import pyarrow as pa

        with disk_errors(self._stage.folder):
            if batch.num_rows:
                if self._stream is None:
                    self._sink = pa.OSFile(str(self._stage.folder / self._staged.file), "wb")
                    # lz4 costs next to nothing and takes half the disk; handing a page's small buffers to other
                    # threads costs twice as much again.
                    options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
                    self._stream = pa.ipc.new_stream(self._sink, self._schema, options=options)
                self._stream.write_batch(batch)
            valid_bytes = self._sink.tell() if self._sink is not None else 0
        self._stage.add_page(self._staged, valid_bytes, batch.num_rows, through)


class StagingArea:
    """The folder that stages are made in.

    Args:
        root: A folder on a local disk with room for the rows of the extracts under way.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def open(self, identity: Mapping[str, Any], now: datetime) -> Stage:
        """Take up the stage of this identity if a killed run left one that is still fresh, or begin a new one.

        A stage that another living process works on is left alone; this one then begins its own.
        """
        with disk_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            self._remove_stale(now)
            text = json.dumps({"format": FORMAT, **identity}, sort_keys=True)
            name = f"{identity['source']}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
            folder = self.root / name
            lock = filelock.FileLock(self.root / f"{name}.lock", thread_local=False)
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout:
                folder = self.root / f"{name}-{uuid.uuid4().hex[:8]}"
                lock = filelock.FileLock(self.root / f"{folder.name}.lock", thread_local=False)
                lock.acquire(timeout=0)
            entries = _read_manifest(folder)
            if entries and entries[0].get("begin") == text:
                _cut_torn_line(folder)
                began = datetime.fromisoformat(entries[0]["at"])
                if now - began < RESUMABLE_FOR:
                    stage = Stage(folder, lock, began, entries[0]["extract"])
                    _replay(stage, entries[1:])
                    return stage
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            stage = Stage(folder, lock, now, uuid.uuid4().hex)
            stage._record(begin=text, at=now.isoformat(), extract=stage.extract_id)
            return stage

    def _remove_stale(self, now: datetime) -> None:
        """Remove what killed runs left behind and nobody came back for."""
        for path in self.root.glob("*.lock"):
            folder = path.with_suffix("")
            manifest = folder / _MANIFEST
            try:
                changed = datetime.fromtimestamp((manifest if manifest.exists() else path).stat().st_mtime, UTC)
                if now - changed < RESUMABLE_FOR:
                    continue
                with filelock.FileLock(path, timeout=0, thread_local=False):
                    shutil.rmtree(folder, ignore_errors=True)
                    path.unlink(missing_ok=True)
            except (filelock.Timeout, FileNotFoundError):
                continue


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Says which folder it was, and what to do, when the disk does not take what is written."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC or "No space left" in str(error):
            problem = "the disk is full"
        elif isinstance(error, PermissionError) or error.errno == errno.EROFS:
            problem = "it can not be written to"
        else:
            problem = str(error)
        raise StagingError(
            f"Staging folder {folder}: {problem}. Nothing was landed. Make room, or set staging_dir "
            "(KLAVIYO_STAGING_DIR) to a folder on another disk."
        ) from error


def _read_manifest(folder: Path) -> list[dict[str, Any]]:
    """The whole lines of a manifest; a torn last one is what a kill leaves."""
    try:
        lines = (folder / _MANIFEST).read_bytes().split(b"\n")[:-1]
        entries = [json.loads(line) for line in lines]
    except (OSError, ValueError):
        return []
    return entries if all(isinstance(entry, dict) for entry in entries) else []


def _cut_torn_line(folder: Path) -> None:
    """What is written next must not stand behind half a line."""
    manifest = folder / _MANIFEST
    os.truncate(manifest, manifest.read_bytes().rfind(b"\n") + 1)


def _replay(stage: Stage, entries: list[dict[str, Any]]) -> None:
    for entry in entries:
        if "slice" in entry:
            bounds = TimeSlice(_time(entry["start"]), _time(entry["end"]))
            stage.numbers = entry["slice"] + 1
            stage.slices[entry["slice"]] = StagedSlice(entry["slice"], entry["stream"], bounds, entry["file"])
        elif "cut" in entry and (staged := stage.slices.get(entry["cut"])):
            staged.bounds = TimeSlice(staged.bounds.start, _time(entry["end"]))
        elif "page" in entry and (staged := stage.slices.get(entry["page"])):
            staged.valid_bytes, staged.rows = entry["bytes"], staged.rows + entry["rows"]
            staged.through = _time(entry["through"])
        elif "done" in entry and (staged := stage.slices.get(entry["done"])):
            staged.done = True
        elif "drop" in entry:
            stage.slices.pop(entry["drop"], None)


def _text(time: datetime | None) -> str | None:
    return time.isoformat() if time else None


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
