"""A Klaviyo account as a component of Dagster's `dg`: a YAML file in a project of your own."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import dagster as dg
from dagster.components.component_scaffolding import scaffold_component
from pydantic import BaseModel, Field

from klaviyo_pipeline.accounts.file import Account
from klaviyo_pipeline.accounts.model import AccountSettings
from klaviyo_pipeline.accounts.parts import parts_of
from klaviyo_pipeline.accounts.validation import violations_in
from klaviyo_pipeline.built_in import guest_definitions
from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.library import KlaviyoTranslator, build_definitions

__all__ = ["KlaviyoComponent", "KlaviyoTranslator", "build_definitions"]

FILE = "defs.yaml"


class KlaviyoAttributes(AccountSettings):
    """The attributes in defs.yaml: the settings of an account in klaviyo.yml, and its name."""

    account: str = Field(
        description="Name of the account: letters, digits and underscores, a letter first. It begins the names of "
        "assets, jobs, schedules, sensors and resources.",
        json_schema_extra={"pattern": r"^[A-Za-z][A-Za-z0-9_]*$|\{\{"},
    )
    overview: bool = Field(
        default=False,
        description="Also make a status and a report of the account's tables, as assets, and a sensor that sends "
        "alerts about them. KLAVIYO_ALERT_WEBHOOK and the variables beside it say where alerts go.",
    )


class KlaviyoScaffoldParams(BaseModel):
    """What `dg scaffold defs klaviyo_pipeline.KlaviyoComponent NAME` can be told. All of it has a default."""

    account: str | None = Field(default=None, description="Name of the account. Default: the name of the folder.")
    api_key_env: str | None = Field(
        default=None,
        description="Name of the environment variable with the private API key. Default: the account's name in "
        "capitals and _API_KEY.",
    )


class KlaviyoScaffolder(dg.Scaffolder[KlaviyoScaffoldParams]):
    """Writes a defs.yaml for an account."""

    @classmethod
    def get_scaffold_params(cls) -> type[KlaviyoScaffoldParams]:
        return KlaviyoScaffoldParams

    def scaffold(self, request: dg.ScaffoldRequest[KlaviyoScaffoldParams]) -> None:
        """Write the file."""
        account = request.params.account or re.sub(r"\W+", "_", request.target_path.name)
        variable = request.params.api_key_env or f"{account.upper()}_API_KEY"
        scaffold_component(request, {"account": account, "api_key_env": variable, "sources": ["default"]})


@dg.scaffold_with(KlaviyoScaffolder)
@dataclass(frozen=True)
class KlaviyoComponent(dg.Component, dg.Resolvable):
    """A Klaviyo account in DuckDB: assets, checks, jobs, schedules and sensors, whose names begin with the account.

    Each component is one account. Accounts can share a database, because each has a schema of its own.
    """

    account: Account
    overview: bool = False

    @classmethod
    def model(cls) -> type[BaseModel]:
        return KlaviyoAttributes

    @classmethod
    def resolve_from_model(cls, context: dg.ResolutionContext, model: BaseModel) -> KlaviyoComponent:
        """The component of the attributes, with their templates filled in.

        Raises:
            ConfigurationError: with a line for each attribute that is wrong.
        """
        given = dict(context.resolve_value(model.model_dump(by_alias=True, exclude_unset=True)))
        name, overview = given.pop("account"), given.pop("overview", False)
        if wrong := violations_in(name, given):
            lines = [f"{'.'.join(map(str, each.path)) or f'account {name!r}'} {each.text}" for each in wrong]
            raise ConfigurationError("\n".join(lines))
        return cls(Account(name, AccountSettings.model_validate(given), FILE), overview)

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
            ConfigurationError: if an environment variable in the place of an attribute has a wrong value.
        """
        parts = parts_of(self.account, guest=True)
        naming = replace(parts.naming, translator=self.translator())
        return guest_definitions(replace(parts, naming=naming), overview=self.overview)
