"""The names of definitions in Dagster. A name must be unique within a code location."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg


def names_in(definitions: dg.Definitions) -> frozenset[str]:
    """All names in definitions: of jobs, ops, schedules, sensors, resources and groups of assets."""
    return frozenset(_names_in(definitions))


def may_be_a_name(name: str) -> bool:
    """Whether Dagster accepts a name. It reserves some words, such as config and type."""
    from dagster._core.definitions.utils import is_valid_name

    return is_valid_name(name)


def _names_in(definitions: dg.Definitions) -> Iterator[str]:
    named: list[Any] = [*(definitions.jobs or ()), *(definitions.schedules or ()), *(definitions.sensors or ())]
    yield from (each.name for each in named)
    yield from definitions.resources or ()
    graphs: list[Any] = [each.graph for each in definitions.jobs or () if isinstance(each, dg.JobDefinition)]
    for asset in (*(definitions.assets or ()), *(definitions.asset_checks or ())):
        if isinstance(asset, dg.AssetsDefinition):
            graphs += [asset.node_def] if asset.is_executable else []
            yield from (spec.group_name for spec in asset.specs if spec.group_name)
    for graph in graphs:
        yield from (node.name for node in graph.iterate_node_defs())
