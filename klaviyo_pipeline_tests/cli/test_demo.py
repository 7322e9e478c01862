"""`demo` and `with-sandbox`: the same shop at any time, and never beside an account's rows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

import klaviyo_pipeline.definitions  # noqa: F401 - with the default days, before a demo sets others
from klaviyo_pipeline import environment
from klaviyo_pipeline.demo import DemoRun, klaviyo_or_sandbox, run_demo
from klaviyo_pipeline.sandbox import server
from klaviyo_pipeline_tests import clocks
from klaviyo_pipeline_tests.clocks import shifted
from klaviyo_pipeline_tests.soaking import SOAK
from klaviyo_pipeline_tests.transfers.workplace import UNTIL, Workplace

Contents = dict[str, list[tuple[Any, ...]]]


def contents(file: Path) -> Contents:
    """Every row of every table; without the ledger, which has a line for each load, and when the account was read."""
    with duckdb.connect(str(file), read_only=True) as connection:
        tables = connection.execute(
            "SELECT table_schema, table_name FROM information_schema.tables WHERE table_name <> 'ledger' ORDER BY ALL"
        ).fetchall()
        return {
            f"{schema}.{name}": connection.execute(
                f"""SELECT COLUMNS(lambda c: c <> 'read_at') FROM "{schema}"."{name}" ORDER BY ALL"""
            ).fetchall()
            for schema, name in tables
        }


SMALL = ("--events", "2000", "--profiles", "300", "--campaigns", "12")
"""A tenth of the demo's shop: what differs from day to day shows as well."""
SMALL_DEMO = f"""
from functools import partial
from klaviyo_pipeline.cli import main
from klaviyo_pipeline.sandbox import server
server.sandbox_process = partial(server.sandbox_process, *{SMALL})
main()
"""


def demo(folder: Path, at: datetime, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`klaviyo-pipeline demo` of a small shop, in a folder of its own, with a clock that shows another time.

    A soak loads all data sources of a demo; other runs those that have every way of reading.
    """
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("KLAVIYO_", "DAGSTER_"))}
    if SOAK <= 1:
        plain["KLAVIYO_SOURCES"] = "core"
    return subprocess.run(
        [sys.executable, "-c", SMALL_DEMO, "demo", *arguments],
        cwd=folder,
        env=shifted.environment(at, plain),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(not shifted.LIBRARIES, reason="libfaketime is not installed")
@pytest.mark.timeout(1500)
@pytest.mark.long
def test_demo_in_another_process_a_month_later_changes_no_row(tmp_path: Path) -> None:
    start = datetime.now(UTC).replace(minute=50) + timedelta(days=1)
    first = demo(tmp_path, start, "--days", "3")
    assert first.returncode == 0, first.stdout + first.stderr
    before = contents(tmp_path / "data" / "klaviyo.duckdb")
    assert len(before["main.events"]) > 100

    again = demo(tmp_path, start + timedelta(days=31), "--days", "3")

    assert again.returncode == 0, again.stdout + again.stderr
    assert "differs" not in again.stdout
    assert contents(tmp_path / "data" / "klaviyo.duckdb") == before


@pytest.fixture
def small_sandboxes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "sandbox_process", partial(server.sandbox_process, *SMALL))


@pytest.fixture
def without_key(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    """A folder where no account is set."""
    for name in ("KLAVIYO_API_KEY", "KLAVIYO_BASE_URL"):
        monkeypatch.delenv(name)
    return place


def rows(run: DemoRun) -> dict[str, int]:
    return {row.table: row.rows for row in run.rows}


@pytest.mark.timeout(1500)  # four demos, on a machine that is busy
@pytest.mark.long
def test_demo_of_fewer_or_more_days_an_hour_or_a_month_later_compares_only_these_and_changes_no_row(
    without_key: Workplace, small_sandboxes: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    runs, left, first_days = [], [], []
    for days, later in ((2, {}), (5, {"hours": 1}), (1, {"hours": 2}), (5, {"days": 31})):
        with clocks.started_at(clocks.NOW + timedelta(**later)), klaviyo_or_sandbox(days) as sandbox:
            first_days.append(environment.PARTITION_START.value)
            runs.append(run_demo(days, sandbox))
        left.append(contents(tmp_path / "data" / "klaviyo.duckdb"))

    assert all(row.is_right for run in runs for row in run.rows), runs
    few, more, fewest, again = (rows(run) for run in runs)
    for table in ("events", "event_metrics", "event_profiles", "profiles"):
        assert fewest[table] < few[table] < more[table]
    assert fewest["lists"] == few["lists"] == more["lists"] > 0
    assert {run.last for run in runs} == {clocks.NOW.date()}
    assert again == more
    assert left[3] == left[2] == left[1]
    filled = dg.DagsterInstance.get().get_materialized_partitions(dg.AssetKey(["klaviyo", "events"]))
    days_ago = {ago: (clocks.NOW - timedelta(days=ago)).date().isoformat() for ago in range(6)}
    assert sorted(filled) == sorted(days_ago.values())
    assert first_days == [days_ago[ago] for ago in (2, 5, 5, 5)]
    of_location = dg.RunsFilter(tags={".dagster/repository": "__repository__@klaviyo_pipeline"})
    assert len(dg.DagsterInstance.get().get_runs(of_location)) == 2 * len(runs)  # the loads, and klaviyo_status


def test_with_sandbox_a_second_time_has_the_shop_of_the_first(without_key: Workplace, small_sandboxes: None) -> None:
    def ids() -> list[str]:
        with klaviyo_or_sandbox() as sandbox:
            assert sandbox is not None
            without_key.write("lists", "source: lists")
            assert without_key.run("lists").success
            truth: Any = sandbox.admin("GET", "truth/lists")
            return [row["id"] for row in truth]

    first = ids()
    clocks.advance(hours=1)

    assert ids() == first


def loaded(place: Workplace) -> Contents:
    """Lands a data source from the workplace's account in the default database, and gives what it has then."""
    place.write("kinds", "source: metrics")
    place.cli("transfer", "run", "kinds", "-q")
    return contents(place.root / "data" / "klaviyo.duckdb")


@pytest.mark.parametrize("command", [("demo",), ("with-sandbox", "klaviyo-pipeline", "transfer", "run", "kinds")])
def test_sandbox_is_refused_where_an_account_has_rows_and_changes_none(
    place: Workplace, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    before = loaded(place)
    monkeypatch.delenv("KLAVIYO_API_KEY")

    refused = place.cli(*command, exit_code=2)

    assert "has rows that no sandbox" in refused.stderr
    assert "KLAVIYO_DUCKDB_PATH=data/demo.duckdb" in refused.stderr
    assert contents(place.root / "data" / "klaviyo.duckdb") == before


def test_load_of_a_sandbox_is_refused_in_a_file_that_only_the_transfer_names(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = loaded(place)
    place.write("other", "source: metrics\ndestination: {database: data/klaviyo.duckdb, table: more}")
    monkeypatch.setenv("KLAVIYO_DUCKDB_PATH", "data/demo.duckdb")
    monkeypatch.setenv("KLAVIYO_SANDBOX_END", UNTIL)

    refused = place.cli("transfer", "run", "other", exit_code=1)

    assert "has rows that no sandbox" in refused.stderr
    assert contents(place.root / "data" / "klaviyo.duckdb") == before


@pytest.mark.parametrize("command", [("demo", "--days", "1"), ("transfer", "run", "kinds")])
def test_account_is_refused_where_a_sandbox_has_rows_before_a_request_is_sent(
    place: Workplace, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setenv("KLAVIYO_SANDBOX_END", UNTIL)
    before = loaded(place)
    assert before["klaviyo_pipeline.sandbox"] == [(datetime.fromisoformat(UNTIL),)]
    monkeypatch.delenv("KLAVIYO_SANDBOX_END")
    place.sandbox.reset_counts()

    refused = place.cli(*command, exit_code=None)

    assert refused.exit_code in {1, 2}
    assert "has the rows of a sandbox" in refused.stderr
    assert "KLAVIYO_DUCKDB_PATH=data/account.duckdb" in refused.stderr
    assert contents(place.root / "data" / "klaviyo.duckdb") == before
    assert place.sandbox.counts()["total"] == 0


def test_sandbox_with_another_history_is_refused(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_SANDBOX_END", UNTIL)
    before = loaded(place)
    monkeypatch.setenv("KLAVIYO_SANDBOX_END", "2026-10-01T00:00:00+00:00")

    refused = place.cli("transfer", "run", "kinds", exit_code=1)

    assert "another sandbox, whose history ends at 2026-09-20T12:00:00+00:00" in refused.stderr
    assert contents(place.root / "data" / "klaviyo.duckdb") == before


def test_demo_of_an_account_says_that_nothing_was_compared_and_asks_for_no_key(place: Workplace) -> None:
    shown = place.cli("demo", "--days", "1").stdout

    assert "The demo did not compare the rows with your account" in shown
    assert "in Klaviyo" not in shown
    assert "export KLAVIYO_API_KEY" not in shown
    total = re.search(r"in (\d+) s\.$", shown, re.MULTILINE)
    parts = re.search(r"^Of these: (.*)\.$", shown, re.MULTILINE)
    assert total
    assert parts
    seconds = [float(part) for part in re.findall(r"([\d.]+) s for", parts[1])]
    assert len(seconds) == 5
    assert abs(sum(seconds) - float(total[1])) < 0.8  # each is rounded
