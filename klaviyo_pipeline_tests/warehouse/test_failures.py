"""A landing that fails, or is killed, leaves rows, ledger and schema as they were."""

from __future__ import annotations

import pyarrow as pa
import pytest

from klaviyo_pipeline.warehouse import ledger
from klaviyo_pipeline.warehouse.errors import RowsError, StagedFileError
from klaviyo_pipeline.warehouse.landing import Sweep
from klaviyo_pipeline.warehouse.rows import StagedFile
from klaviyo_pipeline.warehouse.write_modes import WriteMode
from klaviyo_pipeline_tests.warehouse.helpers import arrow, digest, event, ids, put, query
from klaviyo_pipeline_tests.warehouse.processes import INTERRUPTED_LANDING, holding, told

MODES = [mode.value for mode in WriteMode]
SHAPE = "SELECT table_name, column_name, data_type, comment FROM duckdb_columns() ORDER BY ALL"


def state(database) -> tuple:
    return digest(database), ledger.history(database), query(database, SHAPE)


@pytest.mark.parametrize("mode", MODES)
def test_landing_when_a_value_does_not_fit_then_everything_is_as_it_was(database, mode):
    put(database, [event("a"), event("b")])
    before = state(database)
    rows = arrow([event(str(n)) for n in range(3000)]).append_column("new", pa.array(["x"] * 3000))
    values = pa.array(["1"] * 2999 + ["many"])
    rows = rows.set_column(rows.schema.get_field_index("value"), "value", values)
    with pytest.raises(RowsError, match=r"klaviyo\.events does not fit.*source column value"):
        put(database, rows, mode, extract_id="2")
    assert state(database) == before


@pytest.mark.parametrize("mode", MODES)
def test_landing_when_its_json_is_malformed_then_everything_is_as_it_was(database, mode):
    put(database, [event("a")])
    before = state(database)
    with pytest.raises(RowsError, match="Malformed JSON"):
        put(database, [event("b"), event("c", props='{"a":')], mode, extract_id="2")
    assert state(database) == before


@pytest.mark.parametrize("mode", MODES)
def test_landing_when_the_ledger_can_not_be_written_then_the_rows_go_too(database, mode, monkeypatch):
    put(database, [event("a")])
    before = state(database)

    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(ledger, "record", fail)
    with pytest.raises(KeyboardInterrupt):
        put(database, [event("b")], mode, extract_id="2")
    monkeypatch.undo()
    assert state(database) == before
    assert put(database, [event("b")], mode, extract_id="next").inserted == 1


def test_landing_when_the_first_one_fails_then_no_table_appears(database):
    with pytest.raises(RowsError):
        put(database, [event(None)])
    assert query(database, "SELECT count(*) FROM duckdb_tables()") == [(0,)]


def test_landing_when_the_sweep_fails_then_the_merge_goes_too(database):
    put(database, [event("a"), event("b")])
    before = state(database)
    with pytest.raises(Exception, match="nope"):
        put(database, [event("c")], sweep=Sweep("nope", ("x",)))
    assert state(database) == before


def test_landing_when_a_staged_file_breaks_off_in_the_middle_then_everything_is_as_it_was(database, tmp_path):
    put(database, [event("a")])
    before = state(database)
    path = tmp_path / "pages.arrows"
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, arrow([]).schema) as stream:
        for batch in arrow([event(str(n)) for n in range(5000)]).to_batches(1000):
            stream.write_batch(batch)
        end = sink.tell()
    content = bytearray(path.read_bytes())
    content[end // 2 : end // 2 + 30_000] = b"\xff" * 30_000
    path.write_bytes(content)
    with pytest.raises((StagedFileError, RowsError)):
        put(database, (StagedFile(path, end),), "replace")
    assert state(database) == before


@pytest.mark.parametrize("mode", MODES)
def test_landing_when_killed_before_its_commit_then_leaves_nothing_and_no_lock(database, mode):
    put(database, [event("a"), event("b")])
    before = state(database)
    with holding(INTERRUPTED_LANDING, told(database), mode):
        pass
    assert state(database) == before
    put(database, [event("c")], "append", extract_id="interrupted")
    assert ids(database) == ["a", "b", "c"]
