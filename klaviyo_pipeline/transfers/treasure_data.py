"""Treasure Data's form of a transfer, `in:` and `out:`, read as it is: each key of theirs, and what it is in ours."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from klaviyo_pipeline.transfers.model import source_name
from klaviyo_pipeline.transfers.problems import Path, Wrong, did_you_mean

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
    name: ("destination", name) for name in ("mode", "database", "schema", "table", "partition_key", "timezone")
}
_OURS = ("lookback_days", "attributions", "subscriptions", "predictive_analytics", "events_table")
"""Options that only our form has; a file in theirs may use them too."""
IN |= {name: ("options", name) for name in _OURS}
_SINGULAR = {"list_id", "event_id"}


@dataclass
class Converted:
    """Our form of their file, where its values stood in theirs, and what could not be converted."""

    data: dict[str, Any] = field(default_factory=dict)
    origin: dict[Path, Path] = field(default_factory=dict)
    wrong: list[Wrong] = field(default_factory=list)

    def where(self, path: Path) -> Path:
        """The path in their file for one in ours."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.origin:
                return self.origin[path[:length]] + path[length:]
        return {"source": ("in", "data_source"), "destination": ("out",)}.get(str(path[0]) if path else "", path or ())


def is_theirs(data: dict[str, Any]) -> bool:
    """Whether a file is in Treasure Data's form."""
    return any(name in data for name in SECTIONS)


def convert(data: dict[str, Any]) -> Converted:
    """Their form in ours. Their defaults become explicit: append, related objects read, not incremental."""
    made = Converted()
    for name, value in data.items():
        if name in OURS_TOO:
            made.data[name] = value
            made.origin[(name,)] = (name,)
        elif name not in SECTIONS:
            allowed = (*SECTIONS, *OURS_TOO)
            text = f"is not known beside in and out; there is {', '.join(allowed)}{did_you_mean(name, allowed)}"
            made.wrong.append(Wrong((name,), text, key=True))
    _section(made, data, "in", IN)
    _section(made, data, "out", OUT)
    _check_type(made, data.get("in"))
    made.data.setdefault("destination", {}).setdefault("mode", "append")
    options = made.data.setdefault("options", {})
    source = source_name(str(made.data.get("source", "")))
    if source == "events":
        options.setdefault("skip_related", False)
    if source in {"events", "templates", "campaigns", "lists", "profiles"}:
        options.setdefault("incremental", False)
    return made


def _section(made: Converted, data: dict[str, Any], section: str, keys: dict[str, Path]) -> None:
    given = data.get(section)
    if given is None:
        if section == "in":
            made.wrong.append(Wrong(("in",), "is missing: it says what to import.", key=True))
        return
    if not isinstance(given, dict):
        made.wrong.append(Wrong((section,), "must be a mapping of keys to values."))
        return
    for name, value in given.items():
        where: Path = (section, name)
        if name not in keys:
            shown = {ours: theirs for theirs, ours in reversed(keys.items())}.values()
            allowed = ", ".join(reversed(shown))
            text = f"is not known; {section} takes {allowed}{did_you_mean(name, tuple(keys))}"
            made.wrong.append(Wrong(where, text, key=True))
            continue
        ours = keys[name]
        if not ours or value is None:
            continue
        if ours in made.origin:
            made.wrong.append(Wrong(where, f"says the same as {made.origin[ours][-1]}: keep one of them.", key=True))
            continue
        made.origin[ours] = where
        wanted = [value] if name in _SINGULAR and not isinstance(value, list) else value
        if name == "td_authentication_id":
            wanted = str(value)
        target = made.data
        for step in ours[:-1]:
            target = target.setdefault(str(step), {})
        target[str(ours[-1])] = wanted


def _check_type(made: Converted, given: Any) -> None:  # noqa: ANN401 - whatever the file has
    if isinstance(given, dict) and given.get("type", "klaviyo") != "klaviyo":
        made.wrong.append(Wrong(("in", "type"), f"is {given['type']!r}, but must be klaviyo."))
