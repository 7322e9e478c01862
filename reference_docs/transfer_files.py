"""`transfer-files.md`: every key of a transfer's file, in our form and in Treasure Data's."""

from __future__ import annotations

from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.transfers.file.model import (
    ALIASES,
    DestinationSettings,
    HttpSettings,
    ScheduleSettings,
    Transfer,
    options_of,
)
from klaviyo_pipeline.transfers.file.treasure_data import IGNORED_IN, IGNORED_OUT, IGNORED_SECTIONS, IN, OUT
from reference_docs.markdown import code, codes, described, fields_table, general, table

INTRO = """\
# Keys of a transfer's file

One YAML file in `transfers/` is one import; see [transfers](../transfers.md). An unknown key, or a value of another
type, is an error that names file, line and key. `klaviyo-pipeline transfer schema` prints the same keys as a JSON
Schema, for editors.
"""
SECTIONS = {"http": HttpSettings, "destination": DestinationSettings, "schedule": ScheduleSettings}


def page() -> str:
    """The page's text."""
    top = {name: field for name, field in Transfer.model_fields.items() if name not in SECTIONS}
    parts = [INTRO, "## At the top\n", fields_table(Transfer, top, what="a transfer"), "## `options`\n", _options()]
    for name, model in SECTIONS.items():
        parts += [f"## `{name}`\n", described(model.__doc__, name) + "\n", fields_table(model, what=name)]
    spelled: dict[str, list[str]] = {}
    for alias, name in ALIASES.items():
        spelled.setdefault(name, []).append(alias)
    return "\n".join(
        [
            *parts,
            "## Other spellings of data sources\n",
            table(["data source", "other names"], [[code(name), codes(names)] for name, names in spelled.items()]),
            "## Treasure Data's keys\n",
            "A file with `in:` and `out:` has Treasure Data's form. "
            "[Migrating from Treasure Data](../migrating-from-treasure-data.md) explains each key.\n",
            table(["theirs", "ours"], _theirs()),
        ]
    )


def _options() -> str:
    rows: dict[tuple[str, str], list[str]] = {}
    for source in SOURCES.values():
        for name, field in options_of(source).items():
            text = general(described(field.description, f"{name} of {source.name}"))
            rows.setdefault((name, text), []).append(source.name)
    return table(
        ["option", "what it sets", "data sources"],
        [[code(name), text, codes(sources)] for (name, text), sources in sorted(rows.items())],
    )


_TYPES = {"in": "(always `klaviyo`)", "out": "(`td` or `duckdb`; rows go to DuckDB)"}


def _theirs() -> list[list[str]]:
    read = [
        [f"`{section}.{name}`", code(".".join(path)) if path else _TYPES[section]]
        for section, names in (("in", IN), ("out", OUT))
        for name, path in names.items()
    ]
    not_used = [
        [f"`{section}{name}`", f"(read with a warning: {text})"]
        for section, names in (("in.", IGNORED_IN), ("out.", IGNORED_OUT), ("", IGNORED_SECTIONS))
        for name, text in names.items()
    ]
    return read + not_used
