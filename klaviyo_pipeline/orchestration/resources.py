"""The two resources: the Klaviyo account to read from, and the DuckDB database to write to."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo

import dagster as dg
from dagster_duckdb import DuckDBResource
from pydantic import Field, field_validator

from klaviyo_pipeline import environment, grammar, redaction
from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue.revisions import DEFAULT_REVISION, check_revision
from klaviyo_pipeline.klaviyo.client.settings import SETTINGS, ClientSettings, check_setting
from klaviyo_pipeline.loads.run_lock import DEFAULT_WAIT_S, LONGEST_WAIT_S
from klaviyo_pipeline.orchestration.run_config import SetInCode, bounded, is_variable, value_of
from klaviyo_pipeline.redaction import protect_logs
from klaviyo_pipeline.times import parse_zone

protect_logs()

if TYPE_CHECKING:
    import duckdb
    from pydantic import ValidationInfo

    from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
    from klaviyo_pipeline.klaviyo.privacy.rules import Rules
    from klaviyo_pipeline.klaviyo.staging.stage import StagingArea
    from klaviyo_pipeline.loads.destination import Destination, Place
    from klaviyo_pipeline.warehouse.interface import Warehouse
    from klaviyo_pipeline.warehouse.shrinking import ShrinkLimits

IMPATIENT: dict[str, Any] = {"retry_limit": 1, "connect_timeout_s": 30, "read_timeout_s": 30}
"""For questions that are not worth a long wait. Dagster allows a sensor a minute."""
STAGING_SUBFOLDER = "klaviyo-staging"


def _setting(name: str) -> Any:  # noqa: ANN401 - pydantic's own type
    setting = SETTINGS[name]
    return Field(
        default=setting.default,
        description=f"{setting.description} From {setting.minimum:g} to {setting.maximum:g}.",
        json_schema_extra=bounded(setting.minimum, setting.maximum),
    )


KEY_SENTENCE = (
    "The API key comes from the environment (KLAVIYO_API_KEY), the authentications file or code, never from run "
    "config: Dagster keeps and shows run config."
)
ADDRESS_SENTENCE = (
    "Klaviyo's address comes from the environment (KLAVIYO_BASE_URL), the authentications file or code, never from run "
    "config: the API key is sent there."
)


class KlaviyoResource(SetInCode, dg.ConfigurableResource):  # type: ignore[type-arg]
    """A Klaviyo account.

    A run reads the API key from the environment variable KLAVIYO_API_KEY when it needs it, unless code gives another
    one with ``dg.EnvVar``. No log, error, repr or metadata contains the key. A launch can set the numbers below, but
    not the key, the address or the revision.

    Raises:
        ConfigurationError: (as pydantic's ValidationError) for a setting out of bounds, naming it and the bounds.
    """

    at_launch: ClassVar[frozenset[str]] = frozenset(SETTINGS)
    refusals: ClassVar[Mapping[str, str]] = {"api_key": KEY_SENTENCE, "base_url": ADDRESS_SENTENCE}

    api_key: str = Field(
        default="",
        repr=False,
        description="Private API key; blank to read KLAVIYO_API_KEY. Set it only by an environment variable.",
    )
    api_key_variable: str = Field(
        default="", description="Environment variable with the key; blank for KLAVIYO_API_KEY. api_key wins."
    )
    key_origin: str = Field(default="", description="Origin of the key, for the message about a wrong key.")
    base_url: str = Field(default="", description="Klaviyo's address; blank for KLAVIYO_BASE_URL, else Klaviyo.")
    revision: str = Field(default="", description=f"API revision, YYYY-MM-DD. Blank: {DEFAULT_REVISION}.")
    privacy: str = Field(
        default="", description="Privacy rules: a preset, or YAML in braces; blank for KLAVIYO_PRIVACY."
    )
    retry_limit: int = _setting("retry_limit")
    initial_retry_wait_s: float = _setting("initial_retry_wait_s")
    max_retry_wait_s: float = _setting("max_retry_wait_s")
    connect_timeout_s: float = _setting("connect_timeout_s")
    read_timeout_s: float = _setting("read_timeout_s")
    write_timeout_s: float = _setting("write_timeout_s")
    total_timeout_s: float = _setting("total_timeout_s")
    max_page_mb: float = _setting("max_page_mb")
    max_pages_without_rows: int = _setting("max_pages_without_rows")
    rate_limit_share: float = _setting("rate_limit_share")
    max_connections: int = _setting("max_connections")

    @field_validator(*SETTINGS)
    @classmethod
    def _check_bounds(cls, value: float, info: ValidationInfo) -> float:
        if is_variable(value):  # checked when a run takes its value
            return value
        try:
            check_setting(info.field_name or "", value)
        except ConfigurationError as error:
            raise ValueError(str(error)) from None
        return value

    @field_validator("privacy")
    @classmethod
    def _check_privacy(cls, value: str) -> str:
        if value and not is_variable(value):
            try:
                environment.privacy_rules(value)
            except ConfigurationError as error:
                raise ValueError(str(error)) from None
        return value

    @field_validator("revision")
    @classmethod
    def _check_revision(cls, value: str) -> str:
        if is_variable(value):
            return value
        try:
            check_revision(value)
        except ConfigurationError as error:
            raise ValueError(str(error)) from None
        return value

    def __init__(self, **data: Any) -> None:  # noqa: ANN401 - of any field
        key: Any = data.get("api_key")
        if is_variable(key) and not data.get("key_origin"):
            data["key_origin"] = f"the environment variable {key.env_var_name}"
        super().__init__(**data)

    def __repr__(self) -> str:
        return f"KlaviyoResource(base_url={self.base_url!r}, revision={self.revision!r})"

    def with_settings(self, **settings: Any) -> KlaviyoResource:  # noqa: ANN401 - of any field
        """The same account with some settings changed.

        Raises:
            ConfigurationError: (as pydantic's ValidationError) for a setting out of bounds.
        """
        return KlaviyoResource(**{name: getattr(self, name) for name in type(self).model_fields} | settings)

    def client(self) -> KlaviyoClient:
        """A client for the account.

        Raises:
            ConfigurationError: if there is no API key, or a setting from the environment is wrong.
        """
        from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient

        api_key, origin = value_of(self.api_key), self.key_origin or "the code"
        if not api_key:
            api_key, origin = self._key_of_variable()
        return KlaviyoClient(
            api_key,
            ClientSettings(**{name: value_of(getattr(self, name)) for name in SETTINGS}),
            revision=value_of(self.revision) or environment.REVISION.value,
            base_url=value_of(self.base_url) or environment.BASE_URL.value,
            key_origin=origin,
            allow_http=environment.allow_http(),
            rules=self.rules(),
            coordination=environment.coordination(),
        )

    def rules(self) -> Rules:
        """What may be kept of the account's rows.

        Raises:
            ConfigurationError: A rule is wrong, or there is no secret for hashes.
        """
        return environment.privacy_rules(value_of(self.privacy))

    def _key_of_variable(self) -> tuple[str, str]:
        """The key in the environment, and its origin."""
        name = value_of(self.api_key_variable)
        if not name:
            return environment.API_KEY.value, f"the environment variable {environment.API_KEY.name}"
        origin = self.key_origin or f"the environment variable {name}"
        redaction.watch(name)
        key = os.environ.get(name, "").strip()
        if not key:
            raise ConfigurationError(f"No Klaviyo API key: {origin} is not set.")
        return key, origin


_PARSERS = {
    "database": grammar.file,
    "schema_name": grammar.schema,
    "timezone": grammar.zone,
    "staging_dir": grammar.folder,
    "memory_limit": grammar.memory,
}


class KlaviyoDuckDBResource(SetInCode, DuckDBResource):
    """The DuckDB database for the tables, or another destination.

    A launch can set the waits, the memory limit, stage_mb and fresh_parents_minutes.

    It extends dagster-duckdb's ``DuckDBResource``, which gives SQL assets a connection. This connection waits for the
    file lock of the database. Hold it only briefly.
    """

    at_launch: ClassVar[frozenset[str]] = frozenset(
        {"lock_timeout_s", "same_load_timeout_s", "memory_limit", "stage_mb", "fresh_parents_minutes"}
    )

    database: str = Field(
        default="", description="Path of the DuckDB file; blank for KLAVIYO_DESTINATION, else KLAVIYO_DUCKDB_PATH."
    )
    schema_name: str = Field(default="", description="Schema for the tables; blank for KLAVIYO_SCHEMA.")
    timezone: str = Field(default="", description="Storage time zone (IANA name); blank for KLAVIYO_TIMEZONE.")
    staging_dir: str = Field(default="", description="Folder for fetched pages; blank for KLAVIYO_STAGING_DIR.")
    lock_timeout_s: float = Field(
        default=300.0,
        ge=0.001,
        le=LONGEST_WAIT_S,
        description="Seconds to wait while another process holds the database.",
    )
    same_load_timeout_s: float = Field(
        default=DEFAULT_WAIT_S,
        ge=0,
        le=LONGEST_WAIT_S,
        description="Seconds that a run waits for another run of the same transfer.",
    )
    memory_limit: str = Field(
        default="", description="DuckDB's memory limit while landing, such as 300MB or 2GB; blank for 256MB."
    )
    stage_mb: float | None = Field(
        default=None,
        ge=100,
        le=1_000_000,
        description="A long load that merges or appends lands in parts, so that no more megabytes than this are "
        "staged at a time; blank for KLAVIYO_STAGE_MB.",
    )
    fresh_parents_minutes: float | None = Field(
        default=None,
        ge=0,
        le=10_080,
        description="Members of lists and the like take the lists from their table if these landed no longer ago; 0: "
        "Klaviyo is always asked; blank for KLAVIYO_FRESH_PARENTS_MINUTES.",
    )
    shrink_share: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="A full read that would remove more than this share of the rows fails without consent; blank "
        "for KLAVIYO_SHRINK_SHARE.",
    )
    shrink_rows: int | None = Field(
        default=None,
        ge=0,
        le=1_000_000_000,
        description="A full read may remove this many rows without consent, but not all; blank for "
        "KLAVIYO_SHRINK_ROWS.",
    )
    storage_version: str = Field(
        default="v1.5.0", description="Oldest DuckDB version that can read a new database file."
    )

    @field_validator("database", "schema_name", "timezone", "staging_dir", "memory_limit")
    @classmethod
    def _check_text(cls, value: str, info: ValidationInfo) -> str:
        name = info.field_name or ""
        if value and not is_variable(value):
            try:
                _PARSERS[name](value, name)
            except ConfigurationError as error:
                raise ValueError(str(error)) from None
        return value

    def at(self, database: str | None, timezone: str | None = None) -> KlaviyoDuckDBResource:
        """The same settings for another file or storage time zone. A blank argument keeps the setting."""
        given = {name: value for name, value in (("database", database), ("timezone", timezone)) if value}
        if not given:
            return self
        return KlaviyoDuckDBResource(**{name: getattr(self, name) for name in type(self).model_fields} | given)

    def patient(self, seconds: float) -> KlaviyoDuckDBResource:
        """The same settings, but the database is waited for no longer than this."""
        settings = {name: getattr(self, name) for name in type(self).model_fields}
        return KlaviyoDuckDBResource(**settings | {"lock_timeout_s": seconds})

    @property
    def zone(self) -> ZoneInfo:
        """The storage time zone."""
        return parse_zone(self.timezone or environment.TIMEZONE.value, "timezone")

    @property
    def schema_or_default(self) -> str:
        """The schema for the tables."""
        return self.schema_name or environment.SCHEMA.value

    def warehouse(self) -> Warehouse:
        """The database, to land in and to read from."""
        from klaviyo_pipeline.warehouse.database import Database

        address = "" if self.database else environment.DESTINATION.value
        if address:
            return self.warehouse_at(address)
        path = self.database or environment.DATABASE.value
        return Database(path, storage_version=self.storage_version, **self._opening())

    def warehouse_at(self, address: str) -> Warehouse:
        """Another destination with the same settings.

        Raises:
            DatabasePathError: if the address is none, or something that it needs is missing.
        """
        from klaviyo_pipeline.warehouse.opening import warehouse_at

        return warehouse_at(
            address,
            data_path=environment.DATA_PATH.value,
            store=environment.object_store(),
            may_install=environment.INSTALL_EXTENSIONS.value == "on",
            **self._opening(),
        )

    def _opening(self) -> dict[str, Any]:
        return {
            "lock_timeout_s": self.lock_timeout_s,
            "settings": self.connection_config,
            "file_mode": int(environment.DATABASE_MODE.value, 8),
            **({"memory_limit": self.memory_limit} if self.memory_limit else {}),
        }

    def place(self, wanted: Destination, table: str) -> Place:
        """The place of a load's rows: the wanted destination, else these settings, and this table.

        Raises:
            ConfigurationError: if an environment variable has a wrong value.
        """
        from klaviyo_pipeline.loads.destination import Place

        at = self.at(wanted.database, wanted.timezone)
        schema = wanted.schema or at.schema_or_default
        return Place(database=at.warehouse(), table=wanted.table or table, schema=schema, zone=at.zone)

    def shrink_limits(self) -> ShrinkLimits:
        """How many rows of a table a full read may remove without consent.

        Raises:
            ConfigurationError: if an environment variable is not a number within its bounds.
        """
        from klaviyo_pipeline.warehouse.shrinking import ShrinkLimits

        share, rows = self.shrink_share, self.shrink_rows
        if share is None:
            share = float(environment.SHRINK_SHARE.value)
        if rows is None:
            rows = int(environment.SHRINK_ROWS.value)
        return ShrinkLimits(share, rows)

    def fresh_parents(self) -> timedelta:
        """How long ago parents, such as lists, may have landed for their members to be read without asking for them.

        Raises:
            ConfigurationError: if an environment variable is not a number within its bounds.
        """
        given = self.fresh_parents_minutes
        return timedelta(minutes=given if given is not None else float(environment.FRESH_PARENTS_MINUTES.value))

    def stage_bytes(self) -> int:
        """How many bytes a load may stage before a part of it lands.

        Raises:
            ConfigurationError: if an environment variable is not a number within its bounds.
        """
        megabytes = self.stage_mb if self.stage_mb is not None else float(environment.STAGE_MB.value)
        return int(megabytes * 1_000_000)

    def staging_area(self) -> StagingArea:
        """The folder of fetched pages that have not landed."""
        from klaviyo_pipeline.klaviyo.staging.stage import StagingArea

        given = grammar.folder(self.staging_dir, "staging_dir") if self.staging_dir else environment.STAGING_DIR.value
        if given:
            # A folder of our own in it: the one given may hold other things.
            return StagingArea(Path(given) / STAGING_SUBFOLDER)
        local = self.warehouse().local
        return StagingArea(local.with_name(f".{local.name}.staging"))

    @contextmanager
    def get_connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection for writing, for SQL assets. Others wait while it is open."""
        with self.warehouse().writing() as connection:
            yield connection
