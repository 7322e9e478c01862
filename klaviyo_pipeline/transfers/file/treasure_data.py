"""Treasure Data's form of a transfer, `in:` and `out:`: each of its keys, and the key of ours that it becomes.

A key that means nothing here (a table's storage on Treasure Data's side, say) is read with a warning. A key is refused
only where following it would load something else than the file asks for. The keys of `out` and `filters` are those of
Embulk's output plugin for Treasure Data, which the connector runs on.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from klaviyo_pipeline.klaviyo.catalogue.columns import ColumnType
from klaviyo_pipeline.klaviyo.catalogue.model import FilterBy, Source
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.similar import did_you_mean
from klaviyo_pipeline.transfers.file.model import MODES, options_of, source_name
from klaviyo_pipeline.yaml_files.problems import Path, Violation

SECTIONS = ("in", "out")
OURS_TOO = ("description", "schedule", "run_on_change")
"""Sections of our form that may stand beside theirs."""

IN: dict[str, Path] = {
    "type": (),
    "data_source": ("source",),
    "api_token": ("api_token",),
    "authentication": ("authentication",),
    "td_authentication_id": ("authentication",),
    "revision_time": ("revision",),
    "revision": ("revision",),
    "skip_related_objects": ("options", "skip_related"),
    "skip_related_object": ("options", "skip_related"),
    "incremental": ("options", "incremental"),
    "incremental_field": ("options", "filter_by"),
    "filter_by": ("options", "filter_by"),
    "start_time": ("options", "start_time"),
    "end_time": ("options", "end_time"),
    "list_id": ("options", "list_ids"),
    "list_ids": ("options", "list_ids"),
    "event_id": ("options", "event_ids"),
    "event_ids": ("options", "event_ids"),
    "retry_limit": ("http", "retry_limit"),
    "initial_retry_wait": ("http", "initial_retry_wait_s"),
    "initial_retry_time_wait": ("http", "initial_retry_wait_s"),
    "max_retry_wait": ("http", "max_retry_wait_s"),
    "http_connection_timeout": ("http", "connect_timeout_s"),
    "connection_timeout": ("http", "connect_timeout_s"),
    "http_read_timeout": ("http", "read_timeout_s"),
    "read_timeout": ("http", "read_timeout_s"),
    "http_write_timeout": ("http", "write_timeout_s"),
    "write_timeout": ("http", "write_timeout_s"),
}
OUT: dict[str, Path] = {
    "type": (),
    **{name: ("destination", name) for name in ("mode", "database", "schema", "table", "partition_key", "timezone")},
}
OUT |= {"time_column": ("destination", "partition_key"), "default_timezone": ("destination", "timezone")}
IGNORED_SECTIONS = {
    "exec": "is not used: the settings of an Embulk executor mean nothing here.",
    "filters": "is not used.",
}
_NOT_USED_BY_DUCKDB = "is not used: rows go to DuckDB."
_ONE_FORM = "is not used: Klaviyo's answers have one form."
IGNORED_IN = {
    "columns": "is not used: the catalogue gives each column its name and type.",
    "parser": _ONE_FORM,
    "decoders": _ONE_FORM,
}
IGNORED_OUT = {
    "apikey": "is not used: rows go to DuckDB, which needs no key of Treasure Data. Take the key out of the file.",
    "time_value": "is not used: each row has its time of loading in the column _loaded_at.",
    "column_options": "is not used: the catalogue gives each column its type.",
    **dict.fromkeys(
        (
            *("additional_http_headers", "auto_create_table", "default_timestamp_format"),
            *("default_timestamp_type_convert_to", "displayed_error_records_count_limit", "endpoint"),
            *("file_split_size", "http_proxy", "port", "retry_initial_interval_millis", "retry_limit"),
            *("retry_max_interval_millis", "session", "stop_on_invalid_record", "tmpdir", "unix_timestamp_unit"),
            *("upload_concurrency", "use_ssl"),
        ),
        _NOT_USED_BY_DUCKDB,
    ),
}
_ADD_TIME = "is not used: each row has its time of loading in the column _loaded_at, so no column is added."
_MODES = {"truncate": "replace", "always_replace": "replace"}
"""Modes of Embulk's plugin and of the console under another name here."""
_CHOICES: dict[Path, frozenset[str]] = {
    ("destination", "mode"): frozenset({*MODES, *_MODES}),
    ("options", "filter_by"): frozenset(str(each) for each in FilterBy),
}
"""Keys whose value may be written as its label in the console: `Replace on new data`, `Updated`."""
_OURS = ("lookback_days", "attributions", "subscriptions", "predictive_analytics", "events_table")
"""Options that only our form has; a file in theirs may use them too."""
IN |= {name: ("options", name) for name in _OURS}
_SINGULAR = {"list_id", "event_id"}
_SWITCHES = {
    "skip_related": frozenset({"events"}),
    "incremental": frozenset({"events", "templates", "campaigns", "lists", "profiles"}),
}
"""Options that are off by default in Treasure Data, and the data sources that have them there."""


@dataclass
class Converted:
    """Our form of their file, where its values stood in theirs, what is not used, and what is refused."""

    data: dict[str, Any] = field(default_factory=dict)
    origin: dict[Path, Path] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)
    warnings: list[Violation] = field(default_factory=list)

    def where(self, path: Path) -> Path:
        """The path in their file for one in ours."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.origin:
                return self.origin[path[:length]] + path[length:]
        return {"source": ("in", "data_source"), "destination": ("out",)}.get(str(path[0]) if path else "", path or ())


def is_theirs(data: dict[str, Any]) -> bool:
    """Whether a file is in Treasure Data's form."""
    return any(name in data for name in SECTIONS)


def is_workflow(data: dict[str, Any]) -> bool:
    """Whether a file is a workflow (`.dig`), whose tasks begin with + and whose operators end with >."""
    return any(isinstance(name, str) and (name.startswith("+") or name.endswith(">")) for name in data)


def convert(data: dict[str, Any], accounts: Collection[str] = ()) -> Converted:
    """Their form in ours. Their defaults become explicit: append, related objects read, not incremental.

    Args:
        data: The file.
        accounts: Names of the accounts there are.
    """
    made = Converted()
    for name, value in data.items():
        if name in OURS_TOO:
            made.data[name] = value
            made.origin[(name,)] = (name,)
        elif name in IGNORED_SECTIONS:
            made.warnings += _ignored_section(made, name, value)
        elif name not in SECTIONS:
            allowed = (*SECTIONS, *OURS_TOO)
            text = f"is not known beside in and out; there is {', '.join(allowed)}{did_you_mean(name, allowed)}"
            made.violations.append(Violation((name,), text, key=True))
    _section(made, data, "in", IN, IGNORED_IN)
    _section(made, data, "out", OUT, IGNORED_OUT)
    _check_types(made, data)
    _authentication(made, accounts)
    source = SOURCES.get(source_name(str(made.data.get("source", ""))))
    if source is not None:
        _columns(made, source, data["in"].get("columns"))
        _time_column(made, source)
    _defaults(made, source)
    return made


def _section(
    made: Converted, data: dict[str, Any], section: str, keys: dict[str, Path], ignored: dict[str, str]
) -> None:
    given = data.get(section)
    if given is None:
        if section == "in":
            made.violations.append(Violation(("in",), "is missing: it says what to import.", key=True))
        return
    if not isinstance(given, dict):
        made.violations.append(Violation((section,), "must be a mapping of keys to values."))
        return
    for name, value in given.items():
        where: Path = (section, name)
        if name in ignored:
            made.warnings.append(Violation(where, ignored[name], key=True))
            continue
        if name not in keys:
            shown = {ours: theirs for theirs, ours in reversed(keys.items())}.values()
            allowed = ", ".join(reversed(shown))
            text = f"is not known; {section} takes {allowed}{did_you_mean(name, tuple(keys))}"
            made.violations.append(Violation(where, text, key=True))
            continue
        ours = keys[name]
        if not ours or value is None or value == "":  # the console writes its empty fields too
            continue
        if ours in made.origin:
            made.violations.append(
                Violation(where, f"says the same as {made.origin[ours][-1]}: keep one of them.", key=True)
            )
            continue
        made.origin[ours] = where
        target = made.data
        for step in ours[:-1]:
            target = target.setdefault(str(step), {})
        target[str(ours[-1])] = [value] if name in _SINGULAR and not isinstance(value, list) else _typed(ours, value)


def _typed(ours: Path, value: Any) -> Any:  # noqa: ANN401 - whatever the file has
    """A value with the type that Embulk would give it: it takes numbers and switches in quotes, too."""
    if not isinstance(value, str):
        return value
    text = re.sub(r"[\s-]+", "_", value.strip().lower())
    if text in _CHOICES.get(ours, ()):
        return text
    if ours[0] == "http" and re.fullmatch(r"[0-9]{1,9}", text):
        return int(text)
    if ours[-1] in _SWITCHES and text in {"true", "false"}:
        return text == "true"
    return value


def _ignored_section(made: Converted, name: str, value: Any) -> Iterator[Violation]:  # noqa: ANN401 - whatever the file has
    """Warn of a section that means nothing here; a filter that changes rows or columns is refused."""
    if name != "filters":
        yield Violation((name,), IGNORED_SECTIONS[name], key=True)
        return
    filters = value if isinstance(value, list) else [value] if value else []
    for position, each in enumerate(filters):
        where: Path = (name, position) if isinstance(value, list) else (name,)
        kind = each.get("type") if isinstance(each, dict) else each
        if kind == "add_time":
            yield Violation(where, _ADD_TIME)
        else:
            text = f"of type {kind!r} would change the rows, but rows land unchanged here. Take it out and use SQL."
            made.violations.append(Violation(where, text))


def _check_types(made: Converted, data: dict[str, Any]) -> None:
    for section, ours, ignored in (("in", "klaviyo", ()), ("out", "duckdb", ("td", "stdout"))):
        given = data.get(section)
        kind = given.get("type") if isinstance(given, dict) else None
        if kind is None or kind == ours:
            continue
        if kind in ignored:
            made.warnings.append(Violation((section, "type"), _NOT_USED_BY_DUCKDB))
        else:
            allowed = " or ".join((*ignored[:1], ours))
            made.violations.append(Violation((section, "type"), f"is {kind!r}, but must be {allowed}."))


def _authentication(made: Converted, accounts: Collection[str]) -> None:
    """Treasure Data numbers its authentications; no number of theirs names an account here."""
    name = made.data.get("authentication")
    where = made.origin.get(("authentication",), ())
    if where[-1:] != ("td_authentication_id",) or name is None:
        return
    text = made.data["authentication"] = str(name)
    if text.isdecimal() and text not in accounts:
        del made.data["authentication"]
        made.warnings.append(
            Violation(
                where, "is a number of Treasure Data, so the account default is read. Another one: authentication."
            )
        )


def _columns(made: Converted, source: Source, given: Any) -> None:  # noqa: ANN401 - whatever the file has
    """Name the columns that the file expects and the table does not have."""
    names = [str(each.get("name")) for each in given if isinstance(each, dict)] if isinstance(given, list) else []
    ours = {column.name for column in source.columns}
    others = [name for name in names if name not in ours]
    if others:
        text = f"{IGNORED_IN['columns']} The table {source.name} has no {', '.join(others)}."
        made.warnings = [
            Violation(each.path, text, True) if each.path == ("in", "columns") else each for each in made.warnings
        ]


def _time_column(made: Converted, source: Source) -> None:
    """Their time column is our partition key, if it is one of the table's own times."""
    where = made.origin.get(("destination", "partition_key"), ())
    if where[-1:] != ("time_column",):
        return
    name = made.data["destination"]["partition_key"]
    times = [column.name for column in source.columns if column.type is ColumnType.TIMESTAMP]
    if name not in times:
        del made.data["destination"]["partition_key"]
        known = f"the times of {source.name} are {', '.join(times)}" if times else f"{source.name} has no times"
        made.warnings.append(Violation(where, f"is {name!r} and is not used: {known}."))


def _defaults(made: Converted, source: Source | None) -> None:
    destination = made.data.setdefault("destination", {})
    mode = destination.setdefault("mode", "append")
    destination["mode"] = _MODES.get(mode, mode) if isinstance(mode, str) else mode
    options = made.data.setdefault("options", {})
    if source is None:
        return
    for name, sources in _SWITCHES.items():
        if source.name in sources:
            options.setdefault(name, False)
        elif options.get(name) is False and name not in options_of(source):
            del options[name]  # the console writes them for every data source; off, they ask for nothing
