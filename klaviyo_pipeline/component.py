"""A Klaviyo account as a component of Dagster's `dg`: a YAML file in a project of your own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any

import dagster as dg
from dagster.components.component_scaffolding import scaffold_component
from pydantic import BaseModel, ConfigDict, Field

from klaviyo_pipeline import environment
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.library import KlaviyoTranslator, build_definitions

_TEMPLATE = r"\{\{.*\}\}"
"""Every field also takes a template of dg, such as {{ env.BRAND_US_SCHEMA }}."""
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"


def _form(pattern: str) -> dict[str, Any]:
    """JSON schema for text of a form. Editors and `dg check yaml` report text of another form."""
    return {"pattern": f"^(?:{pattern}|{_TEMPLATE})$"}


_Choice = Annotated[
    str,
    Field(json_schema_extra={"anyOf": [{"enum": ["default", "core", "all", *SOURCES]}, {"pattern": r"^-|\*|\{\{"}]}),
]
_Owner = Annotated[str, Field(json_schema_extra=_form(r"team:.+|.+@.+"))]


def _field(description: str, *, default: str = "", form: str = "", **more: Any) -> dg.Resolver:  # noqa: ANN401
    """A field of the YAML file, with what editors show of it."""
    return dg.Resolver(
        lambda context, value: context.resolve_value(value),
        description=f"{description} Default: {default}." if default else description,
        json_schema_extra=_form(form) if form else None,
        **more,
    )


class KlaviyoScaffoldParams(BaseModel):
    """What `dg scaffold defs klaviyo_pipeline.KlaviyoComponent NAME` can be told. All of it has a default."""

    account: str | None = Field(default=None, description="Name of the account. Default: the name of the folder.")
    api_key_variable: str | None = Field(
        default=None,
        description="Environment variable with the private API key. Default: the account's name in capitals and "
        "_API_KEY.",
    )


class KlaviyoScaffolder(dg.Scaffolder[KlaviyoScaffoldParams]):
    """Writes a defs.yaml for an account."""

    @classmethod
    def get_scaffold_params(cls) -> type[KlaviyoScaffoldParams]:
        return KlaviyoScaffoldParams

    def scaffold(self, request: dg.ScaffoldRequest[KlaviyoScaffoldParams]) -> None:
        """Write the file."""
        account = request.params.account or re.sub(r"\W+", "_", request.target_path.name)
        variable = request.params.api_key_variable or f"{account.upper()}_API_KEY"
        scaffold_component(request, {"account": account, "api_key_variable": variable, "sources": ["default"]})


@dg.scaffold_with(KlaviyoScaffolder)
class KlaviyoComponent(dg.Component, dg.Model, dg.Resolvable):
    """A Klaviyo account in DuckDB: assets, checks, jobs, schedules and sensors, whose names begin with the account.

    Each component is one account. Accounts can share a database, because each has a schema of its own.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    account: Annotated[
        str,
        _field(
            "Name of the account: letters, digits and underscores. It begins the names of assets, jobs, schedules, "
            "sensors and resources.",
            form=_NAME,
            examples=["brand_us"],
        ),
    ]
    api_key_variable: Annotated[
        str,
        _field(
            "Environment variable with the private API key. A run reads the variable when it needs the key.",
            default=environment.API_KEY.name,
            form=_NAME,
            examples=["BRAND_US_API_KEY"],
        ),
    ] = environment.API_KEY.name
    base_url: Annotated[
        str | None, _field("Address of Klaviyo, or of a sandbox.", default=environment.BASE_URL.name)
    ] = None
    sources: Annotated[
        Sequence[str] | None,
        _field(
            "Data sources: names, patterns such as catalog_*, default, core or all; -name removes one.",
            default=environment.SOURCES.name,
            examples=[["default"], ["core", "segments", "-templates"]],
            model_field_type=Sequence[_Choice] | None,
        ),
    ] = None
    database: Annotated[
        str | None,
        _field("The DuckDB file.", default=environment.DATABASE.name, examples=["data/klaviyo.duckdb"]),
    ] = None
    schema_name: Annotated[str | None, _field("The schema of the tables.", default="the account's name")] = Field(
        default=None, alias="schema"
    )
    timezone: Annotated[
        str | None,
        _field(
            "Storage time zone, an IANA name: when days begin.",
            default=environment.TIMEZONE.name,
            examples=["Europe/Copenhagen"],
        ),
    ] = None
    first_day: Annotated[
        str | None,
        _field(
            "The first partition in the storage time zone, YYYY-MM-DD, in quotes.",
            default=environment.PARTITION_START.name,
            form=r"\d{4}-\d{2}-\d{2}",
            examples=["2024-01-01"],
        ),
    ] = None
    automation: Annotated[
        bool | None,
        _field(
            "true: the schedules, sensors and automation conditions of the account are on from the start.",
            default=environment.AUTOMATION.name,
        ),
    ] = None
    key_prefix: Annotated[
        str | Sequence[str] | None,
        _field("Begins the asset keys.", default="the account's name", examples=[["raw", "brand_us"]]),
    ] = None
    group: Annotated[str | None, _field("The group of the assets.", default="the account's name")] = None
    owners: Annotated[
        Sequence[str] | None,
        _field(
            "Owners of the assets: team:name or mail addresses.",
            default=environment.OWNERS.name,
            examples=[["team:growth"]],
            model_field_type=Sequence[_Owner] | None,
        ),
    ] = None

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        return dg.ComponentTypeSpec(
            description="A Klaviyo account in DuckDB.",
            tags=["klaviyo", "duckdb"],
            produces=["asset", "asset_check", "job", "schedule", "sensor", "resource"],
        )

    def translator(self) -> KlaviyoTranslator:
        """Decides how the assets appear in Dagster. A subclass can give one of its own."""
        return KlaviyoTranslator()

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The definitions of the account.

        Raises:
            ConfigurationError: if a field, or the environment variable in its place, has a wrong value.
        """
        return build_definitions(
            account=self.account,
            api_key=dg.EnvVar(self.api_key_variable),
            base_url=self.base_url,
            sources=self.sources,
            database=self.database,
            schema=self.schema_name,
            timezone=self.timezone,
            first_day=self.first_day,
            automation=self.automation,
            key_prefix=self.key_prefix,
            group=self.group,
            owners=self.owners,
            translator=self.translator(),
        )
