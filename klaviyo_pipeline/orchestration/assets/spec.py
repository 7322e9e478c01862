"""A load as it is configured: the one thing that assets are built from, those of the catalogue and transfers alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import dagster as dg

from klaviyo_pipeline import environment
from klaviyo_pipeline.klaviyo.catalogue import leaving_out
from klaviyo_pipeline.klaviyo.catalogue.model import Source
from klaviyo_pipeline.klaviyo.catalogue.registry import CORE
from klaviyo_pipeline.loads.cadence import Cadence, cadence_of
from klaviyo_pipeline.loads.children import time_column
from klaviyo_pipeline.loads.destination import Destination
from klaviyo_pipeline.orchestration.account import DEFAULT, Naming

if TYPE_CHECKING:
    from klaviyo_pipeline.orchestration.resources import KlaviyoResource

KEY_PREFIX = DEFAULT.key_prefix[0]
GROUP = DEFAULT.group


def partition_key_of(source: Source) -> str | None:
    """The column whose time decides which day partition a row lies in; None for a child that does not have it."""
    return time_of_rows(source) if source.partitioned_by_day else None


def time_of_rows(source: Source) -> str | None:
    """The column of the time of windows; None without one. Metrics and profiles of events have the event's time."""
    if source.child is not None:
        return time_column(source)
    if source.time_fields:
        return source.time_fields[0].column
    return "event_datetime" if source.fan_out is not None and source.fan_out.batch is not None else None


def _same(account: KlaviyoResource) -> KlaviyoResource:
    return account


@dataclass(frozen=True)
class LoadSpec:
    """What becomes one asset.

    Attributes:
        key: The asset key.
        source: The data source, without the columns that are left out.
        ledger_name: The load's name in the ledger; an incremental load starts where the last load of this name ended.
        options: Values for the asset's config other than the data source's defaults.
        begin: Where the first run begins, ISO 8601; blank: at the beginning.
        until: Where every run ends, ISO 8601; blank: at the moment it runs.
        destination: Where rows go.
        partitions: The asset's partitions; without them runs are incremental by the ledger.
        account: Gives the account to read from, made from the resource ``klaviyo``.
        events_table: For what follows from events: the table in the same schema that has them; blank: they come
            from the asset of events.
        one_at_a_time: A run waits for another one of the same load.
        skips: A run skips the load, and does not fail, if the key or the revision does not have the data source.
        children: Data sources whose rows stand in these, each an asset of its own that the same run makes.
        cadence: How often it is meant to run; None where that is not known here.
        metadata: More of the asset's metadata.
        tags: More of the asset's tags.
        naming: The account's resource keys, translator and owners.
        pool: Dagster's pool of what reads the account; blank: the account's name.
    """

    key: dg.AssetKey
    source: Source
    ledger_name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    begin: str | None = None
    until: str | None = None
    destination: Destination = field(default_factory=Destination)
    partitions: dg.PartitionsDefinition[str] | None = None
    account: Callable[[KlaviyoResource], KlaviyoResource] = _same
    events_table: str | None = None
    one_at_a_time: bool = False
    skips: bool = False
    children: tuple[LoadSpec, ...] = ()
    cadence: Cadence | None = None
    group: str = GROUP
    description: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    naming: Naming = DEFAULT
    pool: str = ""

    @property
    def pool_or_default(self) -> str:
        """Dagster's pool of what reads the account. Unless Dagster's settings give it a limit, it limits nothing."""
        return self.pool or self.naming.account

    @property
    def ids(self) -> tuple[str, ...] | None:
        """The parents' ids that the load is limited to; None for all of them."""
        ids = self.options.get(self.source.fan_out.setting) if self.source.fan_out else None
        return tuple(ids) if ids is not None else None

    @property
    def chosen(self) -> tuple[str, ...] | None:
        """What the load is limited to, such as metrics, by name or id; None for all rows."""
        chosen = self.options.get(self.source.choice.setting) if self.source.choice else None
        return tuple(chosen) if chosen else None

    @property
    def partition_key(self) -> str | None:
        """The time column by which the table is divided; None where it is not."""
        by_day = partition_key_of(self.source) if self.partitions is not None else None
        return self.destination.partition_key or by_day

    @property
    def follows(self) -> bool:
        """Whether the rows follow from those of another data source, which it reads from a table."""
        return self.source.fan_out is not None and self.source.fan_out.batch is not None

    @property
    def parent_columns(self) -> list[str]:
        """The columns of those rows that are needed."""
        return list(self.source.fan_out.parent_columns) if self.follows and self.source.fan_out else []


def default_spec(
    source: Source,
    partitions: dg.PartitionsDefinition[str],
    children: Iterable[Source] = (),
    naming: Naming = DEFAULT,
) -> LoadSpec:
    """A data source with default settings; options that its children need are on."""
    children = tuple(children)
    needed = {each.child.option for each in children if each.child is not None}
    options: dict[str, Any] = {
        option.setting: option.value_of(True) for option in source.options if option.name in needed
    }
    if source.choice is not None and (chosen := naming.choices.chosen(source.choice.setting)):
        options[source.choice.setting] = list(chosen)
    if left_out := naming.choices.columns_left_out(source.name):
        options[leaving_out.SETTING] = list(left_out)
    mode = naming.choices.write_modes.get(source.name)
    return LoadSpec(
        key=naming.asset_key(source),
        source=leaving_out.without(source, left_out),
        ledger_name=source.name,
        partitions=partitions if source.partitioned_by_day else None,
        options=options,
        skips=source.name not in CORE,
        children=tuple(
            replace(
                default_spec(each, partitions, naming=naming), destination=Destination(table=each.name, write_mode=mode)
            )
            for each in children
        ),
        # The history of a sandbox has an end, so its tables age without a fault of anybody.
        cadence=None if environment.SANDBOX_END.value else cadence_of(source),
        group=naming.group,
        destination=Destination(table=source.name, write_mode=mode),
        naming=naming,
    )
