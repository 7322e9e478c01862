"""`analytics.md`: the tables made from the landed ones, from the assets' own column schemas."""

from __future__ import annotations

import inspect
from typing import Any

import dagster as dg

from klaviyo_pipeline.analytics.assets import build_analytics_assets
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.orchestration.account import Naming
from klaviyo_pipeline.orchestration.choices import Choices
from reference_docs.markdown import code, codes, described, table

INTRO = """\
# Analytics tables

SQL makes these tables from the landed ones. They are useful from the first day, and are examples to copy. The SQL is
on each asset's page in Dagster, and in `klaviyo_pipeline/analytics/sql/`. `klaviyo-pipeline chart NAME` draws a chart
of each.

`campaign_performance`, `daily_metrics`, `list_growth` and `profile_activity` are always assets. Each other table is one
once `KLAVIYO_SOURCES` has all data sources that it is made from.

Days are in the account's time zone. The pipeline asks Klaviyo for it once a day (scope `accounts:read`; without the
scope it uses the storage time zone), and keeps it with the account's currency in the table `account` beside them.

A build compares a fingerprint of each day (the number of rows, and a hash of their times and of `_loaded_at`) with
that of the last build. It copies the days that differ to a file beside the database, computes these days and the
profiles and campaigns in them, and swaps the new rows in. It holds the database only for moments, and includes a load
that lands meanwhile. If time zones, metric roles or SQL change, it builds the rows that depend on them again. To
build everything again, for example after you changed `events` by hand without `_loaded_at`, delete the folder
`<database>.analytics` and materialize the tables.
"""


def assets() -> list[dg.AssetSpec]:
    """The assets of all analytics tables, by key, as if all data sources were chosen."""
    made = build_analytics_assets(Naming(choices=Choices(sources=tuple(SOURCES))))
    return sorted((spec for asset in made for spec in asset.specs), key=lambda spec: spec.key.path)


def page() -> str:
    """The page's text."""
    parts = [INTRO]
    for spec in assets():
        name = spec.key.to_user_string()
        parts += [f"## `{name}`\n", _paragraphs(described_text(spec)) + "\n", _facts(spec), _columns(spec, name)]
    return "\n".join(parts)


def described_text(spec: dg.AssetSpec) -> str:
    """An asset's description, with its paragraphs."""
    described(spec.description, spec.key.to_user_string())
    return spec.description or ""


def _paragraphs(text: str) -> str:
    """A description's paragraphs, each on one line; blocks of code as they are."""
    parts = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(part if part.startswith("```") else " ".join(part.split()) for part in parts if part.strip())


def _facts(spec: dg.AssetSpec) -> str:
    metadata = dict(spec.metadata)
    rows = [
        ("Table", code(_place(spec, metadata))),
        ("Made from", codes(sorted(each.asset_key.to_user_string() for each in spec.deps))),
        ("Group", code(spec.group_name or "")),
    ]
    return table(["", ""], [[name, value] for name, value in rows if value])


def _place(spec: dg.AssetSpec, metadata: dict[str, Any]) -> str:
    table_name = metadata.get("dagster/table_name")
    if table_name:
        return str(getattr(table_name, "value", table_name))
    schema = metadata.get("schema") or (spec.key.path[0] if len(spec.key.path) > 1 else "")
    name = metadata.get("table") or spec.key.path[-1]
    return ".".join(str(getattr(part, "value", part)) for part in (schema, name) if part)


def columns_of(spec: dg.AssetSpec) -> list[dg.TableColumn]:
    """The columns that an asset declares."""
    schema = spec.metadata.get("dagster/column_schema")
    schema = getattr(schema, "schema", None) or getattr(schema, "value", None) or schema
    return list(schema.columns) if schema is not None else []


def _columns(spec: dg.AssetSpec, name: str) -> str:
    rows = [
        [code(each.name), each.type, described(each.description, f"{name}.{each.name}")] for each in columns_of(spec)
    ]
    return table(["column", "type", "meaning"], rows)
