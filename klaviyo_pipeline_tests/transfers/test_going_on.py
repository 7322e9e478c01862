"""From where the last run ended: no row is missing, and none is there twice."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from klaviyo_pipeline_tests import clocks
from klaviyo_pipeline_tests.breadth import broad
from klaviyo_pipeline_tests.core import CORE
from klaviyo_pipeline_tests.transfers.workplace import Workplace

GOING_ON = [name for name, source in CORE.items() if source.time_fields and source.incremental]
SCHEMA = "klaviyo"


def windows(place: Workplace, name: str = "daily") -> list[tuple[Any, Any]]:
    """The windows in the ledger, as texts, oldest first."""
    return place.sql(
        "SELECT window_start::VARCHAR, window_end::VARCHAR FROM klaviyo.klaviyo_pipeline.ledger "
        f"WHERE source = 'transfers/{name}' ORDER BY entry"
    )


def new_row(place: Workplace, source: str, at: datetime) -> str:
    """A row that is new in Klaviyo at a moment."""
    base = place.truth(source)[0]
    when = at.isoformat()
    times = {
        "events": {"timestamp": int(at.timestamp()), "datetime": when},
        "campaigns": {"created_at": when, "updated_at": when},
    }.get(source, {"created": when, "updated": when})
    row = {"id": f"new{source[:3]}{int(at.timestamp())}", **times}
    if source == "events":
        row |= {"metric_id": base["metric_id"], "profile_id": base["profile_id"]}
    if source == "campaigns":
        row |= {"name": "New", "channel": "email", "status": "Sent"}
    (made,) = place.sandbox.store.put(source, [row])
    return str(made)


def ids(place: Workplace) -> list[str]:
    return [row[0] for row in place.sql(f"SELECT id FROM {SCHEMA}.daily ORDER BY id")]


@pytest.mark.parametrize(("source", "mode"), broad(product(GOING_ON, ("merge", "append"))))
def test_second_run_begins_where_the_first_ended_and_no_row_is_missing_or_doubled(
    own_place: Workplace, source: str, mode: str
) -> None:
    options = "{lookback_days: 0}" if mode == "merge" else "{}"
    own_place.write("daily", f"source: {source}\noptions: {options}\ndestination: {{mode: {mode}}}")
    assert own_place.run("daily").success
    first_end = datetime.fromisoformat(windows(own_place)[0][1])
    edge = new_row(own_place, source, first_end)
    clocks.advance(seconds=2)

    assert own_place.run("daily").success

    (first, second) = windows(own_place)
    assert first[0] is None
    assert second[0] == first[1]
    assert ids(own_place) == sorted(row["id"] for row in own_place.truth(source))
    assert edge in ids(own_place)


@pytest.mark.parametrize("source", GOING_ON)
def test_merge_looks_back_for_rows_that_came_late_and_doubles_none(own_place: Workplace, source: str) -> None:
    own_place.write("daily", f"source: {source}")
    assert own_place.run("daily").success
    first_end = datetime.fromisoformat(windows(own_place)[0][1])
    late = new_row(own_place, source, first_end - timedelta(hours=2))

    assert own_place.run("daily").success

    lookback = timedelta(days=CORE[source].lookback_days)
    start = datetime.fromisoformat(windows(own_place)[1][0])
    assert first_end - lookback - timedelta(seconds=1) <= start <= first_end
    expected = sorted(row["id"] for row in own_place.truth(source))
    assert ids(own_place) == (expected if lookback else [each for each in expected if each != late])


def test_two_transfers_of_one_source_do_not_share_where_they_ended(place: Workplace) -> None:
    for name in ("one", "two"):
        place.write(name, "source: lists\ndestination: {table: shared, mode: merge}")
        assert place.run(name).success

    assert windows(place, "one")[0][0] is windows(place, "two")[0][0] is None


def test_start_time_of_the_file_holds_for_the_first_run_only(place: Workplace) -> None:
    place.write("daily", "source: lists\noptions: {start_time: '2026-09-01'}\ndestination: {mode: append}")
    for _ in range(2):
        assert place.run("daily").success
        clocks.advance(seconds=1)

    (first, second) = windows(place)
    assert first[0].startswith("2026-09-01 00:00:00")
    assert second[0] == first[1]


def test_start_and_end_time_of_the_file_are_every_runs_window(place: Workplace) -> None:
    text = (
        "source: templates\noptions: {start_time: '2026-09-01', end_time: '2026-09-10'}\ndestination: {mode: replace}"
    )
    place.write("daily", text)
    for _ in range(2):
        assert place.run("daily").success

    assert {(start[:10], end[:10]) for start, end in windows(place)} == {("2026-09-01", "2026-09-10")}


def test_ticks_in_a_row_leave_no_gap_and_one_that_comes_again_reads_nothing(place: Workplace) -> None:
    place.write("daily", "source: events\ndestination: {mode: append}")
    ticks = ["2026-09-17T00:00:00+00:00", "2026-09-18T00:00:00+00:00", "2026-09-20T00:00:00+00:00"]
    for tick in [*ticks, ticks[1]]:
        assert place.run("daily", end=tick).success

    assert [(start, end[:10]) for start, end in windows(place)] == [
        (None, "2026-09-17"),
        ("2026-09-17 00:00:00+00", "2026-09-18"),
        ("2026-09-18 00:00:00+00", "2026-09-20"),
    ]
    assert ids(place) == sorted(row["id"] for row in place.truth("events", until=ticks[-1]))


def test_replace_over_the_partition_key_clears_the_window_only(own_place: Workplace) -> None:
    text = "source: events\ndestination: {mode: replace, partition_key: datetime}"
    own_place.write("daily", text)
    assert own_place.run("daily").success
    gone = own_place.truth("events", "2026-09-18T00:00:00Z", "2026-09-19T00:00:00Z")[0]["id"]
    own_place.sandbox.store.delete("events", gone)

    assert own_place.run("daily", start="2026-09-18", end="2026-09-19").success

    assert ids(own_place) == sorted(row["id"] for row in own_place.truth("events"))


def test_rewind_makes_the_next_run_begin_there(place: Workplace) -> None:
    place.write("daily", "source: lists\noptions: {lookback_days: 0}")
    assert place.run("daily").success
    place.cli("rewind", "daily", "--to", "2026-08-01T00:00:00Z")
    assert place.run("daily").success
    loads = [start for start, _end in windows(place)]
    assert loads[-1].startswith("2026-08-01 00:00:00")


HOLDER = """
    import sys, time
    from pathlib import Path
    from klaviyo_pipeline.klaviyo.staging.stage import StagingArea
    from klaviyo_pipeline.loads.run_lock import run_lock
    with run_lock("transfers/daily", StagingArea(Path(sys.argv[1])), print):
        print("held", flush=True)
        time.sleep(60)
"""


def test_runs_of_one_transfer_wait_for_each_other_and_a_killed_one_blocks_none(place: Workplace) -> None:
    from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource

    place.write("daily", "source: lists\ndestination: {mode: append}")
    area = KlaviyoDuckDBResource().staging_area().root
    program = [sys.executable, "-c", textwrap.dedent(HOLDER), str(area)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, cwd=Path.cwd()) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        command = [sys.executable, "-m", "klaviyo_pipeline.cli", "transfer", "run", "daily"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as waiting:
            assert waiting.stderr is not None
            for line in waiting.stderr:
                if f"(process {holder.pid}, since" in line and "waiting up to" in line:
                    break
            else:
                pytest.fail("the second run did not wait")
            assert waiting.poll() is None
            assert not (place.root / "data/klaviyo.duckdb").exists()
            holder.kill()
            output, errors = waiting.communicate(timeout=60)
        assert waiting.returncode == 0, errors
        assert "4 inserted" in output
    assert windows(place)[0][1] <= datetime.now(UTC).isoformat(" ")  # the process has the real clock
