"""Data sources without some of their columns, which a person does without."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue.model import Source
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.similar import similar

SETTING = "leave_out"


def takes(source: Source) -> bool:
    """Whether columns of a data source can be left out: not those of a report, nor of a child table."""
    return source.report is None and source.child is None


def without(source: Source, names: Iterable[str]) -> Source:
    """A data source without some columns. They are not asked for where Klaviyo allows it, and not stored.

    Raises:
        ConfigurationError: for a name that is no column, with similar names, and for a column that loads need: the key,
            the times that loads go by, and what other tables are made from.
    """
    names = dict.fromkeys(names)
    if not names:
        return source
    if not takes(source):
        raise ConfigurationError(f"{source.name} takes no {SETTING}.")
    known = {column.name: column for column in source.columns}
    needed = needed_columns(source)
    for name in names:
        if name not in known:
            near = " or ".join(similar(name, known))
            hint = f"did you mean {near}?" if near else f"klaviyo-pipeline sources {source.name} lists them."
            raise ConfigurationError(f"{source.name} has no column {name!r}; {hint}")
        if name in needed:
            raise ConfigurationError(f"{source.name}.{name} cannot be left out: {needed[name]}.")
    return replace(
        source,
        columns=tuple(column for column in source.columns if column.name not in names),
        left_out=tuple(known[name] for name in names),
        impersonal=tuple(name for name in source.impersonal if name not in names),
    )


def needed_columns(source: Source) -> dict[str, str]:
    """The columns that loads need, and why."""
    needed: dict[str, str] = {}
    for other in SOURCES.values():
        if other.child is not None and other.child.parent == source.name:
            needed |= dict.fromkeys(other.child.parent_columns, f"the table {other.name} is made from it")
        if other.fan_out is not None and other.fan_out.parent == source.name:
            needed |= dict.fromkeys(other.fan_out.parent_columns, f"{other.name} follows from it")
    if source.fan_out is not None:
        own = (source.fan_out.id_column, *(ours for ours, _theirs in source.fan_out.carries))
        needed |= dict.fromkeys(own, f"it comes from {source.fan_out.parent}")
    if source.choice is not None:
        needed[source.choice.column] = f"{source.choice.setting} are chosen by it"
    times = (*(field.name for field in source.time_fields), source.version_column, source.fixed_time)
    needed |= dict.fromkeys(filter(None, times), "loads go by this time")
    made_of = [name for column in source.columns for name in column.made_of]
    return needed | dict.fromkeys((*source.primary_key, source.columns[0].name, *made_of), "it is the key")
