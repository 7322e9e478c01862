"""Staged pages on disk, and the manifest that lets a killed fetch continue where it stopped.

A stage is a folder of Arrow streams, one a slice, to which pages are appended as they arrive, and a manifest of
one line for each thing that happened. A page counts only once its line stands in the manifest, which is
written after the page; so whatever the moment of a kill, the manifest never promises more than the files hold.
A stage is named after everything that decides its rows (account, source, window, options, columns), and the
manifest repeats it: pages of another window, account or program version are never mixed in. Pages and lines have
checksums: a stage with any damage is dropped, and fetched again.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import logging
import os
import threading
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from klaviyo_pipeline.klaviyo.errors import StagingError
from klaviyo_pipeline.klaviyo.staging import folders, manifest
from klaviyo_pipeline.klaviyo.staging.manifest import DamagedManifestError, Manifest
from klaviyo_pipeline.klaviyo.staging.slices import Replayed, StagedSlice, text_of
from klaviyo_pipeline.klaviyo.windows import TimeSlice
from klaviyo_pipeline.private_files import append_to, make_folder, sync
from klaviyo_pipeline.staged_pages import DamagedPagesError, StagedFile, StagedPage, checksum, encode_page, verify

if TYPE_CHECKING:
    import filelock
    import pyarrow as pa

_LOG = logging.getLogger(__name__)

RESUMABLE_FOR = timedelta(hours=6)
"""Pages older than this are fetched anew: rows change meanwhile."""


class Stage:
    """One extract's folder. Safe to write to from several threads, each slice from one at a time.

    Attributes:
        began: When the fetch began, by this machine's clock.
        clock_ahead_s: By how many seconds this machine's clock was ahead of Klaviyo's when the fetch began.
        slices: The slices that count, by number.
        numbers: Slice numbers given so far. None is given twice: a dropped slice may still have a writer.
        until: Where the part of the window that is staged ends; None: at the window's end.
        staged_bytes: What the slices have on the disk.
    """

    def __init__(
        self,
        folder: Path,
        lock: filelock.BaseFileLock,
        began: datetime,
        extract_id: str,
        lines_checksum: int | None = None,
    ) -> None:
        self.folder = folder
        self.began = began
        self.extract_id = extract_id
        self.clock_ahead_s: float | None = None
        self.slices: dict[int, StagedSlice] = {}
        self.numbers = 0
        self.until: datetime | None = None
        self.staged_bytes = 0
        self._lock = lock
        self._mutex = threading.Lock()
        self._manifest = Manifest(folder, lines_checksum)

    @property
    def read_until(self) -> datetime:
        """Before this time, by Klaviyo's clock, finished slices that are open towards the future are complete."""
        return self.began - timedelta(seconds=max(0.0, self.clock_ahead_s or 0.0))

    def note_clock(self, ahead_s: float) -> None:
        """Remember how far this machine's clock is ahead of Klaviyo's, unless that is known from an earlier run."""
        with self._mutex:
            if self.clock_ahead_s is None:
                self.clock_ahead_s = ahead_s
                self._record(ahead=ahead_s)

    def add_slice(self, stream: str, bounds: TimeSlice) -> StagedSlice:
        """Begin a slice."""
        with self._mutex:
            number, self.numbers = self.numbers, self.numbers + 1
            staged = StagedSlice(number, stream, bounds, folders.slice_file(number))
            self.slices[number] = staged
            self._record(
                slice=number, stream=stream, start=text_of(bounds.start), end=text_of(bounds.end), file=staged.file
            )
        return staged

    def cut_slice(self, staged: StagedSlice, end: datetime) -> None:
        """A slice ends earlier than it began with; the rest has been added as slices of their own."""
        with self._mutex:
            staged.bounds = TimeSlice(staged.bounds.start, end)
            self._record(cut=staged.number, end=text_of(end))

    def end_at(self, until: datetime) -> list[StagedSlice]:
        """Only the part of the window before this time is read: drop the slices beyond it, and cut the one it is in.

        Returns:
            The slices that were dropped.
        """
        with self._mutex:
            self.until = until
            self._record(until=text_of(until))  # first: after a kill nothing is missing before this time
        beyond = [each for each in self.slices.values() if each.bounds.start and each.bounds.start >= until]
        for staged in beyond:
            self.drop_slice(staged)
        for staged in list(self.slices.values()):
            if staged.bounds.end is None or staged.bounds.end > until:
                self.cut_slice(staged, until)
        return beyond

    def add_page(self, staged: StagedSlice, page: StagedPage | None, through: datetime | None) -> None:
        """A page of a slice is in its file; None for one without rows.

        All rows before ``through`` have been read; None if nobody knows.
        """
        with self._mutex:
            if page is not None:
                if staged.number in self.slices:
                    self.staged_bytes += page.end - staged.bytes
                staged.pages.append(page)
                staged.rows += page.rows
            staged.through = through
            self._record(page=staged.number, through=text_of(through), **(page._asdict() if page else {}))

    def finish_slice(self, staged: StagedSlice) -> None:
        """All of a slice has been read, and its rows are on the disk."""
        with self._mutex:
            staged.done = True
            self._record(done=staged.number)
        if staged.rows:
            with disk_errors(self.folder):
                self._manifest.sync()

    def drop_slice(self, staged: StagedSlice) -> None:
        """A slice's rows do not count (any more)."""
        with self._mutex:
            if self.slices.pop(staged.number, None) is not None:
                self.staged_bytes -= staged.bytes
            self._record(drop=staged.number)
            (self.folder / staged.file).unlink(missing_ok=True)

    def writer(self, staged: StagedSlice, schema: pa.Schema) -> SliceWriter:
        """Opens a slice's file for its pages."""
        return SliceWriter(self, staged, schema)

    def files(self) -> tuple[StagedFile, ...]:
        """The files that hold rows, in the order in which their slices began."""
        return tuple(
            StagedFile(self.folder / staged.file, pages=staged.pages)
            for _number, staged in sorted(self.slices.items())
            if staged.rows
        )

    def close(self, *, remove: bool) -> None:
        """Let go of the folder, and remove it if its rows have landed."""
        with self._mutex:
            self._manifest.close()
        if remove:
            folders.clear(self.folder)
        self._lock.release()

    def _record(self, **entry: Any) -> None:  # noqa: ANN401 - JSON
        with disk_errors(self.folder):
            self._manifest.add(entry)


class SliceWriter:
    """Appends pages to a slice's Arrow stream; the file is made with the first one."""

    def __init__(self, stage: Stage, staged: StagedSlice, schema: pa.Schema) -> None:
        self._stage = stage
        self._staged = staged
        self._schema = schema
        self._file: FileIO | None = None
        self._end = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        if self._file is not None:
            with disk_errors(self._stage.folder), self._file:
                if failed is None:
                    os.fsync(self._file.fileno())

    def encode(self, batch: pa.RecordBatch) -> memoryview | None:
        """A page's bytes as `append` takes them; None for a page without rows."""
        return encode_page(batch, first=not self._end) if batch.num_rows else None

    def write(self, batch: pa.RecordBatch, through: datetime | None) -> None:
        """Append a page's rows, as `append` does."""
        self.append(self.encode(batch), batch.num_rows, through)

    def append(self, content: memoryview | None, rows: int, through: datetime | None) -> None:
        """Append a page's bytes, then say so in the manifest.

        Raises:
            StagingError: if the disk is full or the folder cannot be written to.
        """
        page = None
        if content is not None:
            with disk_errors(self._stage.folder):
                if self._file is None:
                    self._file = append_to(self._stage.folder / self._staged.file, new=True)
                _write_all(self._file, content)
            self._end += len(content)
            page = StagedPage(self._end, rows, checksum(content))
        self._stage.add_page(self._staged, page, through)


class StagingArea:
    """The folder that stages are made in: this program's own, for its user only.

    Args:
        root: A folder on a local disk with room for the rows of the extracts under way. Only what carries a stage's
            manifest is ever removed from it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def open(self, identity: Mapping[str, Any], now: datetime) -> Stage:
        """Take up the stage of this identity if a killed run left one that is fresh and whole, or begin a new one.

        A stage that another living process works on is left alone, and so is a folder that is not a stage; this one
        then gets a folder beside it.

        Raises:
            StagingError: if the folder cannot be written to.
        """
        with disk_errors(self.root):
            make_folder(self.root)
            self.remove_stale(now)
            self._remove_of_other_rules(identity)
            text = json.dumps({"format": manifest.FORMAT, **identity}, sort_keys=True)
            name = f"{identity['source']}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
            for number in itertools.count():
                folder = self.root / (f"{name}-{number}" if number else name)
                lock = folders.lock(folder)
                if lock is None:
                    continue
                stage = _taken_up(folder, lock, text, now) or _begun(folder, lock, text, now)
                if stage is not None:
                    return stage
                lock.release()
        raise AssertionError

    def stale(self, now: datetime) -> list[Path]:
        """What killed runs left behind and no run may take up any more: folders of stages."""
        if not self.root.is_dir():
            return []
        return [folder for folder in folders.stages(self.root) if not _is_fresh(manifest.read_begin(folder), now)]

    def remove_landed(self, extracts: Collection[str]) -> set[str]:
        """Remove the stages of extracts that have landed: a run was killed before it did. Gives those that it found."""
        found = set[str]()
        for folder in folders.stages(self.root) if self.root.is_dir() else ():
            begin = manifest.read_begin(folder)
            if begin is None or begin["extract"] not in extracts or (lock := folders.lock(folder)) is None:
                continue
            folders.clear(folder)
            lock.release()
            found.add(begin["extract"])
        return found

    def remove_stale(self, now: datetime) -> None:
        """Remove the stages that are stale, unless a run has them open."""
        for folder in self.stale(now):
            if (lock := folders.lock(folder)) is None:
                continue
            # Again, now that nobody else can take it up.
            if not _is_fresh(manifest.read_begin(folder), now):
                folders.clear(folder)
            lock.release()
        folders.remove_idle_locks(self.root, RESUMABLE_FOR)

    def _remove_of_other_rules(self, identity: Mapping[str, Any]) -> None:
        """Remove the stages of the account that were fetched under other privacy rules, unless a run has them open."""
        for folder in folders.stages(self.root) if "account" in identity else ():
            begin = manifest.read_begin(folder)
            known = json.loads(begin["begin"]) if begin is not None else {}
            same = all(known.get(name) == identity.get(name) for name in ("privacy", "people"))
            if known.get("account") != identity["account"] or same or (lock := folders.lock(folder)) is None:
                continue
            folders.clear(folder)
            lock.release()


def _taken_up(folder: Path, lock: filelock.BaseFileLock, identity: str, now: datetime) -> Stage | None:
    """The stage of a killed run; None if there is none, or it is another one, too old, from the future, or damaged."""
    if not folders.is_stage(folder):
        return None
    try:
        entries, lines_checksum = manifest.read_manifest(folder)
        begin, replayed = entries[0], Replayed()
        if begin.get("begin") != identity or not _is_fresh(begin, now):
            return None
        for entry in entries[1:]:
            replayed.add(entry)
        for staged in replayed.slices.values():
            _verify(folder, staged)
    except (DamagedManifestError, DamagedPagesError) as error:
        _LOG.warning("A stage was damaged after it was written, so its rows are fetched again: %s.", error)
        return None
    stage = Stage(folder, lock, datetime.fromisoformat(begin["at"]), begin["extract"], lines_checksum)
    stage.slices, stage.clock_ahead_s, stage.until = replayed.slices, replayed.clock_ahead_s, replayed.until
    stage.staged_bytes = sum(staged.bytes for staged in stage.slices.values())
    if stage.until is not None:
        stage.end_at(stage.until)  # the kill may have come before all slices beyond it were dropped
    # A manifest whose end is torn may lack slices whose files are there.
    stage.numbers = max(replayed.numbers, folders.next_number(folder))
    return stage


def _begun(folder: Path, lock: filelock.BaseFileLock, identity: str, now: datetime) -> Stage | None:
    """A new stage; None if the folder has something in it that is not ours."""
    if not folders.clear(folder):
        _LOG.warning("%s is in the way, and no stage of this program: it is left alone.", folder)
        return None
    make_folder(folder)
    stage = Stage(folder, lock, now, uuid.uuid4().hex)
    stage._record(begin=identity, at=now.isoformat(), extract=stage.extract_id)
    # Without its first lines nobody could tell whose folder it is.
    stage._manifest.sync()
    sync(folder)
    return stage


def _is_fresh(begin: Mapping[str, Any] | None, now: datetime) -> bool:
    """Whether a stage may be taken up. One that begins after now was written under a clock that was wrong."""
    if begin is None:
        return False
    began = datetime.fromisoformat(begin["at"])
    return began <= now < began + RESUMABLE_FOR


def _verify(folder: Path, staged: StagedSlice) -> None:
    """Compares a slice's file with its pages, and cuts off what a kill left half written."""
    if not staged.pages:
        return
    path = folder / staged.file
    verify(StagedFile(path, pages=staged.pages), whole=staged.done)
    if not staged.done:
        os.truncate(path, staged.pages[-1].end)


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Says which folder it was, and what to do, when the disk does not take what is written."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC or "No space left" in str(error):
            problem = "the disk is full"
        elif isinstance(error, PermissionError) or error.errno == errno.EROFS:
            problem = "it cannot be written to"
        else:
            problem = str(error)
        raise StagingError(
            f"Staging folder {folder}: {problem}. Nothing was landed. Make room, or set staging_dir "
            "(KLAVIYO_STAGING_DIR) to a folder on another disk."
        ) from error


def _write_all(file: FileIO, content: memoryview) -> None:
    while content:
        content = content[file.write(content) :]
