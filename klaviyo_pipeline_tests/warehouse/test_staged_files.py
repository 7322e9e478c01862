"""Rows from staged files: streams, torn tails, Parquet, and files that are wrong."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from klaviyo_pipeline.warehouse.errors import RowsError, StagedFileError, TableShapeError
from klaviyo_pipeline.warehouse.rows import StagedFile
from klaviyo_pipeline_tests.warehouse.helpers import SCHEMA, arrow, contents, event, ids, put


def stage(path: Path, *pages: list[dict], compression: str | None = "lz4", end: bool = True) -> list[int]:
    """Writes a stream, a page a batch; returns where each page ends."""
    ends = []
    sink = pa.OSFile(str(path), "wb")
    writer = pa.ipc.new_stream(sink, SCHEMA, options=pa.ipc.IpcWriteOptions(compression=compression))
    for page in pages:
        writer.write_batch(arrow(page).combine_chunks().to_batches()[0])
        ends.append(sink.tell())
    if end:
        writer.close()
    sink.close()
    return ends


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
@pytest.mark.parametrize("end", [True, False])
def test_streams_when_several_then_all_pages_land_in_order(database, tmp_path, compression, end):
    stage(tmp_path / "1.arrows", [event("a", value=1)], [event("b")], compression=compression, end=end)
    stage(tmp_path / "2.arrows", [event("a", value=2), event("c")], compression=compression, end=end)
    result = put(database, (tmp_path / "1.arrows", str(tmp_path / "2.arrows")))
    assert (result.rows_fetched, result.inserted) == (4, 3)
    assert contents(database)[0]["value"] == 2


def test_stream_when_its_tail_is_torn_then_only_the_valid_part_lands(database, tmp_path):
    path = tmp_path / "1.arrows"
    ends = stage(path, [event("a")], [event("b")], [event("c")], end=False)
    path.write_bytes(path.read_bytes()[: ends[2] - 40])
    assert put(database, (StagedFile(path, ends[1]),)).inserted == 2
    assert ids(database) == ["a", "b"]


def test_stream_when_nothing_of_it_is_valid_then_it_may_be_missing(database, tmp_path):
    assert put(database, (StagedFile(tmp_path / "none.arrows", 0),)).total_rows == 0


def test_stream_when_torn_and_nobody_vouches_then_nothing_lands(database, tmp_path):
    path = tmp_path / "1.arrows"
    ends = stage(path, [event("a")], [event("b")], end=False)
    put(database, [event("before")])
    path.write_bytes(path.read_bytes()[: ends[1] - 40])
    with pytest.raises(StagedFileError, match=r"1\.arrows can't be read"):
        put(database, (path,))
    assert ids(database) == ["before"]


def test_stream_when_shorter_than_vouched_for_then_nothing_lands(database, tmp_path):
    path = tmp_path / "1.arrows"
    ends = stage(path, [event("a")], [event("b")], end=False)
    path.write_bytes(path.read_bytes()[: ends[0]])
    with pytest.raises(StagedFileError, match="cut short"):
        put(database, (StagedFile(path, ends[1]),))


@pytest.mark.parametrize("name", ["x.arrows", "x.parquet"])
@pytest.mark.parametrize("content", [None, b"", b"no such thing"])
def test_file_when_missing_or_of_another_form_then_says_which(database, tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(StagedFileError, match=name):
        put(database, (tmp_path / name,))


def test_parquet_when_staged_then_lands_like_a_stream(database, tmp_path):
    pq.write_table(arrow([event("a"), event("b")]), tmp_path / "1.parquet", compression="zstd")
    stage(tmp_path / "2.arrows", [event("c")])
    assert put(database, (tmp_path / "1.parquet", tmp_path / "2.arrows")).inserted == 3
    assert put(database, (tmp_path / "1.parquet",)).unchanged == 2


def test_files_when_their_columns_differ_then_missing_ones_are_null(database, tmp_path):
    pq.write_table(arrow([event("a")]).append_column("more", pa.array([1])), tmp_path / "1.parquet")
    stage(tmp_path / "2.arrows", [event("b")])
    put(database, (tmp_path / "2.arrows", tmp_path / "1.parquet"))
    assert [row["more"] for row in contents(database)] == [1, None]


def test_files_when_they_disagree_on_a_type_then_says_so(database, tmp_path):
    pq.write_table(arrow([event("a")]).append_column("more", pa.array([1])), tmp_path / "1.parquet")
    pq.write_table(arrow([event("b")]).append_column("more", pa.array(["x"])), tmp_path / "2.parquet")
    with pytest.raises(RowsError, match="disagree"):
        put(database, (tmp_path / "1.parquet", tmp_path / "2.parquet"))


def test_files_when_their_columns_differ_in_case_then_says_so(database, tmp_path):
    pq.write_table(arrow([event("a")]).append_column("more", pa.array([1])), tmp_path / "1.parquet")
    pq.write_table(arrow([event("b")]).append_column("More", pa.array([1])), tmp_path / "2.parquet")
    with pytest.raises(TableShapeError, match="differ at most in case"):
        put(database, (tmp_path / "1.parquet", tmp_path / "2.parquet"))


def test_reader_when_given_then_is_read_although_it_can_be_read_only_once(database):
    put(database, [event("a")])
    table = arrow([event("a"), event("b", value=1)])
    result = put(database, pa.RecordBatchReader.from_batches(SCHEMA, iter(table.to_batches())))
    assert (result.inserted, result.unchanged) == (1, 1)


def test_no_files_when_given_then_the_table_is_created_empty(database):
    assert put(database, ()).total_rows == 0
    assert contents(database) == []
