"""Whatever happens to staged files on disk, a load ends with exactly the rows, or with a clear error."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_pipeline.klaviyo.extract.model import read_batches
from klaviyo_pipeline.klaviyo.staging.stage import Stage, StagingArea
from klaviyo_pipeline.klaviyo.windows import TimeSlice
from klaviyo_pipeline.staged_pages import StagedFile
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.errors import StageDamagedError
from klaviyo_pipeline.warehouse.landing import LandRequest, land
from klaviyo_pipeline.warehouse.tables import Column, Table
from klaviyo_pipeline.warehouse.write_modes import WriteMode
from klaviyo_pipeline_tests import instances
from klaviyo_pipeline_tests.truth.chances import examples

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SCHEMA = pa.schema([("id", pa.string()), ("value", pa.int64()), ("props", pa.string())])
PAGES, ROWS = 6, 40
TRUTH = [(f"{number:05d}", number, json.dumps({"n": number})) for number in range(PAGES * ROWS)]
TABLE = Table(
    "klaviyo",
    "things",
    (Column("id", "VARCHAR"), Column("value", "BIGINT"), Column("props", "JSON")),
    primary_key=("id",),
)


def fill(stage: Stage) -> None:
    """Stage the truth, in two slices; what a run that was killed has staged counts, slice by slice."""
    done = {staged.stream for staged in stage.slices.values() if staged.done}
    for staged in [each for each in stage.slices.values() if not each.done]:
        stage.drop_slice(staged)
    for stream in ("first", "second"):
        if stream in done:
            continue
        staged = stage.add_slice(stream, TimeSlice(None, None))
        begin = 0 if stream == "first" else PAGES // 2
        with stage.writer(staged, SCHEMA) as writer:
            for page in range(begin, begin + PAGES // 2):
                ids, values, props = zip(*TRUTH[page * ROWS : (page + 1) * ROWS], strict=True)
                writer.write(pa.record_batch([pa.array(ids), pa.array(values), pa.array(props)], SCHEMA), None)
        stage.finish_slice(staged)


def rows_of(stage: Stage) -> list[tuple[Any, ...]]:
    return sorted(tuple(row.values()) for batch in read_batches(stage.files()) for row in batch.to_pylist())


def load_of(files: tuple[StagedFile, ...], mode: WriteMode = WriteMode.MERGE) -> LandRequest:
    return LandRequest(table=TABLE, rows=files, mode=mode, source="things", run_id="run", extract_id="extract")


def landed_rows(path: Path) -> list[tuple[Any, ...]]:
    return instances.rows(path, "SELECT id, value, props FROM klaviyo.things ORDER BY id")


def damage(data: st.DataObject, path: Path) -> None:
    """Do something to a file that a disk, or a person, may do."""
    content = bytearray(path.read_bytes())
    how = data.draw(st.sampled_from(["flip a bit", "flip a bit", "truncate", "extend", "lines", "zero", "remove"]))
    at = data.draw(st.integers(0, len(content) - 1))
    if how == "flip a bit":
        content[at] ^= 1 << data.draw(st.integers(0, 7))
    elif how == "truncate":
        del content[at:]
    elif how == "extend":
        content += data.draw(st.binary(min_size=1, max_size=64))
    elif how == "zero":
        content[at : at + 512] = bytes(len(content[at : at + 512]))
    elif how == "lines":
        lines = bytes(content).splitlines(keepends=True)
        one, other = (data.draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        lines[one], lines[other] = lines[other], lines[one]
        content = bytearray(b"".join(lines))
    if how == "remove":
        path.unlink()
    else:
        path.write_bytes(content)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@examples(60)
@given(st.data())
def test_stage_when_anything_in_it_is_damaged_then_the_next_run_has_exactly_the_rows(
    folder: Path, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as root:
        area = StagingArea(Path(root))
        stage = area.open({"source": "things"}, NOW)
        fill(stage)
        stage.close(remove=False)
        damage(data, data.draw(st.sampled_from(sorted(stage.folder.iterdir()))))
        again = area.open({"source": "things"}, NOW + timedelta(minutes=1))
        fill(again)
        assert rows_of(again) == TRUTH
        again.close(remove=True)


@examples(30)
@given(st.data())
def test_pages_when_damaged_before_they_land_then_nothing_lands_and_the_error_says_so(
    folder: Path, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as root:
        stage = StagingArea(Path(root) / "staging").open({"source": "things"}, NOW)
        fill(stage)
        path = Path(root) / "x.duckdb"
        files = stage.files()
        damage(data, data.draw(st.sampled_from([file.path for file in files])))
        load = load_of(files, data.draw(st.sampled_from([WriteMode.MERGE, WriteMode.REPLACE])))
        problem = ""
        try:
            land(Database(path), load)
        except StageDamagedError as error:
            problem = str(error)
        assert "slice-0000" in problem or landed_rows(path) == TRUTH
        stage.close(remove=True)


def test_manifest_when_a_number_in_it_is_smaller_then_all_rows_land(tmp_path: Path) -> None:
    area = StagingArea(tmp_path)
    stage = area.open({"source": "things"}, NOW)
    fill(stage)
    stage.close(remove=False)
    manifest = stage.folder / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace('"rows":40', '"rows":4').replace('"end":', '"end":1'))
    again = area.open({"source": "things"}, NOW)
    fill(again)
    assert land(Database(tmp_path / "x.duckdb"), load_of(again.files())).inserted == len(TRUTH)
    again.close(remove=True)


def test_pages_when_other_rows_than_promised_come_back_then_nothing_lands(tmp_path: Path) -> None:
    stage = StagingArea(tmp_path / "staging").open({"source": "things"}, NOW)
    fill(stage)
    files = stage.files()
    fewer = [StagedFile(file.path, pages=[page._replace(rows=page.rows - 1) for page in file.pages]) for file in files]
    with pytest.raises(StageDamagedError, match="39 were written"):
        land(Database(tmp_path / "x.duckdb"), load_of(tuple(fewer)))
    stage.close(remove=True)
