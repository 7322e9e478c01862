"""The run config of assets: one class for each data source, made from the catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field, ValidationInfo, create_model, field_validator

from klaviyo_pipeline import grammar
from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue import dimensions, leaving_out
from klaviyo_pipeline.klaviyo.catalogue.model import FilterBy, Source
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.loads.destination import Destination
from klaviyo_pipeline.loads.request import LONGEST_LOOKBACK_DAYS, LoadRequest, parse_lookback
from klaviyo_pipeline.orchestration.run_config import bounded
from klaviyo_pipeline.warehouse.write_modes import WriteMode

if TYPE_CHECKING:
    from klaviyo_pipeline.orchestration.assets.spec import LoadSpec


def choice(values: Iterable[str]) -> Any:  # noqa: ANN401 - an enum class
    """An enum whose members are named as their values: Dagster takes members by name, and people write the values.

    Dagster's error names the type, so the type's name lists what is allowed.
    """
    allowed = list(values)
    return StrEnum("_or_".join(allowed), {value: value for value in allowed})


if TYPE_CHECKING:
    WriteModeChoice = WriteMode
    FilterByChoice = FilterBy
else:
    WriteModeChoice = choice([mode.value for mode in WriteMode])
    FilterByChoice = choice([each.value for each in FilterBy])


class LoadConfig(dg.Config):
    """The run config that every asset has. Times are ISO 8601, in the storage time zone if they have no offset."""

    write_mode: WriteModeChoice | None = Field(
        default=None, description="append, replace, replace_on_new_data or merge; blank for the asset's own mode."
    )
    table: str | None = Field(default=None, description="Table to write to instead of the asset's own.")
    schema_name: str | None = Field(default=None, description="Schema to write to instead of the asset's own.")

    accept_shrink: bool = Field(
        default=False,
        description="On: the run lands a read that has far fewer rows than the table. Off: such a run fails, because "
        "an outage can look like that.",
    )

    @field_validator("table", "schema_name")
    @classmethod
    def _check_name(cls, value: str | None, info: ValidationInfo) -> str | None:
        parse = grammar.schema if info.field_name == "schema_name" else grammar.table
        if value is not None:
            try:
                parse(value, info.field_name or "")
            except ConfigurationError as error:
                raise ValueError(str(error)) from None
        return value


class WindowConfig(LoadConfig):
    """The run config of an asset whose loads take a window. config_class adds fields that depend on the source."""

    @field_validator("start_time", "end_time", mode="before", check_fields=False)
    @classmethod
    def _blank_is_none(cls, value: str | None) -> str | None:
        return value or None

    @field_validator("lookback_days", check_fields=False)
    @classmethod
    def _check_lookback(cls, value: float | None) -> float | None:
        if value is not None:
            try:
                parse_lookback(value)
            except ConfigurationError as error:
                raise ValueError(str(error)) from None
        return value


class FilterConfig(WindowConfig):
    """The run config of an asset with a time field."""

    filter_by: FilterByChoice | None = None


def config_class(source_name: str, defaults: Mapping[str, Any] | None = None) -> type[LoadConfig]:
    """The run config of a data source's asset: the fields of every asset, and those that this source supports.

    Args:
        source_name: The data source.
        defaults: Defaults other than the data source's own.
    """
    # Accounts and transfers share the class of a data source, because it takes long to make.
    source, key = SOURCES[source_name], (source_name, repr(sorted((defaults or {}).items())))
    known = _made.get(key)
    if known is None or known[0] is not source:
        known = _made[key] = source, _config_class(source, defaults or {})
    return known[1]


_made: dict[tuple[str, str], tuple[Source, type[LoadConfig]]] = {}


def _config_class(source: Source, defaults: Mapping[str, Any]) -> type[LoadConfig]:
    fields = _window_fields(source) | _choice_fields(source)
    for name, value in defaults.items():
        kind, described = fields.get(name) or (str | None, FilterConfig.model_fields[name])
        extra = described.json_schema_extra
        fields[name] = (kind, Field(default=value, description=described.description, json_schema_extra=extra))
    class_name = "".join(part.capitalize() for part in source.name.split("_"))
    return create_model(
        f"{class_name}Config",
        __base__=_base(source),
        __module__=__name__,
        **fields,
    )


def _window_fields(source: Source) -> dict[str, Any]:
    """The fields that say by which time, and from when to when, a run reads."""
    fields: dict[str, Any] = {}
    if source.takes_window:
        fields["start_time"] = _text(
            "Load rows from this time on; blank: the partition's start, else the watermark minus the lookback."
        )
        fields["end_time"] = _text("Load rows before this time; blank: the partition's end, else now.")
        fields["incremental"] = (
            bool,
            Field(
                default=source.incremental,
                description="Off: reads the whole collection in each run.",
            ),
        )
        fields["lookback_days"] = (
            float | None,
            Field(
                default=None,
                description="Lookback: days before the watermark to read again, for late and changed rows "
                f"(default {source.lookback_days}).",
                json_schema_extra=bounded(0, LONGEST_LOOKBACK_DAYS),
            ),
        )
    if source.time_fields:
        times = " or ".join(f"{each.filter_by} ({each.name})" for each in source.time_fields)
        fields["filter_by"] = (
            choice([each.filter_by.value for each in source.time_fields]) | None,
            Field(default=None, description=f"The time field of the window: {times}."),
        )
        fields["partition_key"] = _text(
            "Time column that decides which rows a replace mode clears; blank: the asset's own."
        )
    return fields


def _choice_fields(source: Source) -> dict[str, Any]:
    """The fields of the source's options, and of what a run is limited to or leaves out."""
    fields: dict[str, Any] = {}
    for option in source.options:
        default = option.value_of(option.default)
        fields[option.setting] = (bool, Field(default=default, description=option.description))
    if source.fan_out is not None:
        fields[source.fan_out.setting] = (
            list[str] | None,
            Field(default=None, description=source.fan_out.limits),
        )
    if source.choice is not None:
        fields[source.choice.setting] = (list[str] | None, Field(default=None, description=source.choice.limits))
    if leaving_out.takes(source):
        text = "Columns to do without: not fetched where Klaviyo allows it, and not stored."
        fields[leaving_out.SETTING] = (list[str] | None, Field(default=None, description=text))
    if dimensions.takes(source):
        fields[dimensions.SETTING] = (list[str] | None, Field(default=None, description=dimensions.MEANING))
    return fields


def _base(source: Source) -> type[LoadConfig]:
    if source.time_fields:
        return FilterConfig
    return WindowConfig if source.takes_window else LoadConfig


def _text(description: str) -> tuple[Any, Any]:
    return str | None, Field(default=None, description=description)


def load_request(spec: LoadSpec, config: LoadConfig) -> LoadRequest:
    """The request of a run: its config, and the load's own values for the rest.

    Raises:
        ConfigurationError: if a column is left out that the load needs, or rows are to be divided by what is no
            dimension of theirs.
    """
    given: dict[str, Any] = dict(config)
    source = _source(spec, given)
    ids = given.get(source.fan_out.setting) if source.fan_out else None
    chosen = given.get(source.choice.setting) if source.choice else None
    filter_by = given.get("filter_by")
    options = {option.name: option.value_of(given[option.setting]) for option in source.options}
    lands = destination_of(spec, config)
    if lands.partition_key in {column.name for column in source.left_out}:
        raise ConfigurationError(f"{source.name}.{lands.partition_key} cannot be left out: it is the partition_key.")
    return LoadRequest(
        source=source,
        options=source.choose(**options),
        start_time=given.get("start_time"),
        end_time=given.get("end_time"),
        begin=spec.begin,
        until=spec.until,
        filter_by=FilterBy(filter_by) if filter_by else None,
        incremental=given.get("incremental", False),
        lookback_days=given.get("lookback_days"),
        ids=tuple(ids) if ids is not None else None,
        chosen=tuple(chosen) if chosen else None,
        write_mode=lands.write_mode or WriteMode.MERGE,
        partition_key=lands.partition_key,
        accept_shrink=config.accept_shrink,
    )


def _source(spec: LoadSpec, given: Mapping[str, Any]) -> Source:
    """The data source without the columns that the run leaves out, and with the dimensions that it names."""
    if dimensions.takes(spec.source):
        return dimensions.grouped(SOURCES[spec.source.name], given.get(dimensions.SETTING) or ())
    names = tuple(dict.fromkeys(given.get(leaving_out.SETTING) or ()))
    own = tuple(column.name for column in spec.source.left_out)
    return spec.source if names == own else leaving_out.without(SOURCES[spec.source.name], names)


def destination_of(spec: LoadSpec, config: LoadConfig) -> Destination:
    """The destination of a run: its config, and the load's own values for the rest."""
    wanted = Destination(
        schema=config.schema_name,
        table=config.table,
        write_mode=WriteMode(config.write_mode) if config.write_mode else None,
        partition_key=getattr(config, "partition_key", None),
    )
    return wanted.or_else(spec.destination).or_else(Destination(partition_key=spec.partition_key))


def default_request(spec: LoadSpec) -> LoadRequest:
    """The request of a run without config."""
    return load_request(spec, config_class(spec.source.name, spec.options)())
