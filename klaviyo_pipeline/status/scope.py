"""The loads that an overview is about: those of the whole project, or of one account in a project of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import dagster as dg

from klaviyo_pipeline.accounts.parts import AccountParts, project_accounts
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource
from klaviyo_pipeline.transfers.folder import Folder


@dataclass(frozen=True, kw_only=True)
class Scope:
    """The loads that an overview is about.

    Attributes:
        accounts: The accounts.
        folder: The transfers; None in a project of others.
        duckdb: The database of transfers.
    """

    accounts: Sequence[AccountParts]
    folder: Folder | None = None
    duckdb: KlaviyoDuckDBResource = field(default_factory=KlaviyoDuckDBResource)

    @property
    def guest(self) -> AccountParts | None:
        """The account in a project of others; None for the whole project."""
        return self.accounts[0] if self.folder is None else None

    @property
    def revisions(self) -> Sequence[str]:
        """The API revisions that the accounts choose; blank: that of the environment."""
        own = [each.klaviyo.revision for each in self.accounts]
        return [each.get_value("") or "" if isinstance(each, dg.EnvVar) else each for each in own]

    def patient(self, seconds: float) -> Scope:
        """The same loads, with databases that are waited for no longer than this."""
        accounts = [replace(each, duckdb=each.duckdb.patient(seconds)) for each in self.accounts]
        return replace(self, accounts=accounts, duckdb=self.duckdb.patient(seconds))


def scope_of_project(folder: Folder) -> Scope:
    """All accounts, and the transfers of a folder.

    Raises:
        ConfigurationError: if klaviyo.yml is not YAML, or a setting of the environment is wrong.
    """
    return Scope(accounts=project_accounts(report=False), folder=folder)


def scope_of_guest(account: AccountParts) -> Scope:
    """One account in a project of others.

    Raises:
        ConfigurationError: if an environment variable that code names is not set.
    """
    return Scope(accounts=[replace(account, duckdb=account.duckdb.process_config_and_initialize())])
