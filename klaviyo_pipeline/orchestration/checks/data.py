"""Checks of landed rows, from the catalogue: key, required columns, documented values, attributes, types.

A missing or repeated key stops the dependent assets of the run. Schema drift (new attributes, new values, other types)
only warns, because no value is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg

from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.loads import quality
from klaviyo_pipeline.loads.quality import LandedTable
from klaviyo_pipeline.loads.shown_columns import may_be_shown
from klaviyo_pipeline.orchestration.assets.metadata import mask
from klaviyo_pipeline.warehouse.tables import LOADED_AT, RUN_ID

if TYPE_CHECKING:
    from klaviyo_pipeline.klaviyo.catalogue.model import Source

PRIMARY_KEY = "primary_key_is_unique"
REQUIRED = "required_columns_are_filled"
REFERENCES = "references_exist"
VALUES = "values_are_documented"
ATTRIBUTES = "attributes_are_known"
TYPES = "types_fit"
HIDDEN = "values that are not shown"
_WARN, _ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR


@dataclass(frozen=True)
class Verdict:
    """The result of a check: whether it passes, a text, and metadata."""

    passed: bool
    text: str
    metadata: Mapping[str, Any]
    severity: dg.AssetCheckSeverity = _WARN


@dataclass(frozen=True)
class DataCheck:
    """A check of a table, whose description may name the source's columns."""

    name: str
    description: Callable[[Source], str]
    look: Callable[[LandedTable, Source], Verdict]
    applies: Callable[[Source], bool] = lambda source: True
    blocking: bool = False


def _key(table: LandedTable, source: Source) -> Verdict:
    found = quality.key_findings(table, source.primary_key, source.fixed_time)
    key = ", ".join(source.primary_key)
    problems = []
    if found.without:
        problems.append(f"{found.without:,} rows without {key}.")
    if found.repeated:
        examples = _such_as(found.examples, source, *source.primary_key)
        problems.append(f"{found.repeated:,} values of {key} are in more than one row{examples}.")
    if problems and table.appended:
        problems.append(
            "A load appended rows to this table, so rows that were read twice are in it twice. Use merge or replace."
        )
    elif problems:
        problems.append("A merge never does that. Look for another program that writes this table.")
    return Verdict(
        passed=not problems,
        text=" ".join(problems) or f"{found.rows:,} rows checked ({table.looked_at}). Each has a {key} of its own.",
        metadata={
            "rows_looked_at": found.rows,
            "rows_without_key": found.without,
            "repeated_keys": found.repeated,
            "surplus_rows": found.surplus,
        },
        severity=_WARN if table.appended and not found.without else _ERROR,
    )


def _required_columns(source: Source) -> list[str]:
    return [*source.required_columns, LOADED_AT, RUN_ID]


def _required(table: LandedTable, source: Source) -> Verdict:
    empty = quality.empty_values(table, table.has(_required_columns(source)))
    said = ", ".join(f"{column} ({count:,} rows)" for column, count in empty.items())
    return Verdict(
        passed=not empty,
        text=f"Without a value: {said}." if empty else f"Every row has a value ({table.looked_at}).",
        metadata={"empty_values": sum(empty.values()), "empty_by_column": empty},
        severity=_ERROR,
    )


def _values(table: LandedTable, source: Source) -> Verdict:
    found = {
        column.name: _countable(values, source, column.name)
        for column in source.columns
        for allowed in column.allowed
        if column.name in table.columns and (values := quality.undocumented_values(table, column.name, allowed))
    }
    said = "; ".join(
        f"{column}: {', '.join(f'{value!r} ({count:,})' for value, count in values.items())}"
        for column, values in found.items()
    )
    return Verdict(
        passed=not found,
        text=f"Not in Klaviyo's documentation: {said}. Queries that list values may miss them."
        if found
        else f"Klaviyo documents all values ({table.looked_at}).",
        metadata={"undocumented_values": sum(map(len, found.values())), "rows_by_value": found},
    )


def _attributes(table: LandedTable, source: Source) -> Verdict:
    unknown, _misfits = quality.kept_in_extra(table, source.columns)
    said = ", ".join(f"{name} ({count:,} rows)" for name, count in unknown.items())
    return Verdict(
        passed=not unknown,
        text=f"These attributes have no column and are in _extra: {said}."
        if unknown
        else f"Every attribute has a column ({table.looked_at}).",
        metadata={"unknown_attributes": len(unknown), "rows_by_attribute": unknown},
    )


def _types(table: LandedTable, source: Source) -> Verdict:
    _unknown, misfits = quality.kept_in_extra(table, source.columns)
    said = ", ".join(f"{name} ({count:,} rows)" for name, count in misfits.items())
    return Verdict(
        passed=not misfits,
        text=f"These values did not fit, so their column is empty and _extra keeps them: {said}."
        if misfits
        else f"Every value fits its column's type ({table.looked_at}).",
        metadata={"type_misfits": sum(misfits.values()), "misfits_by_column": misfits},
    )


DATA_CHECKS = (
    DataCheck(
        PRIMARY_KEY,
        lambda source: (
            f"Every row has {', '.join(source.primary_key)}, and no two rows have the same. "
            "If not, dependent assets do not run."
        ),
        _key,
        blocking=True,
    ),
    DataCheck(REQUIRED, lambda source: f"Every row has a value in: {', '.join(_required_columns(source))}.", _required),
    DataCheck(
        VALUES,
        lambda source: (
            "Klaviyo documents every value in: "
            f"{', '.join(column.name for column in source.columns if column.allowed)}."
        ),
        _values,
        applies=lambda source: any(column.allowed for column in source.columns),
    ),
    DataCheck(ATTRIBUTES, lambda source: "Every attribute that Klaviyo sends has a column.", _attributes),
    DataCheck(TYPES, lambda source: "Every value that Klaviyo sends fits its column's type.", _types),
)
"""The checks that need only the table itself."""


def referencing_columns(source: Source) -> dict[str, str]:
    """The columns that name rows of other data sources, and the names of these."""
    return {column.name: column.references for column in source.columns if column.references in SOURCES}


def references_verdict(table: LandedTable, source: Source, schema: str) -> Verdict:
    """Whether the named rows are in their tables. Skips tables that have never been loaded."""
    problems, unloaded, checked = [], [], []
    lost: dict[str, int] = {}
    for column, other in referencing_columns(source).items():
        found = quality.orphans(table, column, schema, other) if column in table.columns else None
        if found is None:
            unloaded.append(f"{column} ({schema}.{other} has no load yet)")
            continue
        checked.append(f"{column} in {other}")
        if found.orphans:
            lost[column] = found.orphans
            problems.append(
                f"{found.orphans:,} of {found.naming:,} rows name a {column} that {schema}.{other} does not have "
                f"({found.ids:,} in all{_such_as(found.examples, source, column)})."
            )
    if problems:
        problems.append("They are not loaded yet, or Klaviyo deleted them. Joins leave out these rows.")
    elif checked:
        problems.append(f"Found all of {', '.join(checked)} ({table.looked_at}).")
    texts = [*problems, *([f"Not checked: {', '.join(unloaded)}."] if unloaded else [])]
    return Verdict(
        passed=not lost,
        text=" ".join(texts),
        metadata={"rows_without_counterpart": sum(lost.values()), "by_column": lost},
    )


def _such_as(examples: tuple[str, ...], source: Source, *columns: str) -> str:
    """Some values, if all of the columns may be shown."""
    shown = all(may_be_shown(source, column) for column in columns)
    return f", such as {', '.join(mask(each) for each in examples)}" if shown else ""


def _countable(values: dict[str, int], source: Source, column: str) -> dict[str, int]:
    """Rows by value if the column may be shown, else their number."""
    if may_be_shown(source, column):
        return {mask(value): count for value, count in values.items()}
    return {HIDDEN: sum(values.values())}
