"""`configuration.md`: environment variables, the resources, and what a run can be told."""

from __future__ import annotations

from typing import Any

import dagster as dg

from klaviyo_pipeline.environment import Variable
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.orchestration.account import DEFAULT
from klaviyo_pipeline.orchestration.assets.config import LoadConfig, config_class
from klaviyo_pipeline.orchestration.assets.run_settings import run_settings
from reference_docs.markdown import code, codes, described, fields_table, general, table, type_of
from reference_docs.package import instances, own_doc, subclasses

INTRO = """\
# Configuration

Most of the time you need to set only an API key. If several places set the same thing, the first of these wins: the
run's config, a transfer's file, the resource, the environment, the default.
"""

FURTHER = (
    ("KLAVIYO_DEBUG", "", "1: a command or run that fails shows its traceback."),
    (
        "DAGSTER_HOME",
        "",
        "Dagster's folder for its runs, schedules and events. The Makefile sets it to the clone's folder, whose "
        "`dagster.yaml` keeps the records in `.dagster`. Without it, commands still land rows and keep the ledger, but "
        "Dagster keeps no record of runs.",
    ),
)
"""Variables that are read in other ways."""

VARIABLES = """\
## Environment variables

A command or Dagster reads a variable when it needs it, also from a file `.env` in the folder where it starts. A blank
variable counts as not set.
"""

RESOURCES = """\
## Resources

Code sets them: `klaviyo_pipeline/definitions.py`, or `Definitions` of your own that merge ours. A launch can set only
the fields *At launch*, in the Launchpad under `resources:`. Dagster refuses other fields in the run config, because
everybody who reaches its web server can launch a run ([security](../security.md)). A value outside its bounds fails
before any request.
"""

RUN_CONFIG = """\
## Run config of assets

Write it in the Launchpad, a schedule, or `--config-json`: `ops: {klaviyo__events: {config: {…}}}`. It wins over
`klaviyo_load`, which counts for all data sources of a run. Times are ISO 8601, in the storage time zone if they have no
offset. A data source takes the fields that its endpoint at Klaviyo
supports: [data sources](data-sources.md) lists them with their defaults. A value cannot name an environment variable
(`{env: …}`).
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
            table(["name", "default", "what it sets"], rows),
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
    # The assets bring their run settings along.
    for name, resource in sorted({**(defs.resources or {}), **run_settings(DEFAULT)}.items()):
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
    return table(["name", "type", "what it sets", "data sources"], shown)


def _other_configs() -> list[str]:
    """Config of checks, jobs and sensors."""
    made_from: Any = (LoadConfig, dg.ConfigurableResource, dg.ConfigurableIOManager)
    others = [cls for cls in subclasses(dg.Config) if not issubclass(cls, made_from)]
    parts = ["## Config of checks and jobs\n"] if others else []
    for cls in others:
        parts += [f"### `{cls.__name__}`\n", described(own_doc(cls), cls.__name__) + "\n"]
        parts += [fields_table(cls, what=cls.__name__)]
    return parts
