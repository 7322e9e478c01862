"""A transfer: everything about one configured import, validated."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, create_model
from pydantic.fields import FieldInfo

from klaviyo_pipeline.klaviyo.catalogue.model import FilterBy, Source
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.client.settings import INTEGER_SETTINGS, SETTINGS, Setting
from klaviyo_pipeline.orchestration.assets.config import LoadConfig, config_class
from klaviyo_pipeline.paths import file_path, refuse_scheme
from klaviyo_pipeline.warehouse.write_modes import WriteMode
from klaviyo_pipeline.yaml_files.shape import Section

MODES = tuple(mode.value for mode in WriteMode)
DATABASE_FOLDER = "data"
EVENTS_TABLE = "events"
_DESTINATION_OPTIONS = frozenset({*LoadConfig.model_fields, "partition_key"})
ALIASES = {
    "metric": "metrics",
    "metric_data": "metrics",
    "event": "events",
    "event_metric": "event_metrics",
    "event_profile": "event_profiles",
    "template": "templates",
    "email_template": "templates",
    "email_templates": "templates",
    "campaign": "campaigns",
    "list": "lists",
    "list_profile": "list_profiles",
    "profiles_in_list": "list_profiles",
    "profiles_in_lists": "list_profiles",
    "profile": "profiles",
}


def _http_field(name: str, setting: Setting) -> tuple[Any, Any]:
    described = f"{setting.description} From {setting.minimum:g} to {setting.maximum:g}; default {setting.default:g}."
    bounds: dict[str, Any] = {"minimum": setting.minimum, "maximum": setting.maximum}
    kind = int if name in INTEGER_SETTINGS else float
    return Annotated[kind | None, Field(json_schema_extra=bounds)], Field(default=None, description=described)


HttpSettings = create_model(
    "HttpSettings",
    __base__=Section,
    __doc__="How requests are sent. The resource klaviyo sets the values that are missing here.",
    **{name: _http_field(name, setting) for name, setting in SETTINGS.items()},  # type: ignore[call-overload]
)


class DestinationSettings(Section):
    """The destination of the rows."""

    database: str = Field(
        default="",
        description="A DuckDB file, or a name: NAME is the file data/NAME.duckdb. You can use ~ and ${VAR}. "
        "Blank: the project's database.",
    )
    schema_name: str = Field(
        default="",
        alias="schema",
        description="The schema. Blank: main in a database of its own, else the project's schema.",
    )
    table: str = Field(default="", description="The table. Blank: the transfer's name.")
    mode: Literal["append", "replace", "replace_on_new_data", "merge"] = Field(
        default="merge",
        description="The write mode. In Treasure Data's form the default is append.",
    )
    partition_key: str = Field(
        default="",
        description="A time column. If the window of a run is over this column, the replace modes clear only that "
        "window, otherwise the whole table.",
    )
    timezone: str = Field(
        default="",
        description="Storage time zone, an IANA name, for times without an offset. Blank: the project's.",
    )


class ScheduleSettings(Section):
    """When runs start."""

    cron: str = Field(
        default="",
        description="Five fields, or @hourly, @daily, @weekly, @monthly. Write quotes, because @ is special in YAML.",
    )
    timezone: str = Field(
        default="UTC", description="Time zone of the cron expression, an IANA name such as Asia/Tokyo."
    )
    delay: int | str = Field(
        default=0,
        description="Time between a tick and its run: seconds, or 30m, 1h30m. The window still ends at the tick.",
    )
    repeat: bool = Field(default=True, description="Off: the transfer has no schedule, and a person starts its runs.")
    paused: bool = Field(default=False, description="On: the schedule skips its ticks until you resume the transfer.")
    auto_start: bool = Field(
        default=True,
        description="On: Dagster turns the schedule on when it first loads it. Off: a person turns it on in Dagster's "
        "UI, under Automation. A choice in the UI overrides both.",
    )


class Transfer(Section):
    """A configured import: account, data source, options, destination and schedule."""

    description: str = Field(default="", description="Description in Dagster.")
    authentication: str = Field(
        default="",
        description="Name of the account in authentications.yml. Blank: default, the account of KLAVIYO_API_KEY.",
    )
    api_token: str = Field(
        default="",
        repr=False,
        description="Private API key, as ${NAME} of an environment variable, instead of authentication.",
    )
    source: str = Field(description=f"The data source: {', '.join(SOURCES)}.")
    revision: str = Field(default="", description="API revision, YYYY-MM-DD. Blank: the account's, else the project's.")
    options: dict[str, Any] = Field(
        default_factory=dict, description="Options of the data source; see `klaviyo-pipeline sources`."
    )
    http: HttpSettings = Field(default_factory=HttpSettings)  # type: ignore[valid-type]
    destination: DestinationSettings = Field(default_factory=DestinationSettings)
    schedule: ScheduleSettings | None = None
    run_on_change: bool = Field(default=False, description="On: a run starts when this file appears or changes.")

    @property
    def catalogued(self) -> Source:
        """The data source."""
        return SOURCES[self.source]

    @property
    def incremental(self) -> bool:
        """Whether a run starts at the end of the last one. A replace that clears the table reads everything."""
        wanted = self.options.get("incremental", self.catalogued.incremental and self.catalogued.takes_window)
        return bool(wanted) and not self._clears_table

    @property
    def _clears_table(self) -> bool:
        filter_by = self.options.get("filter_by")
        field = self.catalogued.time_field(FilterBy(filter_by) if filter_by else None)
        key = self.destination.partition_key
        return self.destination.mode.startswith("replace") and (field is None or field.name != key)

    @property
    def http_settings(self) -> dict[str, Any]:
        """The HTTP settings that are given."""
        return self.http.model_dump(exclude_none=True)  # type: ignore[no-any-return,attr-defined]

    @property
    def database_file(self) -> str:
        """The DuckDB file; blank for the project's."""
        return database_file(self.destination.database)

    @property
    def schema_or_blank(self) -> str:
        """The schema; blank for the project's."""
        return self.destination.schema_name or ("main" if self.destination.database else "")

    @property
    def repeats(self) -> bool:
        """Whether it has a schedule."""
        return self.schedule is not None and self.schedule.repeat and bool(self.schedule.cron)


def database_file(text: str) -> str:
    """The file of a database that is given as a file or a name; blank for blank.

    Raises:
        UnusablePathError: for what is neither.
    """
    if not text.strip():
        return ""
    refuse_scheme(text, "database")
    is_name = not re.search(r"[/\\$~%]", text) and not Path(text).suffix and text.strip() not in (".", "..")
    return str(file_path(f"{DATABASE_FOLDER}/{text.strip()}.duckdb" if is_name else text, "database"))


def source_name(text: str) -> str:
    """The catalogue's name of a data source, for one of its names or labels; any other text unchanged."""
    plain = re.sub(r"[\s-]+", "_", text.strip().lower())
    return plain if plain in SOURCES else ALIASES.get(plain, text)


def options_of(source: Source) -> dict[str, FieldInfo]:
    """The options that a data source takes in a transfer: name to pydantic's field."""
    return _options_of(source.name)


@cache
def _options_of(name: str) -> dict[str, FieldInfo]:
    source = SOURCES[name]
    declared = config_class(name).model_fields
    fields = {name: field for name, field in declared.items() if name not in _DESTINATION_OPTIONS}
    for option in for_child_tables(source):
        del fields[option]
    if source.time_fields:
        fields["filter_by"] = FieldInfo(
            annotation=str | None, default=None, description=fields["filter_by"].description
        )
    else:
        fields.pop("filter_by", None)
    if source.fan_out is not None and source.fan_out.batch is not None:
        fields["events_table"] = _EVENTS_TABLE
    return fields


def for_child_tables(source: Source) -> dict[str, list[str]]:
    """Options that fill only tables of children, and those tables. A transfer, which fills one, does not take them."""
    used = {column.option for column in source.columns}
    names = {
        option.setting: [
            child.name
            for child in SOURCES.values()
            if child.child is not None and child.child.option == option.name
            if child.child.parent == source.name
        ]
        for option in source.options
        if option.name not in used
    }
    return {option: tables for option, tables in names.items() if tables}


_EVENTS_TABLE = FieldInfo(
    annotation=str,
    default=EVENTS_TABLE,
    description="Table in the same schema whose events the run follows, if it has no event_ids.",
)
