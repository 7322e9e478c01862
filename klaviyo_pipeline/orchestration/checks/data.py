"""Checks of what has landed, made for each load from the catalogue: its key, its columns, its documented values.

A key that is missing or repeated stops what follows in the same run. What Klaviyo changes by itself (new attributes,
new values, other types) only warns: nothing is lost by it.
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
    """What a check found: whether it passes, in words, and as metadata."""

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
        problems.append(f"{found.repeated:,} values of {key} stand more than once{examples}.")
    if problems and table.appended:
        problems.append("Rows have been appended to this table, which repeats what is read again: merge or replace.")
    elif problems:
        problems.append("Nothing that this pipeline merges does that: look for what else writes this table.")
    return Verdict(
        passed=not problems,
        text=" ".join(problems) or f"{found.rows:,} rows looked at ({table.looked_at}), each with a {key} of its own.",
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
        text=f"Not in Klaviyo's documents: {said}. Queries that list values may miss these."
        if found
        else f"All values are those that Klaviyo documents ({table.looked_at}).",
        metadata={"undocumented_values": sum(map(len, found.values())), "rows_by_value": found},
    )


def _attributes(table: LandedTable, source: Source) -> Verdict:
    unknown, _misfits = quality.kept_in_extra(table, source.columns)
    said = ", ".join(f"{name} ({count:,} rows)" for name, count in unknown.items())
    return Verdict(
        passed=not unknown,
        text=f"Kept in _extra, since no column is known for them: {said}."
        if unknown
        else f"Every attribute has its column ({table.looked_at}).",
        metadata={"unknown_attributes": len(unknown), "rows_by_attribute": unknown},
    )


def _types(table: LandedTable, source: Source) -> Verdict:
    _unknown, misfits = quality.kept_in_extra(table, source.columns)
    said = ", ".join(f"{name} ({count:,} rows)" for name, count in misfits.items())
    return Verdict(
        passed=not misfits,
        text=f"Empty in their column, and kept as they came in _extra: {said}."
        if misfits
        else f"Every value fits its column's type ({table.looked_at}).",
        metadata={"type_misfits": sum(misfits.values()), "misfits_by_column": misfits},
    )


DATA_CHECKS = (
    DataCheck(
        PRIMARY_KEY,
        lambda source: (
            f"Every row has {', '.join(source.primary_key)}, and no two rows the same. "
            "If not, what follows does not run."
        ),
        _key,
        blocking=True,
    ),
    DataCheck(REQUIRED, lambda source: f"Every row has a value in: {', '.join(_required_columns(source))}.", _required),
    DataCheck(
        VALUES,
        lambda source: (
            "Only values that Klaviyo documents: "
            f"{', '.join(column.name for column in source.columns if column.allowed)}."
        ),
        _values,
        applies=lambda source: any(column.allowed for column in source.columns),
    ),
    DataCheck(ATTRIBUTES, lambda source: "Klaviyo sends no attribute that has no column here.", _attributes),
    DataCheck(TYPES, lambda source: "Every value that Klaviyo sends fits its column's type.", _types),
)
"""The checks that need nothing but the table itself."""


def referencing_columns(source: Source) -> dict[str, str]:
    """The columns that name rows of other data sources, and these."""
    return {column.name: column.references for column in source.columns if column.references in SOURCES}


def references_verdict(table: LandedTable, source: Source, schema: str) -> Verdict:
    """Whether the rows that are named are there, in tables that have ever been loaded."""
    problems, unloaded, checked = [], [], []
    lost: dict[str, int] = {}
    for column, other in referencing_columns(source).items():
        found = quality.orphans(table, column, schema, other) if column in table.columns else None
        if found is None:
            unloaded.append(f"{column} ({schema}.{other} has not been loaded)")
            continue
        checked.append(f"{column} in {other}")
        if found.orphans:
            lost[column] = found.orphans
            problems.append(
                f"{found.orphans:,} of {found.naming:,} rows name a {column} that {schema}.{other} does not have "
                f"({found.ids:,} in all{_such_as(found.examples, source, column)})."
            )
    if problems:
        problems.append("They have not been loaded yet, or are gone from Klaviyo: joins leave these rows out.")
    elif checked:
        problems.append(f"Found all of {', '.join(checked)} ({table.looked_at}).")
    texts = [*problems, *([f"Not looked at: {', '.join(unloaded)}."] if unloaded else [])]
    return Verdict(
        passed=not lost,
        text=" ".join(texts),
        metadata={"rows_without_counterpart": sum(lost.values()), "by_column": lost},
    )


def _such_as(examples: tuple[str, ...], source: Source, *columns: str) -> str:
    """Some values, where all of the columns may be shown."""
    shown = all(may_be_shown(source, column) for column in columns)
    return f", such as {', '.join(mask(each) for each in examples)}" if shown else ""


def _countable(values: dict[str, int], source: Source, column: str) -> dict[str, int]:
    """Rows by value, where the column's values may be shown; else in one number."""
    if may_be_shown(source, column):
        return {mask(value): count for value, count in values.items()}
    return {HIDDEN: sum(values.values())}
