"""A look at everything that runs need: settings, transfers, accounts, database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from klaviyo_pipeline import clock, environment
from klaviyo_pipeline.accounts.file import FILE as ACCOUNTS_FILE
from klaviyo_pipeline.accounts.file import BrokenAccount, read_accounts
from klaviyo_pipeline.accounts.parts import project_accounts
from klaviyo_pipeline.errors import ConfigurationError, PipelineError
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource, KlaviyoResource
from klaviyo_pipeline.times import parse_zone
from klaviyo_pipeline.transfers.file.authentications import DEFAULT, FILE
from klaviyo_pipeline.transfers.folder import Broken, Folder
from klaviyo_pipeline.transfers.loading import named_account, spec_of

if TYPE_CHECKING:
    from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
    from klaviyo_pipeline.transfers.file.reading import TransferFile


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. What is ``ok`` may still deserve a warning."""

    what: str
    ok: bool
    text: str
    warning: bool = False


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
    findings += _coordination()
    return [*findings, *_accounts(good)]


def _settings() -> Iterator[Finding]:
    for variable in (*environment.VARIABLES, ACCOUNTS_FILE, FILE):
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


def _coordination() -> Iterator[Finding]:
    """The database that processes share, where there is one. A wrong setting is a finding about its variable."""
    with suppress(ConfigurationError):
        if shared := environment.coordination():
            yield _try("rate limits and locks of several machines", shared.check)


def _rehearse(database: str, schema: str) -> str:
    """Try what a load does, and undo it."""
    from klaviyo_pipeline.loads.table import table_of
    from klaviyo_pipeline.warehouse.rehearsal import rehearse

    resource = KlaviyoDuckDBResource(lock_timeout_s=10).at(database)
    warehouse = resource.warehouse()
    existed = warehouse.exists()
    rehearse(warehouse, table_of(SOURCES["events"], schema or resource.schema_or_default))
    return f"{warehouse.name}{'' if existed else ' (will be made by the first run)'}"


def _accounts(files: list[TransferFile]) -> Iterator[Finding]:
    """Each account with the storage time zones of the tables that its rows land in."""
    zones, chosen = dict[str, set[str]](), dict[str, Sequence[str]]()
    try:
        broken = [each for each in read_accounts() if isinstance(each, BrokenAccount)]
        for each in project_accounts(report=False):
            zones[each.name], chosen[each.name] = {each.duckdb.timezone}, each.naming.chosen()
    except ConfigurationError as error:
        yield Finding("accounts", False, str(error))
        return
    yield from (Finding(f"account {each.name}", False, str(each.error)) for each in broken)
    for file in files:
        if not file.transfer.api_token:
            zones.setdefault(file.transfer.authentication or DEFAULT, set()).add(file.transfer.destination.timezone)
    for name in sorted(zones, key=lambda name: (name != DEFAULT, name)):
        yield from _account(name, lambda name=name: client_of(name), zones[name], chosen.get(name))  # type: ignore[misc]
    for file in files:
        if file.transfer.api_token:
            client = lambda file=file: spec_of(file).account(KlaviyoResource()).client()  # noqa: E731
            yield from _account(f"of {file.name}", client, {file.transfer.destination.timezone})


def other_days(account: str, storage: str = "") -> str:
    """A sentence that warns if the account's days begin at other times than those of the storage time zone.

    Args:
        account: The account's time zone; blank if it is unknown, and then there is no warning.
        storage: The storage time zone; blank means the project's.

    Raises:
        ConfigurationError: if the storage time zone is not known here.
    """
    if not account:
        return ""
    zone = KlaviyoDuckDBResource().at(None, storage or None).zone
    try:
        theirs = parse_zone(account, "the account's time zone")
    except ConfigurationError as error:
        return str(error)
    year = clock.now().year
    days = (datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=number) for number in range(366))
    if all(day.astimezone(zone).utcoffset() == day.astimezone(theirs).utcoffset() for day in days):
        return ""
    setting = "destination.timezone in the transfer's file" if storage else environment.TIMEZONE.name
    return (
        f"The account's time zone is {account}, and the storage time zone is {zone.key}: a day of Klaviyo's reports "
        f"and a day here begin at different times. Set {setting} to {account} for the same days."
    )


def _account(
    name: str,
    client: Callable[[], KlaviyoClient],
    storage_zones: Iterable[str],
    chosen: Sequence[str] | None = None,
) -> Iterator[Finding]:
    what, warnings = f"account {name}", list[str]()

    def look() -> str:
        from klaviyo_pipeline.klaviyo.catalogue.revisions import revision_text
        from klaviyo_pipeline.klaviyo.endpoints.key_check import check_account
        from klaviyo_pipeline.klaviyo.errors import ScopeError

        report = check_account(client(), chosen or environment.sources())
        wrong = [f"{each.source}: {', '.join(each.missing) or each.problem}" for each in report.sources if not each.ok]
        if wrong:
            raise ScopeError(f"{report.account} may not read everything; missing for {'; '.join(wrong)}")
        with suppress(ConfigurationError):  # the finding about the setting reports it
            warnings.extend(filter(None, (other_days(report.timezone, zone) for zone in sorted(storage_zones))))
        revision = revision_text(report.revision, report.answered)
        return f"{report.account} {report.account_id}, revision {revision} until {report.sunset}"

    yield _try(what, look)
    yield from (Finding(what, True, text, warning=True) for text in warnings)


def _try(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, look())
    except (PipelineError, OSError) as error:
        return Finding(what, False, str(error))
    except Exception as error:
        # A check reports what it cannot explain too, and looks at the rest.
        return Finding(what, False, f"{type(error).__name__}: {error}")
