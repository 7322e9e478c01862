"""Validates an account of klaviyo.yml: types by the model, meaning by the grammar of settings and the catalogue."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from klaviyo_pipeline import environment, grammar
from klaviyo_pipeline.accounts.model import CRONS, AccountSettings
from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.orchestration.automation.cron import check_cron
from klaviyo_pipeline.orchestration.names import may_be_a_name
from klaviyo_pipeline.similar import did_you_mean
from klaviyo_pipeline.yaml_files.problems import Violation
from klaviyo_pipeline.yaml_files.shape import refused, shape_violations

DEFAULT = "default"
"""The name of the account of KLAVIYO_API_KEY, for commands and transfers."""
ALL_ACCOUNTS = "all_accounts"
"""The schema, key prefix and group of the views over the analytics tables of all accounts."""
_OF_ALL = "is that of the views over all accounts"
LONGEST_NAME = 50
"""A name becomes part of the names of jobs, schemas and files."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def violations_in(name: str, data: Any) -> list[Violation]:  # noqa: ANN401 - whatever the file has
    """All violations of one account; their paths begin in the account."""
    if reason := wrong_name(name):
        return [Violation((), reason, key=True)]
    if not isinstance(data, dict):
        return [Violation((), "must be a mapping with api_key_env: NAME OF AN ENVIRONMENT VARIABLE.")]
    found = [*shape_violations(AccountSettings, data), *_key(data), *_texts(name, data), *_lists(data)]
    found += [*_write_modes(data), *_shrink(data), *_schedule(data), *_privacy(data)]
    # A value of the wrong type is wrong once.
    unique = {(each.path, each.key): each for each in reversed(found)}
    return list(reversed(unique.values()))


def wrong_name(name: str) -> str:
    """Why an account cannot have a name; blank if it can."""
    if name == DEFAULT:
        return "is the account of KLAVIYO_API_KEY: choose another name."
    if name.lower() in ("duckdb", "io_manager"):
        return "is the key of a resource: choose another name."
    if name.lower() == ALL_ACCOUNTS:
        return f"{_OF_ALL}: choose another name."
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or not may_be_a_name(name) or name.endswith("_"):
        return "is no name of an account: use letters, digits and underscores, a letter first, and no reserved word."
    return f"has a name of more than {LONGEST_NAME} characters." if len(name) > LONGEST_NAME else ""


def _key(data: dict[str, Any]) -> Iterator[Violation]:
    """A key in place of a variable's name. The message does not show it."""
    given = data.get("api_key_env")
    if isinstance(given, str) and (not _VARIABLE.fullmatch(given) or given.lower().startswith("pk_")):
        yield Violation(("api_key_env",), "is not the name of an environment variable. Keys do not belong in a file.")


def _texts(account: str, data: dict[str, Any]) -> Iterator[Violation]:
    parsers: dict[str, grammar.Parser] = {
        "base_url": environment.BASE_URL.parse,
        "revision": grammar.revision,
        "database": grammar.file,
        "first_day": grammar.day,
        "timezone": grammar.zone,
        "key_prefix": _prefix,
        "group": _group,
    }
    for name, parse in parsers.items():
        yield from refused((name,), data.get(name), parse)
    yield from refused(("schema",), data.get("schema") or account, grammar.schema)
    for name in ("schema", "key_prefix"):
        if str(data.get(name)).lower() == ALL_ACCOUNTS:
            yield Violation((name,), f"{_OF_ALL}: choose another one.")


def _prefix(text: str, name: str) -> str:
    if not all(re.fullmatch(r"[A-Za-z0-9_]+", part) for part in text.split("/")):
        raise ConfigurationError(
            f"{name} is {text!r}, but must be parts of letters, digits and underscores, separated by /."
        )
    return text


def _group(text: str, name: str) -> str:
    if not may_be_a_name(text):
        raise ConfigurationError(f"{name} is {text!r}, but must have letters, digits and underscores only.")
    return text


def _lists(data: dict[str, Any]) -> Iterator[Violation]:
    options = data.get("options") if isinstance(data.get("options"), dict) else {}
    parsers: dict[tuple[str, ...], grammar.Parser] = {
        ("owners",): grammar.owners,
        ("sources",): grammar.sources,
        ("options", "leave_out"): grammar.columns,
    }
    for path, parse in parsers.items():
        given = (options or {} if len(path) > 1 else data).get(path[-1])
        if isinstance(given, list) and all(isinstance(each, str) for each in given):
            if not given and path != ("options", "leave_out"):
                yield Violation(path, "is empty: name at least one, or leave it out.")
            yield from refused(path, ",".join(given), parse)


def _write_modes(data: dict[str, Any]) -> Iterator[Violation]:
    given = data.get("write_modes")
    for name, mode in given.items() if isinstance(given, dict) else ():
        path = ("write_modes", name)
        if name not in SOURCES:
            yield Violation(path, f"is not a data source{did_you_mean(name, tuple(SOURCES))}", key=True)
        elif SOURCES[name].observed_at is not None and str(mode).startswith("replace"):
            yield Violation(path, f"is {mode!r}, which would clear what earlier runs have seen: use merge or append.")


def _shrink(data: dict[str, Any]) -> Iterator[Violation]:
    given = data.get("shrink")
    for name, variable in (("share", environment.SHRINK_SHARE), ("rows", environment.SHRINK_ROWS)):
        value = given.get(name) if isinstance(given, dict) else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield from refused(("shrink", name), str(value), variable.parse)


def _privacy(data: dict[str, Any]) -> Iterator[Violation]:
    if data.get("privacy") is not None:
        try:
            text = json.dumps(data["privacy"])
        except (TypeError, ValueError):
            yield Violation(("privacy",), "must be a preset, or a mapping of columns to rules.")
            return
        yield from refused(("privacy",), text, environment.PRIVACY.parse)


def _schedule(data: dict[str, Any]) -> Iterator[Violation]:
    given = data.get("schedule")
    if not isinstance(given, dict):
        return
    yield from refused(("schedule", "timezone"), given.get("timezone"), grammar.zone)
    cron: Callable[[str, str], object] = lambda text, _name: check_cron(text)  # noqa: E731
    for name in CRONS:
        for each in refused(("schedule", name), given.get(name), cron):
            yield Violation(each.path, each.text.removeprefix("cron "))
