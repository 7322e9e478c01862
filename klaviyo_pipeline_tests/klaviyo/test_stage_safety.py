"""A staging folder holds people's data, and may be shared: what is removed, who may read it, and which clock counts."""

import os
import stat
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from klaviyo_pipeline.klaviyo.errors import StagingError
from klaviyo_pipeline.klaviyo.staging.stage import Stage, StagingArea
from klaviyo_pipeline_tests.klaviyo.support import NOW
from klaviyo_pipeline_tests.klaviyo.test_staging import IDENTITY, ids_in, killed, stage_pages

LATER = NOW + timedelta(hours=7)
"""When a stage that began at NOW is too old to be taken up."""


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def left_behind(area: StagingArea, **identity: str) -> Stage:
    stage = area.open({**IDENTITY, **identity}, NOW)
    stage_pages(stage, ("a",), ("b",))
    killed(stage)
    return stage


def age(folder: Path) -> None:
    """Everything in a folder was last touched a day ago."""
    a_day_ago = folder.stat().st_mtime - 86_400
    for path in [*folder.rglob("*"), folder]:
        os.utime(path, (a_day_ago, a_day_ago), follow_symlinks=False)


# Strangers' files


def test_folder_when_strangers_files_are_in_it_then_they_stay(area: StagingArea) -> None:
    area.root.mkdir()
    for name in ("poetry.lock", "events-0123456789abcdef.lock", "lists-0123456789abcdef.lock"):
        (area.root / name).write_text("locked")
    for name in ("poetry", "events-0123456789abcdef", "other"):
        (area.root / name).mkdir()
        (area.root / name / "manifest.jsonl").write_text('{"theirs":1}\n')
        (area.root / name / "slice-00000.arrows").write_text("theirs")
    (area.root / "empty.lock").touch()
    age(area.root)
    before = contents(area.root)
    stage = left_behind(area)
    area.open({**IDENTITY, "account": "later"}, LATER).close(remove=True)
    assert not stage.folder.exists(), "what is ours and too old is removed"
    after = contents(area.root)
    assert {name: after.get(name) for name in before} == before


def test_stage_when_a_stranger_put_a_file_in_it_then_only_our_files_go(area: StagingArea) -> None:
    stage = left_behind(area)
    (stage.folder / "notes.txt").write_text("theirs")
    area.open({**IDENTITY, "account": "later"}, LATER).close(remove=True)
    assert contents(stage.folder) == {"notes.txt": b"theirs"}
    again = area.open(IDENTITY, LATER)
    stage_pages(again, ("c",))
    assert ids_in(again) == ["c"]
    again.close(remove=True)
    assert contents(stage.folder) == {"notes.txt": b"theirs"}


@pytest.mark.parametrize("what", ["folder", "file", "link to a folder", "manifest of another", "slice", "lock"])
def test_stage_when_something_else_has_its_name_then_that_stays_and_another_folder_is_used(
    area: StagingArea, tmp_path: Path, what: str
) -> None:
    stage = area.open(IDENTITY, NOW)
    stage.close(remove=True)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "manifest.jsonl").write_text("theirs")
    place = stage.folder
    if what == "link to a folder":
        place.symlink_to(theirs)
    elif what == "file":
        place.write_text("theirs")
    elif what == "lock":
        place.with_name(f"{place.name}.lock").write_text("theirs")
    else:
        place.mkdir()
        name = {"manifest of another": "manifest.jsonl", "slice": "slice-00000.arrows", "folder": "notes"}[what]
        (place / name).write_text("theirs")
    before = contents(tmp_path)
    own = area.open(IDENTITY, NOW)
    stage_pages(own, ("a",))
    assert ids_in(own) == ["a"]
    assert own.folder != place or what == "folder"
    killed(own)
    again = area.open(IDENTITY, NOW)
    assert ids_in(again) == ["a"], "found again by the next run"
    again.close(remove=True)
    area.open({**IDENTITY, "account": "later"}, LATER).close(remove=True)
    assert {name: content for name, content in contents(tmp_path).items() if name in before} == before
    assert contents(theirs) == {"manifest.jsonl": b"theirs"}


def test_links_when_in_a_stage_then_nothing_is_removed_read_or_written_through_them(
    area: StagingArea, tmp_path: Path
) -> None:
    theirs = tmp_path / "theirs.arrows"
    stage = left_behind(area)
    slice_file = next(stage.folder.glob("slice-*"))
    slice_file.replace(theirs)
    slice_file.symlink_to(theirs)
    before = theirs.read_bytes()
    again = area.open(IDENTITY, NOW)
    assert again.slices == {}, "rows behind a link do not count"
    stage_pages(again, ("c",))
    again.close(remove=True)
    area.open({**IDENTITY, "account": "later"}, LATER).close(remove=True)
    assert theirs.read_bytes() == before


def test_staging_folder_when_a_link_then_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "staging").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StagingError, match="is a link"):
        StagingArea(tmp_path / "staging").open(IDENTITY, NOW)
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("mode", [0o777, 0o755, 0o750])
def test_staging_folder_when_it_was_there_and_others_could_use_it_then_they_cannot(tmp_path: Path, mode: int) -> None:
    root = tmp_path / "staging"
    root.mkdir()
    root.chmod(mode)
    StagingArea(root).open(IDENTITY, NOW).close(remove=True)
    assert stat.S_IMODE(root.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_staging_folder_when_another_user_made_it_then_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "staging"
    root.mkdir(0o777)
    os.chown(root, 65_534, 65_534)
    with pytest.raises(StagingError, match="belongs to another user"):
        StagingArea(root).open(IDENTITY, NOW)
    assert list(root.iterdir()) == []


def test_stage_of_an_earlier_format_when_too_old_then_is_removed(area: StagingArea) -> None:
    old = area.root / "events-0123456789abcdef"
    old.mkdir(parents=True)
    (old / "manifest.jsonl").write_text('{"begin":"{\\"format\\": 3}","at":"2026-11-21T12:00:00+00:00"}\n')
    (old / "slice-00000.arrows").write_bytes(b"rows")
    area.open(IDENTITY, NOW).close(remove=True)
    assert not old.exists()


def test_locks_when_their_stage_is_long_gone_then_are_removed_but_not_fresh_or_held_ones(area: StagingArea) -> None:
    area.open({**IDENTITY, "account": "old"}, NOW).close(remove=True)
    age(area.root)
    old = set(area.root.glob("*.lock"))
    held = area.open({**IDENTITY, "account": "held"}, NOW)
    area.open({**IDENTITY, "account": "fresh"}, NOW).close(remove=True)
    for path in set(area.root.glob("*.lock")) - old:
        os.utime(path, (time.time(), time.time()))  # by this process's clock, which may be a shifted one
    area.open(IDENTITY, NOW).close(remove=True)
    assert len(list(area.root.glob("*.lock"))) == 3
    held.close(remove=True)


# Modes


@pytest.fixture(params=[0o000, 0o022], ids=["umask 000", "umask 022"])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_stage_when_written_then_only_its_owner_may_read_it(area: StagingArea, umask: int) -> None:
    stage = left_behind(area)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [area.root, *area.root.rglob("*")]}
    assert modes == {
        "staging": 0o700,
        stage.folder.name: 0o700,
        f"{stage.folder.name}.lock": 0o600,
        "manifest.jsonl": 0o600,
        "slice-00000.arrows": 0o600,
    }


# Clocks


@pytest.mark.parametrize("ahead", [timedelta(seconds=1), timedelta(hours=1), timedelta(days=45)])
def test_stage_when_it_begins_after_now_then_is_not_taken_up(area: StagingArea, ahead: timedelta) -> None:
    future = area.open(IDENTITY, NOW + ahead)
    stage_pages(future, ("a",))
    killed(future)
    again = area.open(IDENTITY, NOW)
    assert again.slices == {}
    assert again.began == NOW
    again.close(remove=True)


def test_stage_when_its_clock_was_ahead_then_rows_are_read_again_from_the_true_time(area: StagingArea) -> None:
    stage = area.open(IDENTITY, NOW)
    stage.note_clock(3_600.0)
    stage.note_clock(0.0)
    stage_pages(stage, ("a",))
    killed(stage)
    again = area.open(IDENTITY, NOW + timedelta(hours=2))
    assert again.began == NOW
    assert again.read_until == NOW - timedelta(hours=1)
    again.close(remove=True)
