"""A look at everything that runs need: settings, transfers, accounts, database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from klaviyo_pipeline import environment
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.errors import ConfigurationError, KlaviyoError
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource, KlaviyoResource
from klaviyo_pipeline.transfers.authentications import DEFAULT, FILE
from klaviyo_pipeline.transfers.folder import Broken, Folder
from klaviyo_pipeline.transfers.loading import named_account, spec_of
from klaviyo_pipeline.warehouse.errors import WarehouseError

if TYPE_CHECKING:
    from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
    from klaviyo_pipeline.transfers.file.reading import TransferFile


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    text: str


def client_of(name: str) -> KlaviyoClient:
    """A client for an account by its name, which gives up soon.

    Raises:
        ConfigurationError: if there is no such account, or no key.
    """
    account = KlaviyoResource(retry_limit=1, connect_timeout_s=30, read_timeout_s=60)
    return (account if name == DEFAULT else account.with_settings(**named_account(name))).client()


def check_all(folder: Folder) -> list[Finding]:
    """Look at everything, and say what is right and what is wrong."""
    findings = list(_settings())
    try:
        files = folder.all()
    except ConfigurationError as error:
        return [*findings, Finding("transfers", False, str(error))]
    findings += _transfers(files)
    good = [file for file in files if not isinstance(file, Broken)]
    findings += _databases(good)
    return [*findings, *_accounts(good)]


def _settings() -> Iterator[Finding]:
    for variable in (*environment.VARIABLES, FILE):
        yield _try(variable.name, lambda variable=variable: _shown(variable))  # type: ignore[misc]


def _shown(variable: environment.Variable) -> str:
    value = variable.value
    return ("set" if value else "not set") if variable.is_secret or not value else value


def _transfers(files: Iterable[TransferFile | Broken]) -> Iterator[Finding]:
    for file in files:
        if isinstance(file, Broken):
            yield Finding(f"transfer {file.name}", False, str(file.error))
        else:
            yield Finding(f"transfer {file.name}", True, "; ".join(file.warnings) or str(file.path))


def _databases(files: list[TransferFile]) -> Iterator[Finding]:
    used = {(file.transfer.database_file, file.transfer.schema_or_blank) for file in files}
    for database, schema in sorted({("", ""), *used}):
        yield _try("database", lambda database=database, schema=schema: _rehearse(database, schema))  # type: ignore[misc]


def _rehearse(database: str, schema: str) -> str:
    """Try what a load does, and undo it."""
    from klaviyo_pipeline.loads.table import table_of
    from klaviyo_pipeline.warehouse.rehearsal import rehearse

    resource = KlaviyoDuckDBResource(lock_timeout_s=10).at(database)
    warehouse = resource.warehouse()
    existed = warehouse.file.exists()
    rehearse(warehouse, table_of(SOURCES["events"], schema or resource.schema_or_default))
    return f"{warehouse.file}{'' if existed else ' (will be made by the first run)'}"


def _accounts(files: list[TransferFile]) -> Iterator[Finding]:
    yield _account(DEFAULT, lambda: client_of(DEFAULT))
    for name in sorted({file.transfer.authentication for file in files} - {"", DEFAULT}):
        yield _account(name, lambda name=name: client_of(name))  # type: ignore[misc]
    for file in files:
        if file.transfer.api_token:
            yield _account(f"of {file.name}", lambda file=file: spec_of(file).account(KlaviyoResource()).client())  # type: ignore[misc]


def _account(name: str, client: Callable[[], KlaviyoClient]) -> Finding:
    def look() -> str:
        from klaviyo_pipeline.klaviyo.catalogue.revisions import revision_text
        from klaviyo_pipeline.klaviyo.endpoints.key_check import check_account
        from klaviyo_pipeline.klaviyo.errors import ScopeError

        report = check_account(client())
        wrong = [f"{each.source}: {', '.join(each.missing) or each.problem}" for each in report.sources if not each.ok]
        if wrong:
            raise ScopeError(f"{report.account} may not read everything; missing for {'; '.join(wrong)}")
        revision = revision_text(report.revision, report.answered)
        return f"{report.account} {report.account_id}, revision {revision} until {report.sunset}"

    return _try(f"account {name}", look)


def _try(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, look())
    except (KlaviyoError, WarehouseError, OSError) as error:
        return Finding(what, False, str(error))
    except Exception as error:
        # A check reports what it cannot explain too, and looks at the rest.
        return Finding(what, False, f"{type(error).__name__}: {error}")
