"""The report as one HTML file that needs no network and no other file.

Every text in it comes from Klaviyo or from an error, so Jinja escapes all of them. The page's policy is a second guard:
it allows the two scripts of the page by their digests, and neither another script nor any request.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

import klaviyo_pipeline
from klaviyo_pipeline.charts.drawing import COLOURS
from klaviyo_pipeline.report.figures import DAYS
from klaviyo_pipeline.report.model import Figure, Report
from klaviyo_pipeline.report.vega import specification
from klaviyo_pipeline.status import wording
from klaviyo_pipeline.status.model import State

_FOLDER = Path(__file__).parent / "page"
_SECTIONS = (
    ("status", "Tables"),
    ("changes", "What changed"),
    ("charts", "Charts"),
    ("reconciliation", "Comparison with Klaviyo"),
    ("checks", "Checks"),
)
_COLOURS = {State.OK: "good", State.SKIPPED: "odd", State.LATE: "odd", State.NEVER: "odd"}


def html_of(report: Report) -> str:
    """The report as an HTML document."""
    specs = {figure.name: specification(figure) for figure in report.figures if figure.chart is not None}
    scripts = [_library(), (_FOLDER / "page.js").read_text("utf-8")] if specs else []
    pages = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return pages.get_template("page.html").render(
        report=report,
        sections=_SECTIONS,
        days=DAYS,
        colours=COLOURS,
        version=klaviyo_pipeline.__version__,
        policy=_policy(scripts),
        style=Markup((_FOLDER / "page.css").read_text("utf-8")),  # noqa: S704 - a file of this package
        scripts=[Markup(script) for script in scripts],  # noqa: S704 - files of packages
        specs=_json(specs),
        notes=[each for each in wording.sentences(report.status) if each != wording.verdict(report.status)],
        row=wording.row,
        minute=wording.minute,
        errors=wording.errors,
        verdict=wording.verdict,
        colour=lambda state: _COLOURS.get(state, "bad"),
        series_names=_series_names,
    )


def is_report(begin: bytes) -> bool:
    """Whether a file that begins so is a report."""
    return begin.startswith(b"<!doctype html>") and b"<title>Klaviyo report of " in begin


def _series_names(figure: Figure) -> list[str]:
    assert figure.chart is not None
    return [series.name or "(none)" for series in figure.chart.series]


@cache
def _library() -> str:
    """Vega-Lite with everything that it needs, from the package vl-convert-python, which takes 2 s to bundle it."""
    import vl_convert

    # A script element ends at its end tag, also within a text of the script.
    library = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # its stub knows no default
    return str(library).replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _json(value: object) -> Markup:
    """A value as JSON that may stand in a script element."""
    text = json.dumps(value, ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - no character of HTML is left in it


def _policy(scripts: list[str]) -> str:
    """The content security policy: these scripts, inline styles, images in the page, and nothing else."""
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )
