"""What the assets of one account load, and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from klaviyo_pipeline import environment
from klaviyo_pipeline.warehouse.write_modes import WriteMode


@dataclass(frozen=True, kw_only=True)
class Choices:
    """The choices of one account. None stands for the environment variable that holds for all accounts.

    Attributes:
        sources: The data sources that are assets, in the catalogue's order; None: those in ``KLAVIYO_SOURCES``.
        owners: The owners of the assets; None: those in ``KLAVIYO_OWNERS``.
        metrics: The metrics whose events are loaded, by name or id; empty: all; None: those in ``KLAVIYO_METRICS``.
        left_out: The columns that assets do without, by data source; None: those in ``KLAVIYO_LEAVE_OUT``.
        write_modes: The write modes of assets, by data source; merge for the others.
        automation: Whether schedules, sensors and conditions are on at first; None: by ``KLAVIYO_AUTOMATION``.
        crons: Cron expressions other than the usual ones, by schedule: hourly, daily, weekly, checks.
        cron_timezone: Their time zone, an IANA name; blank: the storage time zone.
    """

    sources: tuple[str, ...] | None = None
    owners: tuple[str, ...] | None = None
    metrics: tuple[str, ...] | None = None
    left_out: Mapping[str, tuple[str, ...]] | None = None
    write_modes: Mapping[str, WriteMode] = field(default_factory=dict)
    automation: bool | None = None
    crons: Mapping[str, str] = field(default_factory=dict)
    cron_timezone: str = ""

    def sources_or_default(self) -> tuple[str, ...]:
        """The names of the data sources that are assets.

        Raises:
            ConfigurationError: if ``KLAVIYO_SOURCES`` names a data source that does not exist.
        """
        return environment.sources() if self.sources is None else self.sources

    def owners_or_default(self) -> tuple[str, ...]:
        """The owners of the assets.

        Raises:
            ConfigurationError: if ``KLAVIYO_OWNERS`` has a wrong value.
        """
        return tuple(environment.owners()) if self.owners is None else self.owners

    def chosen(self, setting: str) -> tuple[str, ...] | None:
        """What the assets of a data source are limited to by a setting, such as ``metrics``; None for all rows.

        Raises:
            ConfigurationError: if the setting's environment variable has a wrong value.
        """
        if setting == "metrics" and self.metrics is not None:
            return self.metrics or None
        return environment.chosen(setting)

    def columns_left_out(self, source: str) -> tuple[str, ...]:
        """The columns that the asset of a data source does without.

        Raises:
            ConfigurationError: if ``KLAVIYO_LEAVE_OUT`` names no column, or one that loads need.
        """
        return environment.left_out(source) if self.left_out is None else self.left_out.get(source, ())

    def is_automatic(self) -> bool:
        """Whether schedules, sensors and automation conditions are on when Dagster first loads them.

        Raises:
            ConfigurationError: if ``KLAVIYO_AUTOMATION`` is neither on nor off.
        """
        return environment.AUTOMATION.value == "on" if self.automation is None else self.automation
