"""`load`: the data sources of an account, one run and one line each."""

from __future__ import annotations

import json
from datetime import date, timedelta

import pytest

import klaviyo_pipeline.definitions  # with the default days, before a test sets others
from klaviyo_pipeline import clock
from klaviyo_pipeline.analytics.tables import TABLES
from klaviyo_pipeline_tests.core import CORE
from klaviyo_pipeline_tests.transfers.workplace import Workplace

COLLECTIONS = ("metrics", "events", "templates", "lists")


def test_load_all_loads_every_source_with_a_line_each_and_again_reads_the_lookback_only(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_PARTITION_START", "2026-09-10")
    first = place.cli("load", "--all").stdout.splitlines()

    made = [f"klaviyo_analytics/{name}" for name in TABLES]
    assert [line.split(":")[0] for line in first] == [*CORE, *made]
    for name, line in zip(TABLES, first[len(CORE) :], strict=True):
        ((count,),) = place.sql(f"SELECT count(*) FROM klaviyo_analytics.{name}")
        assert count > 0
        assert f": {count:,} rows in the table" in line
    for name in COLLECTIONS:
        ((count,),) = place.sql(f"SELECT count(*) FROM klaviyo.{name}")
        assert count == len(place.truth(name)) > 0, name
        assert f"{count:,} inserted" in first[list(CORE).index(name)]
    for name in ("event_metrics", "list_profiles"):
        assert place.sql(f"SELECT count(*) > 0 FROM klaviyo.{name}") == [(True,)]

    again = {run["source"]: run for run in place.json("load", "events", "event_metrics")}
    assert all(run["inserted"] == run["updated"] == 0 and not run["error"] for run in again.values())
    for name in ("events", "event_metrics"):
        read = date.fromisoformat(again[name]["last"]) - date.fromisoformat(again[name]["first"])
        assert read == timedelta(days=CORE["events"].lookback_days)


def test_load_of_days_that_are_missing_begins_with_the_first_of_them(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_PARTITION_START", "2026-09-18")
    (events,) = place.json("load", "events")
    assert events["first"] == "2026-09-18"
    later = len(place.truth("events", "2026-09-18T00:00:00Z"))
    assert place.sql("SELECT count(*) FROM klaviyo.events") == [(later,)]

    monkeypatch.setenv("KLAVIYO_PARTITION_START", "2026-09-01")
    (events,) = place.json("load", "events")

    assert events["first"] == "2026-09-01"
    assert events["total"] == len(place.truth("events")) > later


def test_load_says_how_many_rows_are_deleted(own_place: Workplace) -> None:
    assert "deleted" not in own_place.cli("load", "metrics").stdout
    own_place.sandbox.store.delete("metrics", own_place.truth("metrics")[0]["id"])
    assert " 0 inserted, 0 updated, 1 deleted; " in own_place.cli("load", "metrics").stdout


def test_load_when_a_source_fails_loads_the_others_but_not_what_follows_from_it(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_lists_only")

    result = place.cli("load", "events", "event_metrics", "lists", exit_code=1)

    assert "events: failed: " in result.stderr
    assert "events:read" in result.stderr
    assert "event_metrics: failed: Not started: it follows from events, which failed." in result.stderr
    assert result.stdout.startswith("lists: 4 rows fetched, 4 inserted")
    assert "Traceback" not in result.output
    assert len(result.stderr.splitlines()) == 2  # not Dagster's lines on the checks that follow


def test_load_all_when_a_source_fails_makes_no_table_of_analytics_that_reads_it(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_lists_only")

    runs = {run["source"]: run for run in json.loads(place.cli("load", "--all", "--json", exit_code=1).stdout)}

    assert not runs["lists"]["error"]
    for name, table in TABLES.items():
        assert runs[f"klaviyo_analytics/{name}"]["error"].startswith("Not started: it follows from "), table.made_from


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "Name data sources, or give --all"),
        (("events", "--all"), "not both"),
        (("evnts",), "SOURCES has 'evnts', but there is no data source 'evnts'; did you mean events?"),
        (("nonsense",), "there is no data source 'nonsense'; klaviyo-pipeline sources lists all of them."),
        (("lists", "reviews", "tags"), "reviews, tags are not chosen. Set the environment variable KLAVIYO_SOURCES to"),
    ],
)
def test_load_of_nothing_that_there_is_says_what_to_name(
    place: Workplace, arguments: tuple[str, ...], says: str
) -> None:
    assert says in place.cli("load", *arguments, exit_code=2).stderr


def test_load_of_events_dated_after_today_says_how_many_wait_for_a_later_load(
    own_place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = own_place.truth("events")[0]
    monkeypatch.setenv("KLAVIYO_PARTITION_START", "2026-09-10")
    late = {"id": event["id"], "datetime": (clock.now() + timedelta(days=2)).isoformat()}
    own_place.sandbox.store.put("events", [late])

    assert "1 dated outside these days; " in own_place.cli("load", "events").stdout
    assert event["id"] not in [row_id for (row_id,) in own_place.sql("SELECT id FROM klaviyo.events")]


def test_load_without_a_key_says_so_once(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KLAVIYO_API_KEY")
    assert place.cli("load", "--all", exit_code=2).stderr.count("No Klaviyo API key") == 1


def test_load_all_builds_no_analytics_of_data_sources_that_are_not_chosen(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_SOURCES", "lists")
    shown = place.cli("load", "--all").output
    assert [line.partition(":")[0] for line in shown.splitlines()] == ["lists"]


def test_load_of_a_source_that_the_key_may_not_read_says_so_once_and_skips_the_analytics_of_it(
    place: Workplace, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_lists_only")
    monkeypatch.setenv("KLAVIYO_SOURCES", "suppressions")
    monkeypatch.setattr(klaviyo_pipeline.definitions, "defs", klaviyo_pipeline.definitions.definitions())
    result = place.cli("load", "--all")
    of_source, of_analytics = (result.output + "".join(capfd.readouterr())).splitlines()
    assert of_source.startswith("suppressions: skipped: Suppressed profiles")
    assert "profiles:read" in of_source
    name = "klaviyo_analytics/suppression_overview"
    assert of_analytics == f"{name}: skipped: It follows from suppressions, which was skipped."
