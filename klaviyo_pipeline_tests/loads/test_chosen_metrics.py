"""Events of some metrics only: named by name or id, each with a watermark of its own."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.loads import load as load_module
from klaviyo_pipeline.loads.completeness import landed_days
from klaviyo_pipeline.loads.known import Known, known_of
from klaviyo_pipeline.loads.model import Load
from klaviyo_pipeline.transfers.folder import Folder
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline_tests.incremental.support import Project
from klaviyo_pipeline_tests.orchestration.conftest import FIRST_DAY, LAST_DAY, World, failure_text, world
from klaviyo_pipeline_tests.transfers.workplace import Workplace, load_file, own_place, place, shop

__all__ = ["own_place", "place", "shop", "world"]

LINES = "SELECT details->'chosen', window_start IS NULL, rows_fetched"
END = "2026-11-21T00:00:00Z"


def metrics_by_use(place: Workplace | World) -> list[tuple[str, str]]:
    """Id and name of the shop's metrics, those with most events first; of each name one."""
    names = {row["id"]: row["name"] for row in place.truth("metrics")}
    counted = Counter(row["metric_id"] for row in place.truth("events") if row["metric_id"])
    once = {names[id_]: id_ for id_, _count in reversed(counted.most_common())}
    return [(id_, name) for name, id_ in reversed(once.items())]


def ids_of(place: Workplace | World, *names: str, since: str | None = None, until: str | None = None) -> list[str]:
    """The ids of the events of all metrics of these names, from a time on and before another."""
    chosen = {row["id"] for row in place.truth("metrics") if row["name"] in names}
    return sorted(row["id"] for row in place.truth("events", since, until) if row["metric_id"] in chosen)


def chosen(*words: str, window: tuple[str, str] | None = None, **destination: str) -> str:
    start, end = window or ("", "")
    within = f"\n  start_time: {start}\n  end_time: {end}" if window else ""
    lands = "".join(f"\n  {name}: {value}" for name, value in {"table": "events", **destination}.items())
    return f"source: events\noptions:\n  metrics: {list(words)}{within}\ndestination:{lands}\n"


def landed(place: Workplace, *more: str) -> list[Any]:
    return [row[0] for row in place.sql(f"SELECT id FROM klaviyo.events {' '.join(more)} ORDER BY 1")]


def test_metrics_by_name_and_by_id_have_their_events_and_no_others(place: Workplace) -> None:
    (_id, name), (other, other_name), *_rest = metrics_by_use(place)
    place.write("some", chosen(name, other))
    assert place.run("some").success
    assert landed(place) == ids_of(place, name, other_name) != []
    rows = place.json("preview", "some", "--rows", "1000")["rows"]
    assert {row["metric_id"] for row in rows} == {row[0] for row in place.sql("SELECT metric_id FROM klaviyo.events")}


def test_metric_that_does_not_exist_is_an_error_with_the_names_that_are_like_it(place: Workplace) -> None:
    name = metrics_by_use(place)[0][1]
    place.write("some", chosen(name, f"{name.lower()}s", "qqqqqqqq"))
    outcome = place.run("some")
    assert (outcome.success, Path("data/klaviyo.duckdb").exists()) == (False, False)
    assert f"The account has no metric '{name.lower()}s' (metrics); similar names: " in outcome.message
    assert repr(name) in outcome.message
    assert "no metric 'qqqqqqqq' (metrics)." in outcome.message
    assert "no metric" in place.cli("preview", "some", exit_code=2).stderr


def test_two_metrics_of_one_name_are_both_read(own_place: Workplace) -> None:
    (first, name), (second, _name), *_rest = metrics_by_use(own_place)
    own_place.sandbox.store.put("metrics", [{"id": second, "name": name}])
    own_place.write("some", chosen(name))
    assert own_place.run("some").success
    assert {row[0] for row in own_place.sql("SELECT metric_id FROM klaviyo.events")} == {first, second}
    assert landed(own_place) == ids_of(own_place, name)


@pytest.mark.parametrize("mode", ["merge", "append"])
def test_metric_that_is_chosen_later_gets_its_history_and_the_others_are_not_read_from_the_beginning(
    place: Workplace, mode: str
) -> None:
    (_id, name), (_other, other), *_rest = metrics_by_use(place)
    place.write("some", chosen(name, mode=mode))
    assert place.run("some").success
    assert landed(place) == ids_of(place, name)
    place.write("some", chosen(name, other, mode=mode))
    assert place.run("some").success
    assert landed(place) == ids_of(place, name, other)
    lines = place.sql(f"{LINES} FROM klaviyo_pipeline.ledger ORDER BY entry")
    assert [line[1] for line in lines[:2]] == [True, True]
    assert not any(line[1] for line in lines[2:])
    assert lines[1][2] == len(ids_of(place, other)), "its history, and nothing of the other metric"
    before = place.sql("SELECT id, _run_id FROM klaviyo.events ORDER BY ALL")
    assert place.run("some").success
    assert place.sql("SELECT id, _run_id FROM klaviyo.events ORDER BY ALL") == before
    again = place.sql(f"{LINES} FROM klaviyo_pipeline.ledger ORDER BY entry")[len(lines) :]
    assert not any(line[1] for line in again)


@pytest.mark.parametrize(("first_day", "loads"), [(10, [1, 1]), (14, [2])])
def test_window_of_more_than_a_week_is_read_metric_by_metric_and_each_load_reads_its_state_once(
    place: Workplace, monkeypatch: pytest.MonkeyPatch, first_day: int, loads: list[int]
) -> None:
    """Only a load of one metric can land in parts."""
    (_id, name), (_other, other), *_rest = metrics_by_use(place)
    start, end = f"2026-09-{first_day}T00:00:00Z", "2026-09-20T00:00:00Z"
    place.write("some", chosen(name, other, window=(start, end)))
    read: list[Load] = []

    def counted(load: Load, key: str) -> Known:
        read.append(load)
        return known_of(load, key)

    monkeypatch.setattr(load_module, "known_of", counted)
    load_file(Folder().get("some"))
    assert landed(place) == ids_of(place, name, other, since=start, until=end) != []
    lines = place.sql("SELECT len(json_keys(details->'chosen')) FROM klaviyo_pipeline.ledger ORDER BY entry")
    assert [metrics for (metrics,) in lines] == loads
    assert len(read) == len(loads)


def test_all_metrics_after_some_are_read_from_the_beginning(place: Workplace) -> None:
    name = metrics_by_use(place)[0][1]
    place.write("some", chosen(name))
    assert place.run("some").success
    place.write("some", "source: events\ndestination: {table: events}\n")
    assert place.run("some").success
    assert landed(place) == sorted(row["id"] for row in place.truth("events"))


def test_replaced_window_of_some_metrics_keeps_the_rows_of_others(own_place: Workplace) -> None:
    (metric, name), (_other, other), *_rest = metrics_by_use(own_place)
    own_place.write("all", "source: events\ndestination: {table: events}\n")
    assert own_place.run("all").success
    gone = next(row for row in own_place.truth("events") if row["metric_id"] == metric)["id"]
    own_place.sandbox.store.delete("events", gone)
    own_place.write("some", chosen(name, mode="replace", partition_key="datetime"))
    assert own_place.run("some", start="2026-09-01T00:00:00", end="2026-10-01T00:00:00").success
    assert gone not in landed(own_place)
    assert set(ids_of(own_place, name, other)) <= set(landed(own_place))
    assert len(landed(own_place)) == len(own_place.truth("events"))


def test_days_of_the_asset_count_as_landed_for_the_metrics_that_were_read_and_counts_agree(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    (_id, name), (_other, other), *_rest = metrics_by_use(world)
    monkeypatch.setenv("KLAVIYO_METRICS", name)
    project, days = Project(world), (FIRST_DAY, LAST_DAY)
    project.load("events", "event_metrics", days=days)
    assert world.column("SELECT id FROM klaviyo.events ORDER BY 1") == ids_of(world, name, until=END)

    def complete(*metrics: str) -> int:
        database, zone = Database(world.path), ZoneInfo("UTC")
        first, last = (date.fromisoformat(day) for day in days)
        names = metrics or None
        return len(landed_days(database, SOURCES["events"], "klaviyo.events", zone, first, last, chosen=names).complete)

    assert [complete(name), complete(name, other), complete()] == [complete(name), 0, 0]
    assert complete(name) > 6
    compared = project.events_compared(chosen=[name])
    assert compared.is_even
    assert (compared.metrics, compared.events) == (1, len(ids_of(world, name, until=END)))

    result = world.run("events", days=days, config={"metrics": [other]})
    assert result.success
    assert complete(other) == 0, "a run of other metrics than the asset's own does not count as a landed day"
    monkeypatch.setenv("KLAVIYO_METRICS", f"{name}, {other}")
    project.load("events", days=days)
    assert complete(name, other) == complete(name)
    assert world.column("SELECT id FROM klaviyo.events ORDER BY 1") == ids_of(world, name, other, until=END)
    monkeypatch.setenv("KLAVIYO_METRICS", "nothing like it")
    assert "no metric 'nothing like it'" in failure_text(world.run("events", days=days))
