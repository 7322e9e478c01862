"""What a person sees and does in Dagster's UI, in a real browser against `dg dev` and the sandbox.

The tests are one visit, in this order: later ones look at what earlier ones have loaded.
"""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from klaviyo_pipeline.orchestration.assets.metadata import PREVIEW_ROWS
from klaviyo_pipeline_tests.core import CORE
from klaviyo_pipeline_tests.ui.running import API_KEY, RunningDagster
from klaviyo_pipeline_tests.ui.visit import Visit

pytestmark = pytest.mark.ui
ANALYTICS = ("daily_metrics", "campaign_performance", "list_growth", "profile_activity")


def test_graph_shows_the_nine_assets_and_the_analytics(visitor: Visit) -> None:
    with visitor.graph("klaviyo", "klaviyo_analytics", height=3200) as graph:
        for name in (*CORE, *ANALYTICS):
            expect(graph.get_by_text(name, exact=True).first).to_be_visible()
        visitor.shoot("graph")


def test_materialize_when_pressed_on_an_asset_then_lands_what_klaviyo_has(
    visitor: Visit, dagster: RunningDagster
) -> None:
    visitor.asset("klaviyo/metrics")
    visitor.materialize()
    visitor.follow("Launched run", re.compile("^Success$"))
    visitor.shoot("run")
    assert sorted(dagster.column("SELECT id FROM klaviyo.metrics")) == dagster.ids("metrics")


def test_range_when_launched_with_config_then_is_one_run_that_obeys_it(visitor: Visit, dagster: RunningDagster) -> None:
    first, last, after = dagster.day(5), dagster.day(0), dagster.day(-1)
    page = visitor.asset("klaviyo/events")
    visitor.materialize()
    dialog = page.get_by_role("dialog").filter(has_text="Launch runs to materialize klaviyo / events")
    days = dialog.get_by_placeholder("ex: ")
    visitor.press_until(dialog.get_by_role("button", name="Custom", exact=True), days)
    days.fill(f"[{first}...{last}]")
    days.press("Enter")
    expect(dialog.get_by_text("6 partitions", exact=True)).to_be_visible()

    dialog.get_by_text("Config", exact=True).click()
    dialog.get_by_role("button", name="Add config").click()
    editor = page.get_by_role("dialog").filter(has_text="Config Editor")
    expect(editor.get_by_text("No errors")).to_be_visible()
    editor.locator(".CodeMirror").click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text("ops:\n  klaviyo__events:\n    config:\n      skip_related: false\n")
    expect(editor.get_by_text("No errors")).to_be_visible()
    visitor.shoot("config")
    assert API_KEY not in page.content()
    editor.get_by_role("button", name="Save config").click()
    visitor.shoot("launch")
    dialog.get_by_role("button", name="Launch backfill").click()
    visitor.follow("Created backfill", re.compile("^100% completed"))

    visitor.shoot("backfill")
    assert sorted(dagster.column("SELECT id FROM klaviyo.events")) == dagster.ids("events", first, after)
    assert dagster.sql(
        "SELECT count(DISTINCT run_id), count(*) FROM klaviyo_pipeline.ledger WHERE table_name = 'klaviyo.events'"
    ) == [(1, 1)]
    of_a_metric, named = dagster.sql("SELECT count(metric_id), count(metric_name) FROM klaviyo.events")[0]
    assert of_a_metric == named > 0


def test_asset_page_shows_what_landed(visitor: Visit, dagster: RunningDagster) -> None:
    rows = len(dagster.ids("events", dagster.day(5), dagster.day(-1)))
    page = visitor.asset("klaviyo/events")

    expect(page.get_by_text(f"Row count{rows:,}")).to_be_visible()
    of_latest_day = len(dagster.ids("events", dagster.day(0), dagster.day(-1)))
    for name, value in {"rows_inserted": of_latest_day, "rows_deleted": 0, "retries": 0}.items():
        expect(visitor.metadata(name).get_by_role("cell").last).to_have_text(str(value))
    described = page.get_by_role("row").filter(has_text="The event's id.")
    expect(described).to_contain_text("non-nullable")
    first_rows = visitor.metadata("first_rows").get_by_role("table")
    expect(first_rows.get_by_role("row")).to_have_count(PREVIEW_ROWS + 1)
    shown = set(first_rows.get_by_role("row").locator("td:first-child").all_inner_texts())
    assert len(shown & set(dagster.ids("events"))) == PREVIEW_ROWS
    visitor.shoot("asset")
    visitor.metadata("first_rows").scroll_into_view_if_needed()
    visitor.shoot("metadata")


def test_asset_page_has_a_plot_of_what_landed(visitor: Visit) -> None:
    trend = visitor.metadata("trend").get_by_role("table")
    expect(trend.get_by_role("row").nth(1)).to_contain_text(re.compile("[▁▂▃▄▅▆▇█]"))
    visitor.metadata("plot").get_by_text("Show Markdown").click()
    image = visitor.page.get_by_role("dialog").get_by_role("img", name=re.compile("Events per"))
    width, height = image.evaluate("image => image.decode().then(() => [image.naturalWidth, image.naturalHeight])")
    assert width > 300
    assert height > 200
    visitor.shoot("plot")


def test_checks_tab_shows_that_checks_have_passed(visitor: Visit) -> None:
    page = visitor.asset("klaviyo/events", "checks")
    expect(page.get_by_text("Succeeded", exact=True)).to_have_count(8)
    visitor.shoot("checks")
    expect(page.get_by_text(re.compile("^(Failed|Not evaluated)$", re.IGNORECASE))).to_have_count(0)


def test_graph_when_everything_has_loaded_then_no_asset_or_check_has_failed(
    visitor: Visit, dagster: RunningDagster
) -> None:
    dagster.load_everything()
    with visitor.graph("klaviyo", height=1880) as graph:
        for name in CORE:
            expect(graph.get_by_text(name, exact=True).first).to_be_visible()
        expect(graph.get_by_text(re.compile("Loading|fetching"))).to_have_count(0)
        expect(graph.get_by_text(re.compile("Passed"))).to_have_count(len(CORE))
        expect(graph.get_by_text("100% filled")).to_have_count(sum(s.partitioned_by_day for s in CORE.values()))
        expect(graph.get_by_text(re.compile("Never materialized|Failed", re.IGNORECASE))).to_have_count(0)
        visitor.shoot("assets")


def test_timeline_shows_a_run_that_a_command_has_made(visitor: Visit, dagster: RunningDagster) -> None:
    dagster.command("load", "metrics", "-q")
    page = visitor.go("/overview/activity/timeline")
    expect(page.get_by_text("Jobless asset materializations").first).to_be_visible()
    visitor.shoot("timeline")


def test_status_and_report_are_made_and_their_pages_show_the_tables_and_the_file(
    visitor: Visit, dagster: RunningDagster
) -> None:
    dagster.launch("group:klaviyo_overview")
    page = visitor.asset("klaviyo_status")
    tables = visitor.metadata("status").get_by_role("table")
    expect(tables.get_by_role("row")).to_have_count(1 + len(CORE))
    expect(tables.get_by_role("row").filter(has_text="klaviyo.events")).to_contain_text(re.compile("ok"))
    expect(visitor.metadata("summary")).to_contain_text("All tables are well.")
    visitor.shoot("status")
    visitor.asset("klaviyo_report")
    expect(visitor.metadata("file")).to_contain_text("klaviyo-report.html")
    assert "<h1>Klaviyo report</h1>" in (dagster.database.parent / "klaviyo-report.html").read_text()
    assert API_KEY not in page.content()


def test_launchpad_is_prefilled_with_what_people_change(visitor: Visit) -> None:
    for job in ("klaviyo_hourly", "klaviyo_daily"):
        page = visitor.go(f"/locations/klaviyo_pipeline/jobs/{job}/playground")
        editor = page.locator(".CodeMirror").first
        expect(editor).to_contain_text("klaviyo_load")
        visitor.shoot(f"launchpad-{job}")
        shown = [line.strip("\u200b ") for line in editor.locator(".CodeMirror-line").all_inner_texts()]
        assert [line for line in shown if line] == [
            *("resources:", "klaviyo_load:", "config:"),
            *("end_time: ''", "start_time: ''", "write_mode: default"),
        ]


def test_page_of_a_failed_run_says_why_in_a_sentence_and_has_no_trace(visitor: Visit, dagster: RunningDagster) -> None:
    page = visitor.go(f"/runs/{dagster.failed_run()}")

    sentence = page.get_by_text("start_time is 'yesterday', but must be an ISO 8601 time")
    expect(sentence.first).to_be_visible()
    expect(page.get_by_text("RUN_FAILURE")).to_be_visible()
    visitor.shoot("failing-run")
    assert "Stack Trace" not in page.content()
    assert "execute_plan.py" not in page.content()


def test_visit_showed_no_key_and_nothing_failed_or_was_asked_elsewhere(visitor: Visit) -> None:
    visitor.end()

    traffic = visitor.traffic.read_text()
    assert "rows_inserted" in traffic
    assert API_KEY not in traffic  # every answer to a question of the pages
    assert any("ASSET_MATERIALIZATION" in frame or "rows fetched" in frame for frame in visitor.heard)
    assert not [frame for frame in visitor.heard if API_KEY in frame]  # the runs' logs
    assert not visitor.outside
    assert not visitor.complaints
