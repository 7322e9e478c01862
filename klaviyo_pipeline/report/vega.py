"""Charts as Vega-Lite specifications."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from klaviyo_pipeline.charts.drawing import COLOURS
from klaviyo_pipeline.report.model import Figure, Mark

_DAY = "%Y-%m-%d"
_HEIGHT = 240


def specification(figure: Figure) -> dict[str, Any]:
    """The Vega-Lite specification of a figure that has a chart. It is as wide as the element that holds it."""
    chart = figure.chart
    assert chart is not None
    values = [
        {"day": begins.strftime(_DAY), "name": series.name or "(none)", "value": round(value, 4)}
        for series in chart.series
        for begins, value in zip(chart.bins, series.values, strict=True)
        if value or figure.mark is Mark.LINE
    ]
    names = [series.name or "(none)" for series in chart.series]
    # A bar is as wide as its day.
    end = chart.bins[-1] + timedelta(days=1 if figure.mark is Mark.BAR else 0)
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": "container",
        "height": _HEIGHT,
        "background": "transparent",
        "data": {"values": values, "format": {"parse": {"day": f"date:'{_DAY}'"}}},
        "mark": {"type": "bar"} if figure.mark is Mark.BAR else {"type": "line", "strokeWidth": 2.5},
        "encoding": {
            "x": {
                "field": "day",
                "type": "temporal",
                "title": None,
                "timeUnit": "yearmonthdate" if figure.mark is Mark.BAR else None,
                "scale": {"domain": [_date(chart.bins[0]), _date(end)]},
                "axis": {"format": "%d %b", "labelOverlap": True, "tickCount": 6, "grid": False},
            },
            "y": {
                "field": "value",
                "type": "quantitative",
                "title": figure.unit or None,
                "axis": {"tickCount": 4, "labelExpr": "format(datum.value, '~s')"},
                "stack": "zero" if figure.mark is Mark.BAR else None,
            },
            "color": {
                "field": "name",
                "type": "nominal",
                "legend": None,
                "scale": {"domain": names, "range": list(COLOURS[: len(names)])},
            },
            "order": {"field": "name", "sort": None} if figure.mark is Mark.BAR else {"field": "day"},
            "tooltip": [
                {"field": "day", "type": "temporal", "title": chart.step.value, "format": "%d %b %Y"},
                {"field": "name", "type": "nominal", "title": "series"},
                {"field": "value", "type": "quantitative", "title": figure.unit or "number", "format": ",.6~g"},
            ],
        },
    }


def _date(moment: Any) -> dict[str, int]:  # noqa: ANN401 - a datetime
    return {"year": moment.year, "month": moment.month, "date": moment.day}
