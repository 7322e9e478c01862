"""The plot on an asset's page: a real image of what has landed, once a run, and never in a load's way."""

from __future__ import annotations

import base64
import io
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from PIL import Image

from klaviyo_pipeline.charts import drawing
from klaviyo_pipeline.charts.counting import OTHERS
from klaviyo_pipeline.charts.model import Chart, Step
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.extract.model import ExtractRequest
from klaviyo_pipeline.klaviyo.windows import Window
from klaviyo_pipeline.orchestration.assets import plots
from klaviyo_pipeline.orchestration.assets.plots import PLOTS, chart_of_source
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline_tests.orchestration.conftest import FIRST_DAY, LAST_DAY, PARTITIONED, World


def plots_of(result: dg.ExecuteInProcessResult, source: str) -> dict[str | None, Image.Image]:
    """The images of a run's materializations, by partition."""
    found = {}
    for materialization in result.asset_materializations_for_node(f"klaviyo__{source}"):
        value: Any = materialization.metadata.get("plot")
        if value is not None:
            text = value.md_str
            assert text.startswith("![")
            png = base64.b64decode(text.partition("base64,")[2].rstrip(")"))
            assert len(png) < 60_000
            found[materialization.partition] = Image.open(io.BytesIO(png))
    return found


def is_blank(image: Image.Image) -> bool:
    """Whether there are no bars on an image."""
    colours = {colour for _count, colour in image.convert("RGB").getcolors(1_000) or []}
    return not colours & {tuple(bytes.fromhex(colour[1:])) for colour in drawing.COLOURS}


def test_every_data_source_with_a_time_has_a_plot_of_what_landed(world: World) -> None:
    names = ["metrics", "lists", "templates", "events", "event_metrics", "profiles", "campaigns", "list_profiles"]
    result = world.run(*names, days=LAST_DAY)
    assert result.success

    for name in names:
        images = plots_of(result, name)
        if name not in PLOTS:
            assert not images
            continue
        assert list(images) == [LAST_DAY if name in PARTITIONED else None]
        assert not any(is_blank(image) for image in images.values())


def test_plot_first_rows_and_numbers_of_the_run_are_kept_once(world: World) -> None:
    result = world.run("events", days=(FIRST_DAY, LAST_DAY))

    made = result.asset_materializations_for_node("klaviyo__events")
    assert len(made) == 8
    assert [each.partition for each in made if "plot" in each.metadata] == [LAST_DAY]
    (trend,) = [each.metadata["trend"] for each in made if "trend" in each.metadata]
    assert sum(int(record.data["total"].replace(",", "")) for record in trend.records) == len(
        world.truth("events", FIRST_DAY, f"{LAST_DAY}T23:59:59.999999Z")
    )
    assert [each.partition for each in made if "first_rows" in each.metadata] == [LAST_DAY]
    for name in ("pages", "requests", "total_seconds", "rate_limit_used", "window"):
        days = [each.partition for each in made if name in each.metadata]
        assert days == ([each.partition for each in made] if name == "window" else [LAST_DAY])


def test_plotted_events_are_those_of_the_table_by_metric_and_hour(world: World) -> None:
    zone = ZoneInfo("America/New_York")
    world.timezone = zone.key
    assert world.run("events", "metrics", days=("2026-11-14", "2026-11-18")).success

    start, end = datetime(2026, 11, 14, tzinfo=zone), datetime(2026, 11, 19, tzinfo=zone)
    chart = chart_of_source(Database(world.path), SOURCES["events"], "klaviyo", "events", zone, start, end)

    assert chart is not None
    assert (chart.timezone, chart.step) == (zone.key, Step.HOUR)
    names = {row["id"]: row["name"] for row in world.truth("metrics")}
    events = world.truth("events", "2026-11-14T05:00:00Z", "2026-11-19T05:00:00Z")
    assert sum(series.total for series in chart.series) == len(events)
    largest = chart.series[0]
    hours = [
        sum(
            names.get(event["metric_id"]) == largest.name
            and event["timestamp"] // 3600 == int(begins.timestamp()) // 3600
            for event in events
        )
        for begins in chart.bins
    ]
    assert list(largest.values) == hours
    assert sum(hours) > 10


def test_load_when_its_plot_fails_lands_and_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_chart: object) -> bytes:
        raise OSError("no letters here")

    monkeypatch.setattr(drawing, "draw", fail)
    result = world.run("events", days="2026-11-18")

    assert result.success
    assert not plots_of(result, "events")
    assert world.sql("SELECT count(*) > 0 FROM klaviyo.events") == [(True,)]


def test_chart_of_a_load_gives_up_on_a_database_that_others_hold(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert world.run("events", days="2026-11-18").success
    monkeypatch.setattr(plots, "_PATIENCE_S", 0.2)
    day = datetime(2026, 11, 18, tzinfo=UTC)
    request = ExtractRequest(SOURCES["events"], Window(day, day + timedelta(days=1), day + timedelta(days=2)))
    database, said = Database(world.path), list[str]()

    with database.writing():
        assert (
            plots.plotted(
                lambda: plots.chart_of_load(database, request, "klaviyo", "events", ZoneInfo("UTC")), said.append
            )
            == {}
        )
    assert "DatabaseBusyError" in said[0]
    assert plots.chart_of_load(database, request, "klaviyo", "events", ZoneInfo("UTC")) is not None


def test_run_that_finds_nothing_has_no_plot(world: World) -> None:
    result = world.run("events", days="2024-06-01")

    assert result.success
    assert not plots_of(result, "events")


def test_members_who_left_are_not_plotted(world: World) -> None:
    config = {"incremental": False}
    assert world.run("list_profiles", config=config).success
    list_id = world.truth("members")[0]["list_id"]
    gone = [row["profile_id"] for row in world.truth("members") if row["list_id"] == list_id]
    for profile_id in gone[1:]:
        world.sandbox.store.remove_member(list_id, profile_id)
    assert world.run("list_profiles", config={**config, "accept_shrink": True}).success

    chart = chart_of_source(Database(world.path), SOURCES["list_profiles"], "klaviyo", "list_profiles", ZoneInfo("UTC"))

    assert chart is not None
    assert sum(series.values[-1] for series in chart.series) == len(world.truth("members"))


@pytest.mark.parametrize(("source", "names"), [("events", "metrics"), ("list_profiles", "lists")])
def test_chart_after_a_first_load_has_names_and_no_ids(
    world: World, monkeypatch: pytest.MonkeyPatch, source: str, names: str
) -> None:
    drawn, draw = list[Chart](), drawing.draw
    monkeypatch.setattr(drawing, "draw", lambda chart: (drawn.append(chart), draw(chart))[1])

    assert world.run(source, days="2026-11-18" if source in PARTITIONED else None).success

    known = {row["name"] for row in world.truth(names)}
    shown = {series.name for chart in drawn for series in chart.series} - {OTHERS}
    assert shown
    assert shown <= known
    assert world.column("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'metrics'") == [0]


def test_chart_when_the_key_may_not_read_metrics_then_has_ids_and_the_load_succeeds(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn, draw = list[Chart](), drawing.draw
    monkeypatch.setattr(drawing, "draw", lambda chart: (drawn.append(chart), draw(chart))[1])

    assert world.run("events", days="2026-11-18", klaviyo={"api_key": "pk_events_only"}).success

    (chart,) = drawn
    assert {series.name for series in chart.series} - {OTHERS} <= {row["id"] for row in world.truth("metrics")}
