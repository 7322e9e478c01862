"""Questions to the POST reports."""

from typing import Any

from klaviyo_pipeline.sandbox.data.store import Store

STATISTICS = {
    "campaign": ["recipients", "delivered", "opens", "clicks", "conversions", "conversion_value", "open_rate"],
    "flow": ["recipients", "delivered", "opens", "clicks", "conversions", "conversion_value", "open_rate"],
    "form": ["submits", "viewed_form", "submit_rate"],
    "segment": ["members_added", "total_members"],
}


def report_question(store: Store, path: str, **more: Any) -> dict[str, Any]:
    """A question to a report, over the days of the small shop unless `more` says otherwise."""
    name, kind, _ = path.split("-")
    attributes: dict[str, Any] = {
        "statistics": STATISTICS[name],
        "timeframe": {"start": "2026-10-20T00:00:00", "end": "2026-11-20T23:59:59"},
    }
    if kind == "series":
        attributes["interval"] = "daily"
    if name in ("campaign", "flow"):
        attributes["conversion_metric_id"] = metric_id(store, "Placed Order")
    return {"data": {"type": path.removesuffix("s"), "attributes": attributes | more}}


def metric_id(store: Store, name: str) -> str:
    """The id of a metric."""
    return next(row.id for row in store.metrics if row.name == name)
