"""An account of klaviyo.yml: what it reads, where its rows go, and when. Only ``api_key_env`` is required."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.orchestration.automation.cron import check_cron
from klaviyo_pipeline.yaml_files.shape import Section

CRONS = ("hourly", "daily", "weekly", "checks")
"""The schedules of an account."""
Mode = Literal["append", "replace", "replace_on_new_data", "merge"]


class OptionSettings(Section):
    """What the account's data sources load."""

    metrics: list[str] | None = Field(
        default=None,
        description="Metrics whose events are loaded: names or ids. An empty list: all. Missing: KLAVIYO_METRICS.",
    )
    leave_out: list[str] | None = Field(
        default=None,
        description="Columns that the assets do without, as source.column. Missing: KLAVIYO_LEAVE_OUT.",
    )


class ShrinkSettings(Section):
    """How many rows of a table a full read may remove without consent."""

    share: float | None = Field(
        default=None,
        json_schema_extra={"minimum": 0, "maximum": 1},
        description="Share of the rows, from 0 to 1. Missing: KLAVIYO_SHRINK_SHARE.",
    )
    rows: int | None = Field(
        default=None,
        json_schema_extra={"minimum": 0, "maximum": 1_000_000_000},
        description="Rows, but never all. Missing: KLAVIYO_SHRINK_ROWS.",
    )


class ScheduleSettings(Section):
    """When the account's jobs run: cron expressions, in the grammar of transfers."""

    auto_start: bool | None = Field(
        default=None,
        description="On: the account's schedules, sensors and automation conditions are on when Dagster first loads "
        "them. Missing: KLAVIYO_AUTOMATION.",
    )
    timezone: str = Field(
        default="", description="Time zone of the cron expressions, an IANA name. Missing: the account's storage zone."
    )
    hourly: str = Field(default="7 * * * *", description="When events, profiles and campaigns are loaded.")
    daily: str = Field(default="23 4 * * *", description="When slowly changing data is loaded.")
    weekly: str = Field(default="41 5 * * 6", description="When the last 35 days and whole collections are reloaded.")
    checks: str = Field(default="53 6 * * *", description="When every check runs over all rows.")

    def crons(self) -> dict[str, str]:
        """The cron expressions by schedule, with five fields each."""
        return {name: check_cron(getattr(self, name)) for name in CRONS}


def _for_editors(schema: dict[str, Any]) -> None:
    """Add the names of data sources, which editors complete, and the forms of texts. Templates are of every form."""
    properties = schema["properties"]
    names = ["default", "core", "all", *SOURCES]
    properties["sources"]["items"] = {"anyOf": [{"enum": names}, {"type": "string", "pattern": r"^-|\*|\{\{"}]}
    properties["write_modes"]["propertyNames"] = {"enum": list(SOURCES)}
    properties["owners"]["items"]["pattern"] = r"^team:.|.@.|\{\{"
    properties["first_day"]["pattern"] = r"^(\d{4}-\d{2}-\d{2})?$|\{\{"
    properties["api_key_env"]["pattern"] = r"^[A-Za-z_][A-Za-z0-9_]*$|\{\{"


class AccountSettings(Section):
    """The settings of one account."""

    model_config = ConfigDict(json_schema_extra=_for_editors)

    api_key_env: str = Field(
        description="Name of the environment variable with the account's private API key. The file never has the key."
    )
    base_url: str = Field(default="", description="Address of the API. Missing: KLAVIYO_BASE_URL.")
    revision: str = Field(default="", description="API revision, YYYY-MM-DD. Missing: KLAVIYO_REVISION.")
    database: str = Field(default="", description="The DuckDB file. Missing: KLAVIYO_DUCKDB_PATH.")
    schema_name: str = Field(
        default="",
        alias="schema",
        description="The schema of the tables; the schema of analytics has _analytics behind it. Missing: the "
        "account's name.",
    )
    key_prefix: str = Field(
        default="", description="Begins the asset keys; parts are separated by /. Missing: the account's name."
    )
    group: str = Field(default="", description="The group of the assets. Missing: the account's name.")
    owners: list[str] = Field(
        default_factory=list,
        description="Owners of the assets, team:name or mail addresses. Missing: KLAVIYO_OWNERS.",
    )
    first_day: str = Field(
        default="", description="Day of the first partition, YYYY-MM-DD. Missing: KLAVIYO_PARTITION_START."
    )
    timezone: str = Field(
        default="", description="Storage time zone, an IANA name: when days begin. Missing: KLAVIYO_TIMEZONE."
    )
    sources: list[str] = Field(
        default_factory=list,
        description="Data sources that are assets: names, patterns such as catalog_*, default, core or all; -name "
        "removes one. Missing: KLAVIYO_SOURCES.",
    )
    options: OptionSettings = Field(default_factory=OptionSettings)
    write_modes: dict[str, Mode] = Field(
        default_factory=dict, description="Write modes by data source. Missing: merge. A run's config wins."
    )
    privacy: Any = Field(
        default=None,
        json_schema_extra={"type": ["string", "object"]},
        description="Privacy rules: pseudonymous, none, or a mapping of columns to rules. Missing: KLAVIYO_PRIVACY.",
    )
    shrink: ShrinkSettings = Field(default_factory=ShrinkSettings)
    schedule: ScheduleSettings = Field(default_factory=ScheduleSettings)


class AccountsFile(Section):
    """The file klaviyo.yml."""

    accounts: dict[str, AccountSettings] = Field(
        description="The accounts by name. A name has letters, digits and underscores, a letter first."
    )
