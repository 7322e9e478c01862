"""Output of commands: tables and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import click

from klaviyo_pipeline.redaction import redact

WIDEST_CELL = 40

as_json = click.option("--json", "json_", is_flag=True, help="Print JSON.")


def print_json(value: Any) -> None:  # noqa: ANN401 - anything that JSON can say
    """Print a value as JSON; times as ISO 8601."""
    click.echo(json.dumps(value, indent=2, default=_plain, ensure_ascii=False))


def print_table(headers: Sequence[str], rows: Sequence[Sequence[Any]], widest: int = WIDEST_CELL) -> None:
    """Print rows in a frame, as Treasure Data's and MySQL's tools do."""
    cells = [[cell(value, widest) for value in row] for row in rows]
    widths = [max(len(header), *(len(row[i]) for row in cells), 0) for i, header in enumerate(headers)]
    line = "+" + "+".join("-" * (width + 2) for width in widths) + "+"
    click.echo(line)
    for row in (list(headers), *cells):
        click.echo("| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |")
        if row == list(headers):
            click.echo(line)
    if cells:
        click.echo(line)


def print_pairs(pairs: Sequence[tuple[str, Any]]) -> None:
    """Print a line for each name and value. Skips values that are None or blank."""
    shown = [(name, value) for name, value in pairs if value not in (None, "", (), [])]
    width = max((len(name) for name, _value in shown), default=0)
    for name, value in shown:
        click.echo(f"{name.ljust(width)} : {cell(value, 0)}")


def cell(value: Any, widest: int = WIDEST_CELL) -> str:  # noqa: ANN401
    """A value in one line of at most this width (0: any width)."""
    if value is None:
        text = ""
    elif isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, datetime):
        text = value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    elif isinstance(value, list | tuple):
        text = ", ".join(str(each) for each in value)
    else:
        text = str(value)
    text = printable(text, keep="")
    return text if not widest or len(text) <= widest else text[: widest - 1] + "…"


def printable(text: str, keep: str = "\n\t") -> str:
    """Text without control characters, which could move a terminal's cursor or change its title."""
    return "".join(each if each.isprintable() or each in keep else " " for each in text)


def duration(seconds: float | None) -> str:
    """The text of a duration."""
    return "" if seconds is None else f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def warn(text: str) -> None:
    """Print a warning to standard error."""
    click.echo(f"Warning: {printable(redact(text))}", err=True)


def _plain(value: Any) -> Any:  # noqa: ANN401
    return value.isoformat() if isinstance(value, datetime | date) else str(value)
