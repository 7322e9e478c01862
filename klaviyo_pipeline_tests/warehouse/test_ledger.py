"""Where the last run ended, rewinding, history and coverage."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from klaviyo_pipeline.warehouse import ledger
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.interface import transaction
from klaviyo_pipeline.warehouse.landing import Sweep
from klaviyo_pipeline_tests.soaking import examples
from klaviyo_pipeline_tests.warehouse.helpers import day, event, loads_of, put, query

EVENTS = "klaviyo.events"


def test_last_window_end_when_nothing_was_landed_then_is_none(database):
    assert loads_of(database, "events", EVENTS).last_end() is None
    assert ledger.history(database) == []
    assert ledger.coverage(database, "events") == []
    assert not database.exists()


def test_last_window_end_when_windows_were_landed_then_is_the_latest(database):
    for window in ((None, day(5)), (day(5), day(9)), (day(2), day(3))):
        put(database, [], window=window)
    assert loads_of(database, "events", EVENTS).last_end() == day(9)


def test_last_window_end_when_loads_had_no_window_then_is_none(database):
    put(database, [event("a")])
    assert loads_of(database, "events", EVENTS).last_end() is None


def test_last_window_end_when_other_sources_and_tables_landed_then_ignores_them(database):
    put(database, [], window=(None, day(5)))
    assert loads_of(database, "profiles", EVENTS).last_end() is None
    assert loads_of(database, "events", "other.events").last_end() is None


def test_rewind_when_ordered_then_the_next_run_starts_there_until_a_load_moves_on(database):
    put(database, [], window=(None, day(9)))
    ledger.rewind(database, "events", day(3))
    assert loads_of(database, "events", EVENTS).last_end() == day(3)
    put(database, [], window=(day(3), day(4)))
    assert loads_of(database, "events", EVENTS).last_end() == day(4)


def test_rewind_when_for_one_table_then_leaves_the_others(database):
    put(database, [], window=(None, day(9)))
    ledger.rewind(database, "events", day(3), table="klaviyo.other")
    assert loads_of(database, "events", EVENTS).last_end() == day(9)
    assert loads_of(database, "events", "klaviyo.other").last_end() == day(3)


def test_rewind_when_the_database_is_missing_then_is_remembered(database):
    ledger.rewind(database, "events", day(3))
    assert loads_of(database, "events", EVENTS).last_end() == day(3)


def test_coverage_when_windows_touch_or_overlap_then_are_merged(database):
    for window in ((day(1), day(2)), (day(8), day(9)), (day(2), day(4)), (day(3), day(5)), (day(8), day(8, 3))):
        put(database, [], window=window)
    assert ledger.coverage(database, "events") == [(day(1), day(5)), (day(8), day(9))]


def test_coverage_when_a_window_began_with_the_source_then_has_no_start(database):
    put(database, [], window=(day(1), day(2)))
    put(database, [], window=(None, day(1)))
    assert ledger.coverage(database, "events") == [(None, day(2))]


def test_history_when_a_load_was_rich_then_everything_is_remembered(database):
    put(database, [event("a"), event("b")], sweep=Sweep())
    put(
        database,
        [event("a", value=1), event("c")],
        sweep=Sweep(),
        run_id="run-2",
        extract_id="extract-2",
        window=(day(1), day(2)),
        filter_field="datetime",
        revision="2026-07-15",
        rows_fetched=17,
        requests=3,
        duration_s=1.5,
        details={"lookback_days": 7},
        partitions=(),
    )
    entry = ledger.history(database, "events", limit=1)[0]
    assert (entry.kind, entry.source, entry.table_name, entry.write_mode) == ("load", "events", EVENTS, "merge")
    assert (entry.inserted, entry.updated, entry.unchanged, entry.deleted, entry.total_rows) == (1, 1, 0, 1, 3)
    assert (entry.rows_fetched, entry.requests, entry.duration_s) == (17, 3, 1.5)
    assert (entry.run_id, entry.extract_id, entry.revision) == ("run-2", "extract-2", "2026-07-15")
    assert (entry.window_start, entry.window_end, entry.filter_field) == (day(1), day(2), "datetime")
    assert entry.details == {"lookback_days": 7}
    assert entry.landed_at is not None
    assert entry.landed_at.tzinfo is not None


def test_history_when_partitions_were_replaced_then_tells_them(database):
    spans = ((day(1), day(2)), (day(4), day(5)))
    put(database, [], "replace", partition_key="at", partitions=spans)
    assert ledger.history(database)[0].partitions == spans
    assert query(database, "SELECT partitions->>'$[0][0]' FROM klaviyo_pipeline.ledger") == [
        ("2024-01-01T00:00:00+00:00",)
    ]


def test_history_when_an_older_ledger_lacks_a_column_then_still_reads_and_writes(database):
    put(database, [event("a")])
    with database.writing() as con:
        for column in ("revived", "rows_outside_window", "rows_repeated"):
            con.execute(f"ALTER TABLE klaviyo_pipeline.ledger DROP COLUMN {column}")
    assert ledger.history(database)[0].inserted == 1
    put(database, [event("a")])
    entries = ledger.history(database)
    assert [entry.revived for entry in entries] == [0, None]
    assert [(entry.rows_outside_window, entry.rows_repeated) for entry in entries] == [(0, 0), (None, None)]


_days = st.integers(1, 9).map(day)
_line = st.builds(
    ledger.Entry,
    kind=st.sampled_from(["load", "load", "load", "rewind"]),
    source=st.sampled_from(["events", "events", "profiles"]),
    table_name=st.sampled_from([EVENTS, EVENTS, "klaviyo.other", None]),
    filter_field=st.sampled_from(["datetime", "created", None]),
    window_start=_days | st.none(),
    window_end=_days | st.none(),
    landed_at=_days,
    details=st.sampled_from([{}, *({ledger.PART: {"of": of, "last": last}} for of in "ab" for last in (True, False))]),
)


@examples(12)
@given(lines=st.lists(_line, max_size=12), now=_days)
def test_loads_when_read_in_short_then_decide_as_all_lines_do(lines: list[ledger.Entry], now) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "warehouse.duckdb")
        with database.writing() as con, transaction(con):
            for line in lines:
                ledger.record(con, line)
        entries = [each for each in ledger.history(database, "events")[::-1] if each.table_name in (EVENTS, None)]
        short = loads_of(database, "events", EVENTS, now)
    rewinds = [number for number, each in enumerate(entries) if each.kind == "rewind"]
    since = entries[rewinds[-1] :] if rewinds else entries
    every = ledger.Loads([each for each in since if each.kind == "load"], since[0] if rewinds else None)
    for field in ("datetime", "created", None):
        for not_after in (None, now):
            assert short.last_window(field, not_after) == every.last_window(field, not_after)
    assert [short.cut_off(of) for of in "ab"] == [every.cut_off(of) for of in "ab"]


def test_ledger_when_it_has_a_hundred_thousand_lines_then_a_load_reads_few_of_them(database):
    put(database, [], window=(day(1), day(2)), filter_field="at")
    name = "klaviyo_pipeline.ledger"
    with database.writing() as con:
        con.execute(
            f"INSERT INTO {name} SELECT ledger.* REPLACE (entry + n AS entry, "
            "window_start + to_hours(n) AS window_start, window_end + to_hours(n) AS window_end) "
            f"FROM {name}, range(1, 100001) AS counted(n)"
        )
    loads = loads_of(database, "events", EVENTS, now=day(4))
    assert [each.window_end for each in loads.entries] == [day(4), day(2, 100_000)]
    assert ledger.coverage(database, "events", EVENTS) == [(day(1), day(2, 100_000))]
