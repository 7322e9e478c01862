"""Staged pages: what a manifest promises is there, whatever the moment of a kill, and nothing foreign is mixed in."""

import errno
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_pipeline.klaviyo.errors import StagingError
from klaviyo_pipeline.klaviyo.extract.model import read_batches
from klaviyo_pipeline.klaviyo.staging.slices import StagedSlice
from klaviyo_pipeline.klaviyo.staging.stage import RESUMABLE_FOR, Stage, StagingArea, disk_errors
from klaviyo_pipeline.klaviyo.windows import TimeSlice
from klaviyo_pipeline_tests.klaviyo.support import NOW

SCHEMA = pa.schema([("id", pa.string())])
IDENTITY = {"source": "events", "account": "a", "start": None}
DAY = TimeSlice(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC))
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def batch(*ids: str) -> pa.RecordBatch:
    return pa.record_batch([pa.array(ids, pa.string())], schema=SCHEMA)


def ids_in(stage: Stage) -> list[str]:
    return [row["id"] for each in read_batches(stage.files()) for row in each.to_pylist()]


def stage_pages(stage: Stage, *pages: tuple[str, ...], through: datetime | None = None) -> StagedSlice:
    staged = stage.add_slice("all", DAY)
    with stage.writer(staged, SCHEMA) as writer:
        for page in pages:
            writer.write(batch(*page), through)
    return staged


def killed(stage: Stage) -> None:
    """What a kill leaves: nothing is closed in an orderly way, but the lock is gone."""
    stage.close(remove=False)


def manifest(stage: Stage) -> Path:
    return stage.folder / "manifest.jsonl"


def test_stage_when_taken_up_again_then_has_slices_bounds_pages_and_ends(area: StagingArea) -> None:
    stage = area.open(IDENTITY, NOW)
    first = stage_pages(stage, ("a", "b"), ("c",), through=NOON)
    second = stage_pages(stage, ("d",))
    stage.cut_slice(first, NOON)
    stage.finish_slice(first)
    dropped = stage_pages(stage, ("x",))
    stage.drop_slice(dropped)
    killed(stage)
    again = area.open(IDENTITY, NOW + timedelta(hours=1))
    assert again.folder == stage.folder
    assert again.began == NOW
    assert set(again.slices) == {first.number, second.number}
    assert again.slices[first.number] == first
    assert again.slices[second.number] == second
    assert (first.rows, first.done, first.through, first.bounds.end) == (3, True, NOON, NOON)
    assert ids_in(again) == ["a", "b", "c", "d"]
    assert [file.rows for file in again.files()] == [3, 1]
    again.close(remove=True)
    assert not stage.folder.exists()


@given(st.integers(1, 60))
def test_manifest_when_its_end_is_torn_then_whole_lines_count_and_later_runs_go_on(torn: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        area = StagingArea(Path(folder))
        stage = area.open(IDENTITY, NOW)
        stage_pages(stage, ("a",), ("b",))
        whole = manifest(stage).read_bytes()
        last = whole.splitlines(keepends=True)[-1]
        manifest(stage).write_bytes(whole[: -min(torn, len(last) - 1)])
        killed(stage)
        second = area.open(IDENTITY, NOW)
        assert ids_in(second) == ["a"]
        stage_pages(second, ("c",))
        killed(second)
        third = area.open(IDENTITY, NOW)
        assert ids_in(third) == ["a", "c"], "what the second run wrote stands behind the torn line"
        third.close(remove=True)


def test_stream_when_its_end_is_torn_then_only_pages_in_the_manifest_count(area: StagingArea) -> None:
    stage = area.open(IDENTITY, NOW)
    staged = stage_pages(stage, ("a",), ("b",))
    with (stage.folder / staged.file).open("ab") as file:
        file.write(b"\xff\xff\xff\xff\x10\x00\x00\x00half a page")
    killed(stage)
    again = area.open(IDENTITY, NOW)
    assert ids_in(again) == ["a", "b"]
    assert again.files()[0].pages[-1].end == (stage.folder / staged.file).stat().st_size
    again.close(remove=True)


def test_page_when_in_the_file_but_not_in_the_manifest_then_does_not_count(area: StagingArea) -> None:
    stage = area.open(IDENTITY, NOW)
    stage_pages(stage, ("a",), ("b",))
    lines = manifest(stage).read_bytes().splitlines(keepends=True)
    manifest(stage).write_bytes(b"".join(lines[:-1]))
    killed(stage)
    again = area.open(IDENTITY, NOW)
    assert ids_in(again) == ["a"]
    again.close(remove=True)


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"nonsense\n", b"[]\n", b'{"begin":1}\n', b"\xff\xfe\n", b'{"x":\n{}\n']
)
def test_manifest_when_unreadable_then_the_stage_begins_anew(area: StagingArea, content: bytes) -> None:
    stage = area.open(IDENTITY, NOW)
    stage_pages(stage, ("a",))
    manifest(stage).write_bytes(content)
    killed(stage)
    again = area.open(IDENTITY, NOW)
    assert (ids_in(again), again.slices) == ([], {})
    assert [path.name for path in again.folder.iterdir()] == ["manifest.jsonl"]
    again.close(remove=True)


@pytest.mark.parametrize(("age", "kept"), [(timedelta(hours=5, minutes=59), True), (RESUMABLE_FOR, False)])
def test_stage_when_older_than_six_hours_then_is_begun_anew(area: StagingArea, age: timedelta, kept: bool) -> None:
    stage = area.open(IDENTITY, NOW)
    stage_pages(stage, ("a",))
    killed(stage)
    again = area.open(IDENTITY, NOW + age)
    assert ids_in(again) == (["a"] if kept else [])
    assert again.began == (NOW if kept else NOW + age)
    again.close(remove=True)


CHANGES: list[dict[str, Any]] = [{"account": "b"}, {"start": "2026-11-01"}, {"columns": [["id", "string"]]}]


@pytest.mark.parametrize("change", CHANGES)
def test_stage_when_anything_that_decides_its_rows_differs_then_is_another(
    area: StagingArea, change: dict[str, Any]
) -> None:
    stage = area.open(IDENTITY, NOW)
    stage_pages(stage, ("a",))
    killed(stage)
    other = area.open({**IDENTITY, **change}, NOW)
    assert other.folder != stage.folder
    assert other.slices == {}
    other.close(remove=True)


def test_manifest_when_of_another_identity_in_the_same_folder_then_its_pages_are_not_taken(area: StagingArea) -> None:
    stage = area.open(IDENTITY, NOW)
    stage_pages(stage, ("a",))
    other = area.open({**IDENTITY, "account": "b"}, NOW)
    stage_pages(other, ("b",))
    killed(stage)
    killed(other)
    for path in other.folder.iterdir():
        path.replace(stage.folder / path.name)
    again = area.open(IDENTITY, NOW)
    assert again.slices == {}
    again.close(remove=True)


def test_stage_when_another_one_works_on_it_then_a_new_folder_is_begun(area: StagingArea) -> None:
    stage = area.open(IDENTITY, NOW)
    stage_pages(stage, ("a",))
    beside = area.open(IDENTITY, NOW)
    assert beside.folder != stage.folder
    assert beside.slices == {}
    stage_pages(beside, ("b",))
    assert (ids_in(stage), ids_in(beside)) == (["a"], ["b"])
    beside.close(remove=True)
    killed(stage)
    again = area.open(IDENTITY, NOW)
    assert ids_in(again) == ["a"]
    again.close(remove=True)


HOLDER = """
import sys
from datetime import datetime
from pathlib import Path
from klaviyo_pipeline.klaviyo.staging.stage import StagingArea
stage = StagingArea(Path(sys.argv[1])).open({"source": "events", "account": "a", "start": None},
                                            datetime.fromisoformat(sys.argv[2]))
print(stage.folder.name, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other_process(area: StagingArea) -> Iterator[Callable[[], "subprocess.Popen[str]"]]:
    begun: list[subprocess.Popen[str]] = []

    def begin() -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", HOLDER, str(area.root), NOW.isoformat()]
        begun.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return begun[-1]

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


def test_stage_when_two_processes_load_the_same_window_then_each_has_its_folder_and_a_kill_frees_it(
    area: StagingArea, other_process: Callable[[], "subprocess.Popen[str]"]
) -> None:
    process = other_process()
    assert process.stdout is not None
    theirs = process.stdout.readline().strip()
    ours = area.open(IDENTITY, NOW)
    assert ours.folder.name != theirs
    ours.close(remove=True)
    process.kill()
    process.wait()
    after = area.open(IDENTITY, NOW)
    assert after.folder.name == theirs
    after.close(remove=True)


def test_stages_when_nobody_came_back_for_six_hours_then_are_removed_but_not_those_in_use(area: StagingArea) -> None:
    left, used = area.open({**IDENTITY, "account": "left"}, NOW), area.open({**IDENTITY, "account": "used"}, NOW)
    killed(left)
    area.open(IDENTITY, NOW + timedelta(hours=7)).close(remove=True)
    assert not left.folder.exists()
    assert used.folder.exists()
    used.close(remove=True)


def test_slices_when_one_was_dropped_then_its_number_and_file_are_not_given_again(area: StagingArea) -> None:
    stage = area.open(IDENTITY, NOW)
    stage_pages(stage, ("a",))
    dropped = stage.add_slice("gone", DAY)
    stage.drop_slice(dropped)
    following = stage.add_slice("all", DAY)
    assert following.file != dropped.file
    # A worker that has not heard of it yet still writes to the dropped one.
    with stage.writer(dropped, SCHEMA) as late:
        late.write(batch("late"), None)
    stage.finish_slice(dropped)
    with stage.writer(following, SCHEMA) as writer:
        writer.write(batch("b"), None)
    killed(stage)
    again = area.open(IDENTITY, NOW)
    assert ids_in(again) == ["a", "b"]
    assert not again.slices[following.number].done
    again.drop_slice(again.slices[following.number])
    killed(again)
    third = area.open(IDENTITY, NOW)
    assert third.add_slice("all", DAY).number > following.number
    third.close(remove=True)


def test_through_when_a_later_page_is_out_of_order_then_nothing_is_promised_any_more(area: StagingArea) -> None:
    stage = area.open(IDENTITY, NOW)
    staged = stage.add_slice("all", DAY)
    with stage.writer(staged, SCHEMA) as writer:
        writer.write(batch("a"), NOON)
        writer.write(batch("b"), None)
    killed(stage)
    assert staged.through is None
    again = area.open(IDENTITY, NOW)
    assert again.slices[staged.number].through is None
    again.close(remove=True)


# Disks


def test_disk_when_full_while_a_page_is_written_then_error_names_the_folder_and_what_to_do(area: StagingArea) -> None:
    stage = area.open(IDENTITY, NOW)
    staged = stage.add_slice("all", DAY)
    with stage.writer(staged, SCHEMA) as writer:
        writer.write(batch("a"), None)
        writer._file = FullDisk(writer._file, 10)  # type: ignore[assignment]
        with pytest.raises(StagingError) as failed:
            writer.write(batch("b"), None)
    for part in (str(stage.folder), "disk is full", "KLAVIYO_STAGING_DIR"):
        assert part in str(failed.value)
    stage.close(remove=True)


class FullDisk:
    """A file on a disk with room for so many bytes."""

    def __init__(self, file: Any, room: int) -> None:
        self.file, self.room = file, room

    def write(self, data: bytes) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = self.file.write(data[: self.room])
        self.room -= written
        return int(written)

    def close(self) -> None:
        self.file.close()

    def fileno(self) -> int:
        return int(self.file.fileno())

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.mark.parametrize("room", [0, 10])
def test_disk_when_full_while_the_manifest_is_written_then_error_and_not_half_a_line_for_good(
    area: StagingArea, room: int
) -> None:
    stage = area.open(IDENTITY, NOW)
    stage_pages(stage, ("a",))
    stage._manifest._file = FullDisk(stage._manifest._file, room)  # type: ignore[assignment]
    with pytest.raises(StagingError, match=r"disk is full"):
        stage.add_slice("all", DAY)
    killed(stage)
    again = area.open(IDENTITY, NOW)
    assert ids_in(again) == ["a"]
    again.close(remove=True)


def test_folder_when_it_can_not_be_made_then_error_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StagingError, match=r"file/staging"):
        StagingArea(tmp_path / "file" / "staging").open(IDENTITY, NOW)


@pytest.mark.parametrize(
    "error", [PermissionError(errno.EACCES, "Permission denied"), OSError(errno.EROFS, "read-only")]
)
def test_folder_when_read_only_then_error_says_it_can_not_be_written_to(
    area: StagingArea, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StagingError, match=r"cannot be written to") as failed:
        area.open(IDENTITY, NOW)
    assert str(area.root) in str(failed.value)


def test_disk_error_when_of_another_kind_then_the_cause_is_in_the_message(tmp_path: Path) -> None:
    with pytest.raises(StagingError, match=r"Input/output error"), disk_errors(tmp_path):
        raise OSError(errno.EIO, "Input/output error")


def test_page_when_empty_then_is_recorded_and_no_file_is_made(area: StagingArea) -> None:
    stage = area.open(IDENTITY, NOW)
    staged = stage_pages(stage, (), ("a",), ())
    empty = stage_pages(stage, ())
    assert (staged.rows, empty.rows) == (1, 0)
    assert len(stage.files()) == 1
    assert not (stage.folder / empty.file).exists()
    stage.close(remove=True)
