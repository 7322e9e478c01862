"""Data sources whose rows a person divides by dimensions, such as events by the flow that they are attributed to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue.columns import Column, ColumnType
from klaviyo_pipeline.klaviyo.catalogue.model import Source

SETTING = "by"
COLUMN = "dimensions"
COUNT = "count"
"""The column with the number of events of a combination."""
MEANING = (
    "Divide the rows by these dimensions, such as $attributed_flow or $message. They need a table of their own; blank: "
    "one row for each metric and day."
)


def takes(source: Source) -> bool:
    """Whether rows of a data source can be divided by dimensions."""
    return source.report is not None and bool(source.report.dimensions)


def grouped(source: Source, names: Iterable[str]) -> Source:
    """A data source with a row for each combination of dimension values, which the column ``dimensions`` has.

    The order of the names does not matter: keys have the dimensions in the catalogue's order.

    Raises:
        ConfigurationError: for a name that is no dimension, with those that are.
    """
    names = frozenset(names)
    if not names:
        return source
    report = source.report
    if report is None or not report.dimensions:
        raise ConfigurationError(f"{source.name} takes no {SETTING}.")
    if unknown := sorted(names.difference(report.dimensions)):
        raise ConfigurationError(
            f"{SETTING} has {unknown[0]!r}, but {source.name} takes {', '.join(report.dimensions)}."
        )
    by = tuple(name for name in report.dimensions if name in names)
    column = Column(
        COLUMN,
        ColumnType.JSON,
        ("groupings", COLUMN),
        f"A JSON object with the values of {', '.join(by)}.",
        required=True,
    )
    place = len(report.grain) + 1  # behind the id and the rest of the key
    key = Column(
        "id",
        ColumnType.STRING,
        None,
        f"{source.columns[0].description.split(', joined')[0]}, {COLUMN}, joined by colons.",
    )
    return replace(
        source,
        columns=(key, *source.columns[1:place], column, *source.columns[place:]),
        # A dimension may be a person's phone number or address.
        impersonal=tuple(name for name in source.impersonal if name != "id"),
        report=replace(report, grain=(*report.grain, COLUMN), by=by),
    )
