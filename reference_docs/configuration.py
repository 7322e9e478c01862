"""`configuration.md`: environment variables, the resources, and what a run can be told."""

from __future__ import annotations

from typing import Any

import dagster as dg

from klaviyo_pipeline.environment import Variable
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.orchestration.assets.config import LoadConfig, config_class
from reference_docs.markdown import code, codes, described, fields_table, general, table, type_of
from reference_docs.package import instances, own_doc, subclasses

INTRO = """\
# Configuration

Most of the time nothing but an API key needs to be set. What is set in more than one place is taken from the first of:
the run's config, a transfer's file, the resource, the environment, the default.
"""

FURTHER = (
    ("KLAVIYO_DEBUG", "", "Set to 1 to see the traceback of a command or a run that failed."),
    (
        "DAGSTER_HOME",
        "",
        "Dagster's own: the folder for its runs, schedules and events. The Makefile sets the clone's folder, whose "
        "`dagster.yaml` keeps the records in `.dagster`. Without it, commands still land rows and keep the ledger, but "
        "Dagster remembers no run.",
    ),
)
"""Variables that are read in other ways."""

VARIABLES = """\
## Environment variables

They are read when they are needed, also from a file `.env` in the folder where a command or Dagster starts. A blank one
counts as not set.
"""

RESOURCES = """\
## Resources

Set in code (`klaviyo_pipeline/definitions.py`, or `Definitions` of your own that merge ours). A launch can set only the
fields that are named below, in the Launchpad under `resources:`; everything else in its run config is refused, since
anybody who reaches Dagster's web server can launch a run ([security](../security.md)). A value out of its bounds is
refused before anything is requested.
"""

RUN_CONFIG = """\
## Run config of assets

In the Launchpad, a schedule, or `--config-json`: `ops: {klaviyo__events: {config: {…}}}`. Times are ISO 8601; without
an offset they are read in the storage time zone. Each data source takes those of these that Klaviyo's endpoint can do;
[data sources](data-sources.md) has them one by one, with the defaults of each. A value is never the name of an
environment variable (`{env: …}`).
"""


def variables() -> list[tuple[str, str, str]]:
    """All environment variables: name, default, description."""
    declared = [(each.name, each.default, each.description) for each in instances(Variable)]
    return sorted({*declared, *FURTHER})


def page() -> str:
    """The page's text."""
    rows = [[code(name), code(default), described(text, name)] for name, default, text in variables()]
    return "\n".join(
        [
            INTRO,
            VARIABLES,
            table(["name", "default", "what it is for"], rows),
            RESOURCES,
            *_resources(),
            RUN_CONFIG,
            _run_config(),
            *_other_configs(),
        ]
    )


def _resources() -> list[str]:
    from klaviyo_pipeline.definitions import defs

    parts = []
    for name, resource in sorted((defs.resources or {}).items()):
        kind = type(resource)
        if kind.__module__.startswith("klaviyo_pipeline."):
            about = described((own_doc(kind) or "").split("\n\n")[0], kind.__name__)
            shown = {
                key: field
                for key, field in kind.model_fields.items()
                if not (isinstance(field.annotation, type) and issubclass(field.annotation, dg.ConfigurableResource))
            }
            free = codes(each for each in shown if each in kind.at_launch)
            heading = [f"### `{name}`\n", f"{about} Class: `{kind.__name__}`. At launch: {free}.\n"]
            parts += [*heading, fields_table(kind, shown, what=name)]
    return parts


def _run_config() -> str:
    rows: dict[str, tuple[str, str, list[str]]] = {}
    for source in SOURCES:
        for name, field in config_class(source).model_fields.items():
            text = described(field.description, f"{name} of {source}")
            # The choices differ by source: the longest list has them all.
            kind, known = type_of(field.annotation), rows.get(name, ("", "", []))
            rows[name] = (max(kind, known[0], key=len), general(text), [*known[2], source])
    shown = [
        [code(name), kind, text, "all" if len(sources) == len(SOURCES) else codes(sources)]
        for name, (kind, text, sources) in rows.items()
    ]
    return table(["name", "type", "what it is for", "taken by"], shown)


def _other_configs() -> list[str]:
    """Config of checks, jobs and sensors."""
    made_from: Any = (LoadConfig, dg.ConfigurableResource, dg.ConfigurableIOManager)
    others = [cls for cls in subclasses(dg.Config) if not issubclass(cls, made_from)]
    parts = ["## Config of checks and jobs\n"] if others else []
    for cls in others:
        parts += [f"### `{cls.__name__}`\n", described(own_doc(cls), cls.__name__) + "\n"]
        parts += [fields_table(cls, what=cls.__name__)]
    return parts
