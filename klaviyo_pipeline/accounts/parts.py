"""The accounts of the project, each with its names, choices, resources and partitions."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import dagster as dg

from klaviyo_pipeline import environment, grammar
from klaviyo_pipeline.accounts.file import OWN, Account, BrokenAccount, account_named, default_is_there, read_accounts
from klaviyo_pipeline.accounts.validation import DEFAULT
from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.orchestration.account import DEFAULT as DEFAULT_NAMING
from klaviyo_pipeline.orchestration.account import RESOURCES, Naming
from klaviyo_pipeline.orchestration.choices import Choices
from klaviyo_pipeline.orchestration.partitions import daily_partitions
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource, KlaviyoResource
from klaviyo_pipeline.warehouse.write_modes import WriteMode

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class AccountParts:
    """What the definitions of one account are built from, and what commands about it use.

    Attributes:
        name: The name for ``--account``; ``default`` for the account of ``KLAVIYO_API_KEY``.
        naming: Its names and choices.
        klaviyo: The account to read from.
        duckdb: The database to write to.
        first_day: The first partition, YYYY-MM-DD, in the storage time zone.
    """

    name: str
    naming: Naming
    klaviyo: KlaviyoResource
    duckdb: KlaviyoDuckDBResource
    first_day: str

    @property
    def days(self) -> dg.DailyPartitionsDefinition:
        """The day partitions."""
        return daily_partitions(self.first_day, self.duckdb.zone.key)


def project_accounts(*, report: bool = True) -> list[AccountParts]:
    """The accounts of klaviyo.yml that can be used, and the default account.

    Without accounts in the file, the default account is the only one. With them, it is there if ``KLAVIYO_API_KEY`` is
    set and no account of the file uses this variable or has its names.

    Args:
        report: Whether the log names the accounts that cannot be used.

    Raises:
        ConfigurationError: if the file is not YAML, or a setting of the environment is wrong.
    """
    found = read_accounts()
    for each in found:
        if report and isinstance(each, BrokenAccount):
            _log.error("Account %s is left out:\n%s", each.name, each.error)
    accounts = [parts_of(each) for each in found if isinstance(each, Account)]
    if not found or _default_is_there(found):
        accounts.insert(0, default_parts())
    alone = len(accounts) == 1
    return [replace(each, naming=replace(each.naming, alone=alone)) for each in accounts]


def account_parts(name: str | None = None) -> AccountParts:
    """One account by its name.

    Args:
        name: The name; None: the default account, or the only one of klaviyo.yml.

    Raises:
        ConfigurationError: if there is none of this name, or it is wrong; without a name, if there are several.
    """
    if name == DEFAULT:
        return default_parts()
    if name is not None:
        return parts_of(account_named(name))
    found = read_accounts()
    if not found or _default_is_there(found):
        return default_parts()
    if len(found) > 1:
        raise ConfigurationError(f"Name one of the accounts with --account: {', '.join(each.name for each in found)}.")
    return parts_of(account_named(found[0].name))


def default_parts() -> AccountParts:
    """The account of ``KLAVIYO_API_KEY``.

    Raises:
        ConfigurationError: if a setting of the environment is wrong.
    """
    return AccountParts(
        name=DEFAULT,
        naming=DEFAULT_NAMING,
        klaviyo=KlaviyoResource(),
        duckdb=KlaviyoDuckDBResource(),
        first_day=environment.PARTITION_START.value,
    )


def parts_of(account: Account, *, guest: bool = False) -> AccountParts:
    """An account of klaviyo.yml, or of a component.

    Args:
        account: The account.
        guest: It is part of a project of others, so that no name of it has the names of the default account.

    Raises:
        ConfigurationError: if a setting of the environment is wrong.
    """
    settings = account.settings
    return AccountParts(
        name=account.name,
        naming=_naming(account, guest=guest),
        klaviyo=KlaviyoResource(
            api_key_variable=settings.api_key_env,
            key_origin=account.key_origin,
            base_url=settings.base_url,
            revision=settings.revision,
            privacy=account.privacy,
        ),
        duckdb=KlaviyoDuckDBResource(
            database=settings.database,
            schema_name=account.schema,
            timezone=settings.timezone,
            shrink_share=settings.shrink.share,
            shrink_rows=settings.shrink.rows,
        ),
        first_day=settings.first_day or environment.PARTITION_START.value,
    )


def _default_is_there(found: list[Account | BrokenAccount]) -> bool:
    """Whether the default account is one of the project's, beside those of the file."""
    variables = {each.settings.api_key_env for each in found if isinstance(each, Account)}
    return default_is_there({each.name for each in found}, variables)


def _naming(account: Account, *, guest: bool) -> Naming:
    settings, is_own = account.settings, account.name == OWN and not guest
    keys = {each: account.name if each == "klaviyo" else f"{account.name}_{each}" for each in RESOURCES}
    return Naming(
        account=account.name,
        guest=not is_own,
        key_prefix=tuple((settings.key_prefix or account.name).split("/")),
        group=settings.group or account.name,
        choices=_choices(account),
        resource_keys={} if is_own else keys,
    )


def _choices(account: Account) -> Choices:
    settings = account.settings
    options, schedule = settings.options, settings.schedule
    return Choices(
        sources=tuple(grammar.sources(",".join(settings.sources), "sources").split(",")) if settings.sources else None,
        owners=tuple(settings.owners) or None,
        metrics=None if options.metrics is None else tuple(options.metrics),
        left_out=None if options.leave_out is None else _left_out(options.leave_out),
        write_modes={source: WriteMode(mode) for source, mode in settings.write_modes.items()},
        automation=schedule.auto_start,
        crons=schedule.crons(),
        cron_timezone=schedule.timezone,
    )


def _left_out(columns: list[str]) -> dict[str, tuple[str, ...]]:
    pairs = [each.partition(".")[::2] for each in columns]
    return {source: tuple(column for name, column in pairs if name == source) for source, _column in pairs}
