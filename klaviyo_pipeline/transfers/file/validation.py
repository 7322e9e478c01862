"""Validates a transfer's values: types by the model, meaning by the catalogue. Finds all violations at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from klaviyo_pipeline import clock, environment, grammar
from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue import dimensions, leaving_out
from klaviyo_pipeline.klaviyo.catalogue.columns import ColumnType
from klaviyo_pipeline.klaviyo.catalogue.model import FilterBy, Source
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES, no_source
from klaviyo_pipeline.klaviyo.catalogue.revisions import check_revision
from klaviyo_pipeline.klaviyo.client.settings import SETTINGS, check_setting
from klaviyo_pipeline.loads.request import parse_lookback
from klaviyo_pipeline.orchestration.automation.cron import check_cron, delayed, parse_delay
from klaviyo_pipeline.paths import UnusablePathError
from klaviyo_pipeline.similar import did_you_mean
from klaviyo_pipeline.times import parse_time, parse_zone
from klaviyo_pipeline.transfers.file.authentications import REFERENCE
from klaviyo_pipeline.transfers.file.model import (
    Transfer,
    database_file,
    for_child_tables,
    options_of,
    source_name,
)
from klaviyo_pipeline.yaml_files import liquid
from klaviyo_pipeline.yaml_files.problems import Path, Violation, one_of
from klaviyo_pipeline.yaml_files.shape import shape_violations, worded

_SECRET = "api_token"  # noqa: S105 - a key's name
_FREE_OF_REFERENCES: tuple[Path, ...] = (("description",), ("destination", "database"))
"""Where ${ is not ours to check: a description, and paths, which expand variables themselves."""


def violations_in(data: dict[str, Any], accounts: Collection[str]) -> list[Violation]:
    """All violations of a transfer in our form."""
    found = [*shape_violations(Transfer, data), *_references(data)]
    options, destination = _mapping(data.get("options")), _mapping(data.get("destination"))
    source = SOURCES.get(source_name(data["source"])) if isinstance(data.get("source"), str) else None
    if isinstance(data.get("source"), str) and source is None:
        found.append(Violation(("source",), f"is {data['source']!r}, but {no_source(data['source'])}"))
    found += _account(data, accounts)
    found += _numbers(data.get("http"))
    found += _types(source, options)
    if source is not None:
        found += _options(source, options)
        found += _times(source, options, destination)
        found += _replacing(source, options, destination)
    found += _said(("destination", "timezone"), destination, lambda text: parse_zone(text, "timezone"))
    found += _said(("destination", "database"), destination, database_file)
    found += _said(("destination", "schema"), destination, lambda text: grammar.schema(text, "schema"))
    found += _said(("destination", "table"), destination, lambda text: grammar.table(text, "table"))
    found += _said(("options", "events_table"), options, lambda text: grammar.table(text, "events_table"))
    found += _said(("revision",), data, lambda text: check_revision(text))
    found += _schedule(data.get("schedule"))
    # A value of the wrong type is wrong once; what follows from it is not said as well.
    unique = {(each.path, each.key): each for each in reversed(found)}
    return list(reversed(unique.values()))


def _mapping(value: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever the file has
    return value if isinstance(value, dict) else {}


def _references(value: Any, path: Path = ()) -> Iterator[Violation]:  # noqa: ANN401
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _references(inner, (*path, name))
    elif isinstance(value, str) and liquid.is_other(value) and path != ("description",):
        yield Violation(path, liquid.ADVICE)
    elif isinstance(value, str) and "${secret:" in value:
        text = "names a secret of Treasure Data Workflow: put it in an environment variable and write ${NAME}."
        yield Violation(path, text)
    elif isinstance(value, str) and "${" in value and path not in _FREE_OF_REFERENCES:
        if path != (_SECRET,):
            yield Violation(path, "has ${…}, but only api_token and database are taken from the environment.")
        elif not REFERENCE.fullmatch(value.strip()):
            yield Violation(path, "must be ${NAME} as a whole, with the name of an environment variable.")


def _account(data: dict[str, Any], accounts: Collection[str]) -> Iterator[Violation]:
    name = data.get("authentication")
    if not isinstance(name, str) or not name:
        return
    if data.get(_SECRET):
        yield Violation(("authentication",), "and api_token are both given: keep one of them.", key=True)
    if name not in accounts:
        yield Violation(("authentication",), f"is {name!r}, but {one_of(name, tuple(sorted(accounts)))}")


def _numbers(http: Any) -> Iterator[Violation]:  # noqa: ANN401
    for name, value in http.items() if isinstance(http, dict) else ():
        if name in SETTINGS and isinstance(value, int | float) and not isinstance(value, bool):
            try:
                check_setting(name, value)
            except ConfigurationError as error:
                yield Violation(("http", name), str(error).removeprefix(f"{name} "))


def _types(source: Source | None, given: dict[str, Any]) -> Iterator[Violation]:
    """Options of the wrong type; where the data source is not known, as any of them takes it."""
    sources = SOURCES.values() if source is None else (source,)
    fields = {name: field for each in sources for name, field in options_of(each).items()}
    for name in given.keys() & fields.keys():
        try:
            annotation: Any = fields[name].annotation
            kind: TypeAdapter[Any] = TypeAdapter(annotation, config=ConfigDict(strict=True))
            kind.validate_python(given[name])
        except ValidationError as error:
            first = error.errors()[0]
            yield worded({**first, "loc": ("options", name, *first["loc"])}, Transfer)


def _options(source: Source, given: dict[str, Any]) -> Iterator[Violation]:
    fields = options_of(source)
    for name, value in given.items():
        if tables := for_child_tables(source).get(name):
            said = f"it fills {' and '.join(tables)}. A transfer fills one table: write source: {tables[0]}."
            yield Violation(("options", name), f"is not taken: {said}", key=True)
        elif name not in fields:
            allowed = tuple(fields)
            takes = f"takes {', '.join(allowed)}" if allowed else "takes no options"
            hint = did_you_mean(name, allowed) if allowed else "."
            yield Violation(("options", name), f"is not taken: {source.name} {takes}{hint}", key=True)
        elif value == []:
            yield Violation(("options", name), "is empty: name at least one, or leave it out.")
    if leaving_out.takes(source):
        names = given.get(leaving_out.SETTING)
        yield from _each(leaving_out.SETTING, names, lambda name: leaving_out.without(source, [name]))
    if dimensions.takes(source):
        names = given.get(dimensions.SETTING)
        yield from _each(dimensions.SETTING, names, lambda name: dimensions.grouped(source, [name]))
    filter_by = given.get("filter_by")
    if isinstance(filter_by, str) and "filter_by" in fields:
        allowed = tuple(str(each) for each in source.filter_by)
        if filter_by not in allowed:
            text = f"is {filter_by!r}, but {source.name} takes {' or '.join(allowed)}{did_you_mean(filter_by, allowed)}"
            yield Violation(("options", "filter_by"), text)
    lookback = given.get("lookback_days")
    if "lookback_days" in fields and isinstance(lookback, int | float) and not isinstance(lookback, bool):
        try:
            parse_lookback(lookback)
        except ConfigurationError as error:
            yield Violation(("options", "lookback_days"), str(error).removeprefix("lookback_days "))


def _each(option: str, names: Any, check: Callable[[str], object]) -> Iterator[Violation]:  # noqa: ANN401
    """Violations in a list of names, each of which ``check`` refuses by itself."""
    for position, name in enumerate(names if isinstance(names, list) else ()):
        try:
            if isinstance(name, str):
                check(name)
        except ConfigurationError as error:
            yield Violation(("options", option, position), f"is {name!r}: {error}")


def _times(source: Source, given: dict[str, Any], destination: dict[str, Any]) -> Iterator[Violation]:
    if not source.takes_window:
        return
    zone = destination.get("timezone") or environment.TIMEZONE.text
    times: dict[str, datetime] = {}
    for name in ("start_time", "end_time"):
        if isinstance(given.get(name), str):
            try:
                times[name] = parse_time(given[name], parse_zone(str(zone), "timezone"), name)
            except ConfigurationError as error:
                if not str(error).startswith("timezone"):
                    yield Violation(("options", name), str(error).removeprefix(f"{name} "))
    start, end = times.get("start_time"), times.get("end_time")
    if start and start >= clock.now():
        yield Violation(("options", "start_time"), f"is {given['start_time']!r}, which lies in the future.")
    elif start and end and start >= end:
        yield Violation(("options", "start_time"), f"is {given['start_time']!r}, which is not before end_time.")


def _replacing(source: Source, options: dict[str, Any], destination: dict[str, Any]) -> Iterator[Violation]:
    replaces = destination.get("mode") in ["replace", "replace_on_new_data"]
    if replaces and source.observed_at is not None:
        text = f"is {destination['mode']!r}, which would clear what earlier runs have seen: use merge or append."
        yield Violation(("destination", "mode"), text)
    name = destination.get("partition_key")
    if not isinstance(name, str) or not name:
        return
    times = tuple(column.name for column in source.columns if column.type is ColumnType.TIMESTAMP)
    if name not in times:
        text = one_of(name, times) if times else f"{source.name} has no time column."
        yield Violation(("destination", "partition_key"), f"is {name!r}, but {text}")
        return
    incremental = options.get("incremental", source.incremental)
    if not (replaces and source.time_fields and incremental):
        return
    filter_by = options.get("filter_by")
    known = filter_by is None or filter_by in [str(each) for each in source.filter_by]
    field = source.time_field(FilterBy(filter_by) if filter_by else None) if known else None
    if field is not None and field.name != name:
        text = f"is {name!r}, but rows are read by {field.name}: a replace over another column would lose rows."
        yield Violation(("destination", "partition_key"), text)


def _said(path: Path, data: dict[str, Any], check: Any) -> Iterator[Violation]:  # noqa: ANN401 - a function of a text
    value = data.get(str(path[-1]))
    if not isinstance(value, str) or not value:
        return
    try:
        check(value)
    except (ConfigurationError, UnusablePathError) as error:
        yield Violation(path, re.sub(r"^[a-z_]+ (?=is )", "", str(error)))


def _schedule(given: Any) -> Iterator[Violation]:  # noqa: ANN401
    if not isinstance(given, dict):
        return
    if not given.get("cron") and given.get("repeat", True) is not False:
        yield Violation(("schedule", "cron"), "is missing: say when to run, or set repeat to false.", key=True)
    yield from _said(("schedule", "timezone"), given, lambda text: parse_zone(text, "timezone"))
    wrong = list(_said(("schedule", "cron"), given, check_cron))
    yield from wrong
    delay = given.get("delay")
    if isinstance(delay, bool) or not isinstance(delay, int | str):
        return
    try:
        length = parse_delay(delay)
        if isinstance(given.get("cron"), str) and given["cron"] and not wrong:
            delayed(given["cron"], length)
    except ConfigurationError as error:
        yield Violation(("schedule", "delay"), str(error).removeprefix("delay "))
