"""The names and choices of one account in Dagster. The builders of assets, checks and automation take it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from klaviyo_pipeline.klaviyo.catalogue.model import Source
from klaviyo_pipeline.orchestration.choices import Choices

RESOURCES = ("klaviyo", "duckdb", "io_manager")
RUN_SETTINGS = "klaviyo_load"


class KlaviyoTranslator:
    """Decides how the assets of an account appear in Dagster. Override a method to change it.

    Each method takes a name and the value that ``build_definitions`` was given, and returns the value to use.
    """

    def get_asset_key(self, source: Source, key: dg.AssetKey) -> dg.AssetKey:
        """The asset key of a data source. It must be a different one for each data source and account."""
        return key

    def get_group_name(self, source: Source, group: str) -> str:
        """The group of a data source's asset."""
        return group

    def get_description(self, source: Source, description: str) -> str:
        """The description of a data source's asset, in Markdown."""
        return description

    def get_tags(self, source: Source, tags: Mapping[str, str]) -> Mapping[str, str]:
        """The tags of a data source's asset."""
        return tags

    def get_owners(self, source: Source, owners: Sequence[str]) -> Sequence[str]:
        """The owners of a data source's asset: team:name or mail addresses."""
        return owners


@dataclass(frozen=True, kw_only=True)
class Naming:
    """How the definitions of one account are named, and what its assets load.

    Attributes:
        account: Begins the names of jobs, schedules and sensors.
        guest: The definitions are part of a project of others, whose names and runs are not ours.
        key_prefix: Begins the asset keys.
        group: The group of the assets; that of analytics has ``_analytics`` behind it.
        choices: What its assets load, and when.
        alone: It is the only account of the project; else its automation conditions count for its own assets only.
        resource_keys: Other keys for the resources ``klaviyo``, ``duckdb`` and ``io_manager``.
        translator: Has the last word about keys, groups, descriptions, tags and owners.
    """

    account: str = "klaviyo"
    guest: bool = False
    key_prefix: tuple[str, ...] = ("klaviyo",)
    group: str = "klaviyo"
    choices: Choices = field(default_factory=Choices)
    alone: bool = True
    resource_keys: Mapping[str, str] = field(default_factory=dict)
    translator: KlaviyoTranslator = field(default_factory=KlaviyoTranslator)

    def chosen(self) -> tuple[str, ...]:
        """The names of the data sources that are assets.

        Raises:
            ConfigurationError: if ``KLAVIYO_SOURCES`` names a data source that does not exist.
        """
        return self.choices.sources_or_default()

    def owners_or_default(self) -> tuple[str, ...]:
        """The owners of the assets.

        Raises:
            ConfigurationError: if ``KLAVIYO_OWNERS`` has a wrong value.
        """
        return self.choices.owners_or_default()

    def asset_key(self, source: Source) -> dg.AssetKey:
        """The asset key of a data source."""
        return self.translator.get_asset_key(source, dg.AssetKey([*self.key_prefix, source.name]))

    @property
    def analytics_prefix(self) -> tuple[str, ...]:
        """Begins the asset keys of analytics tables."""
        *parents, last = self.key_prefix
        return (*parents, f"{last}_analytics")

    def analytics_key(self, table: str) -> dg.AssetKey:
        """The asset key of an analytics table."""
        return dg.AssetKey([*self.analytics_prefix, table])

    def overview_key(self, name: str) -> dg.AssetKey:
        """The asset key of what is about all tables: ``klaviyo_status``."""
        *parents, last = self.key_prefix
        return dg.AssetKey([*parents, f"{last}_{name}"])

    def name_of(self, name: str) -> str:
        """The name of a job or an op: ``klaviyo_hourly`` is ``brand_us_hourly`` for the account ``brand_us``."""
        return self.account + name.removeprefix("klaviyo")

    def sensor_name(self, name: str) -> str:
        """The name of a sensor, which begins with the account's for a guest."""
        return f"{self.account}_{name}_sensor" if self.guest else name

    def resource_key(self, name: str) -> str:
        """The key of a resource."""
        return self.resource_keys.get(name, name)

    @property
    def run_settings(self) -> str:
        """The key of the resource with the settings of a run."""
        return self.name_of(RUN_SETTINGS)

    def with_resources(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, whose parameters ``klaviyo``, ``duckdb`` and ``klaviyo_load`` take this account's resources.

        Dagster gives a parameter the resource of the same name, so the names that it sees are those of the resources.
        """
        keys = {**{name: self.resource_key(name) for name in RESOURCES}, RUN_SETTINGS: self.run_settings}
        own = {key: name for name, key in keys.items()}
        if all(key == name for key, name in own.items()):
            return function
        signature = inspect.signature(function, eval_str=True)

        def named(given: Mapping[str, Any]) -> dict[str, Any]:
            return {own.get(name, name): value for name, value in given.items()}

        # Dagster looks whether a function is a generator.
        def generator(*args: Any, **given: Any) -> Iterator[Any]:  # noqa: ANN401
            yield from function(*args, **named(given))

        def plain(*args: Any, **given: Any) -> Any:  # noqa: ANN401
            return function(*args, **named(given))

        renamed = functools.wraps(function)(generator if inspect.isgeneratorfunction(function) else plain)
        parameters = [each.replace(name=keys.get(each.name, each.name)) for each in signature.parameters.values()]
        renamed.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        return renamed


DEFAULT = Naming()
