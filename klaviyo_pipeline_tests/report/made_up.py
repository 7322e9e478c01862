"""A report in which every text that comes from elsewhere is HTML."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from klaviyo_pipeline.charts.model import Chart, Series, Step
from klaviyo_pipeline.report.model import Change, Check, Difference, Figure, Mark, Report
from klaviyo_pipeline.status.model import QuotaStatus, State, Status, TableStatus

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
TAKE = "document.title='taken'"
ATTACK = f'</script><img src=https://evil.example/x onerror="{TAKE}"><script>{TAKE}</script>'
PLAIN = "Spring & summer <b>sale</b> \"20%\" 'off' 🌷\u2028"


def chart(*names: str, days: int = 90, is_level: bool = False) -> Chart:
    zone = ZoneInfo("Europe/Copenhagen")
    first = datetime(2026, 8, 24, tzinfo=zone)
    bins = tuple((first + timedelta(days=day)).replace(hour=0) for day in range(days))
    series = tuple(
        Series(name, tuple(float((day * (3 + index)) % 17) for day in range(days))) for index, name in enumerate(names)
    )
    return Chart("Title", Step.DAY, bins, series, zone.key, is_level=is_level)


def report() -> Report:
    """A report with problems of every kind."""
    tables = [
        TableStatus(
            *("klaviyo/events", "events", "klaviyo.events", "k.duckdb", State.OK),
            account="AbC",
            rows=12345,
            newest_row=AT,
            last_load=AT,
            landed_until=AT,
            lag_s=60.0,
        ),
        TableStatus("klaviyo/lists", "lists", "klaviyo.lists", "k.duckdb", State.FAILED, error=ATTACK),
        TableStatus("klaviyo/flows", "flows", "klaviyo.flows", "k.duckdb", State.LATE, rows=7, late_s=7200.0),
        TableStatus(f"transfers/{PLAIN}", "", "", "", State.BROKEN, error="The file is wrong."),
    ]
    figures = [
        Figure("events", "Events per day by metric", chart("Opened Email", ATTACK, PLAIN)),
        Figure("campaign-revenue", "Net revenue per day by campaign", chart(PLAIN, ATTACK), unit="EUR"),
        Figure("flow-revenue", "Net revenue per day by flow", missing="The table flow_performance has not been built."),
        Figure("list-growth", "Members by list", chart("Newsletter", ATTACK, is_level=True), mark=Mark.LINE),
        Figure("deliverability", "Deliverability per week", chart("bounced", days=13), unit="%", mark=Mark.LINE),
    ]
    checks = [
        Check("klaviyo/events", "primary_key_is_unique", True, False, "All is well.", AT),
        Check("klaviyo/events", "attributes_are_known", False, False, ATTACK, AT),
        Check("klaviyo/events", "counts_agree_with_klaviyo", False, True, f"Counts of {PLAIN} differ.", AT),
    ]
    return Report(
        at=AT,
        timezone="Europe/Copenhagen",
        status=Status(AT, tables, [QuotaStatus("AbC", "reports", 225, 3)], warnings=[ATTACK]),
        figures=figures,
        changes=[Change("klaviyo.events", 2, 10, 3, 1, 12345), Change(ATTACK, 1, 0, 0, 0, 0)],
        checks=checks,
        reconciliation=checks[2:],
        differences=[Difference("2026-11-20", ATTACK, 10, 12)],
    )
