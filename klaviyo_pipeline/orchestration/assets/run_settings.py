"""What one run sets for all of its data sources at once: the window and the write mode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import dagster as dg
from pydantic import Field

from klaviyo_pipeline.orchestration.assets.config import choice
from klaviyo_pipeline.orchestration.run_config import SetInCode
from klaviyo_pipeline.warehouse.write_modes import WriteMode

if TYPE_CHECKING:
    from klaviyo_pipeline.orchestration.account import Naming
    from klaviyo_pipeline.orchestration.assets.config import LoadConfig

_OWN = "default"

if TYPE_CHECKING:
    ModeOfRun = str
else:
    ModeOfRun = choice([_OWN, *(mode.value for mode in WriteMode)])


class KlaviyoRunSettings(SetInCode, dg.ConfigurableResource):  # type: ignore[type-arg]
    """The window and the write mode of a run, for all data sources that it loads.

    The Launchpad shows these fields at first, because people change them. The run config of an asset wins. A data
    source that takes no window ignores the window.
    """

    at_launch: ClassVar[frozenset[str]] = frozenset({"start_time", "end_time", "write_mode"})
    prefilled: ClassVar[Mapping[str, Any]] = {"start_time": "", "end_time": "", "write_mode": _OWN}

    start_time: str = Field(
        default="",
        description="Load rows from this time on; blank: the partition's start, else the watermark minus the lookback.",
    )
    end_time: str = Field(default="", description="Load rows before this time; blank: the partition's end, else now.")
    write_mode: ModeOfRun = Field(
        default=ModeOfRun(_OWN),
        description="append, replace, replace_on_new_data or merge; default: each asset's own mode.",
    )

    def applied_to(self, config: LoadConfig) -> LoadConfig:
        """The run config of an asset, with the settings of the run for the fields that it does not set itself."""
        wanted = {"start_time": self.start_time, "end_time": self.end_time, "write_mode": str(self.write_mode)}
        kind = type(config)
        lacking = {
            name: value
            for name, value in wanted.items()
            if value not in ("", _OWN) and name in kind.model_fields and name not in config.model_fields_set
        }
        return kind(**{**config.model_dump(exclude_unset=True), **lacking}) if lacking else config


_SETTINGS = KlaviyoRunSettings()


def run_settings(naming: Naming) -> dict[str, Any]:
    """The resource of an account's assets. They bring it along, so that no project has to define it."""
    return {naming.run_settings: _SETTINGS}
