"""Gathering the state of the tables from the databases' ledgers, from the tables, and from Dagster's records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from klaviyo_pipeline import clock, environment
from klaviyo_pipeline.accounts.file import BrokenAccount, read_accounts
from klaviyo_pipeline.accounts.parts import AccountParts, account_parts
from klaviyo_pipeline.accounts.validation import DEFAULT
from klaviyo_pipeline.analytics.kept import kept_folder
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.catalogue.reports import QUOTA
from klaviyo_pipeline.klaviyo.catalogue.revisions import DEFAULT_REVISION
from klaviyo_pipeline.orchestration import dagster_home
from klaviyo_pipeline.orchestration.assets.spec import LoadSpec, default_spec, time_of_rows
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource
from klaviyo_pipeline.status import runs
from klaviyo_pipeline.status.model import DiskUse, QuotaStatus, State, Status, TableStatus
from klaviyo_pipeline.transfers.folder import Broken
from klaviyo_pipeline.transfers.loading import KEY_PREFIX, spec_of
from klaviyo_pipeline.warehouse.errors import DatabaseMissingError
from klaviyo_pipeline.warehouse.latest_loads import LatestLoad, latest_loads, newest_time
from klaviyo_pipeline.warehouse.quota import booked_by_account

if TYPE_CHECKING:
    import dagster as dg

    from klaviyo_pipeline.loads.destination import Place
    from klaviyo_pipeline.status.scope import Scope
    from klaviyo_pipeline.transfers.folder import Folder
    from klaviyo_pipeline.warehouse.interface import Warehouse


@dataclass(frozen=True)
class _Found:
    """What a database has of a load."""

    latest: LatestLoad | None
    newest_row: datetime | None


def gather(
    repository: dg.RepositoryDefinition | None,
    instance: dg.DagsterInstance,
    scope: Scope,
    *,
    disk: bool = True,
    failures: Mapping[str, runs.Failure] | None = None,
) -> Status:
    """The state of the data sources of accounts, and of transfers.

    Args:
        repository: The definitions, for the schedules. None: no next run is known.
        instance: Dagster's records.
        scope: The accounts and transfers.
        disk: Whether to measure the disk space, which takes long for many files.
        failures: The failures of runs, if they have been read.

    Raises:
        ConfigurationError: if a setting is wrong.
        WarehouseError: if a database cannot be read.
    """
    files = scope.folder.all() if scope.folder is not None else []
    owned = [*_chosen(scope.accounts), *_transferred(files, scope.duckdb)]
    states = _States(owned, repository, instance, failures)
    tables, due = [*states.tables], states.due
    tables += [_broken(f"{KEY_PREFIX}/{file.name}", file.error) for file in files if isinstance(file, Broken)]
    if scope.guest is None:
        wrong = [each for each in read_accounts() if isinstance(each, BrokenAccount)]
        tables += [replace(_broken(f"account {each.name}", each.error), account_name=each.name) for each in wrong]
    else:
        own = {table.asset for table in tables}
        due = {asset: each for asset, each in due.items() if asset in own}
    resources = [each.duckdb for each in scope.accounts] + ([scope.duckdb] if scope.guest is None else [])
    used = list(_disk(states.databases, resources)) if disk else []
    warnings = list(_warnings(repository, instance, due, states.now))
    return Status(states.now, tables, states.quotas, used, warnings)


def of_transfers(instance: dg.DagsterInstance, folder: Folder) -> Mapping[str, TableStatus]:
    """The state of the tables of transfers by the transfers' names; broken ones are absent. No next run is known.

    Raises:
        ConfigurationError: if a setting is wrong.
        WarehouseError: if a database cannot be read.
    """
    states = _States([*_transferred(folder.all(), KlaviyoDuckDBResource(lock_timeout_s=10))], None, instance)
    return {table.asset.removeprefix(f"{KEY_PREFIX}/"): table for table in states.tables}


_Owned = tuple[LoadSpec, str, KlaviyoDuckDBResource]
"""A load, the name of its account, and the database of what it does not say itself."""


class _States:
    """The state of loads at one moment.

    Args:
        owned: The loads.
        repository: The definitions, for the schedules. None: no next run is known.
        instance: Dagster's records.
        failures: The failures of runs, if they have been read.
    """

    def __init__(
        self,
        owned: Sequence[_Owned],
        repository: dg.RepositoryDefinition | None,
        instance: dg.DagsterInstance,
        failures: Mapping[str, runs.Failure] | None = None,
    ) -> None:
        self.now = clock.now()
        loads = [(spec, at.place(spec.destination, spec.key.path[-1])) for spec, _name, at in owned]
        names = {spec.key.to_user_string(): name for spec, name, _at in owned}
        self.databases = {place.database.name: place.database for _spec, place in loads}
        found, self.quotas = dict[str, _Found](), list[QuotaStatus]()
        for name, database in self.databases.items():
            of_database = [(spec, place) for spec, place in loads if place.database.name == name]
            landed, spent = _read(database, of_database, self.now)
            found |= landed
            self.quotas += spent
        self.due = runs.due(repository, instance, self.now) if repository is not None else {}
        failed = runs.failures(instance) if failures is None else failures
        self.tables = []
        for spec, place in loads:
            asset = spec.key.to_user_string()
            failure = _latest(failed.get(asset), runs.skipped(instance, spec.key))
            state = _state_of(spec, place, found[asset], failure, self.due.get(asset), self.now)
            self.tables.append(replace(state, account_name=names[asset]))


def of_one(found: Status, account: str | None) -> Status:
    """The state of the tables of one account by its name; None: of all.

    Raises:
        ConfigurationError: if there is no account of this name.
    """
    if account is None:
        return found
    if account != DEFAULT and account not in {each.name for each in read_accounts()}:
        account_parts(account)
    return replace(found, tables=[table for table in found.tables if table.account_name == account])


def _chosen(accounts: Iterable[AccountParts]) -> Iterator[_Owned]:
    for each in accounts:
        for name in each.naming.chosen():
            yield default_spec(SOURCES[name], each.days, naming=each.naming), each.name, each.duckdb


def _transferred(files: Iterable[object], duckdb: KlaviyoDuckDBResource) -> Iterator[_Owned]:
    """The loads of transfers, with the names of their accounts; blank for a key of a transfer's own."""
    from klaviyo_pipeline.transfers.file.reading import TransferFile

    for file in files:
        if isinstance(file, TransferFile):
            made = file.transfer
            yield spec_of(file), "" if made.api_token else made.authentication or DEFAULT, duckdb


def _read(
    database: Warehouse, loads: Sequence[tuple[LoadSpec, Place]], now: datetime
) -> tuple[Mapping[str, _Found], Sequence[QuotaStatus]]:
    """What a database has of the loads, by the asset's key, and the quotas that were spent; in one session."""
    nothing = {spec.key.to_user_string(): _Found(None, None) for spec, _place in loads}
    try:
        with database.reading() as con:
            latest = latest_loads(con)
            found = {}
            for spec, place in loads:
                newest = None
                if column := time_of_rows(spec.source):
                    newest = newest_time(con, place.schema, place.table, column, now)
                of_load = latest.get((spec.ledger_name, place.plain_name))
                found[spec.key.to_user_string()] = _Found(of_load, newest)
            spent = [
                QuotaStatus(account, quota, QUOTA.a_day, max(0, QUOTA.a_day - requests))
                for account, quota, requests in booked_by_account(con, now)
            ]
    except DatabaseMissingError:
        return nothing, ()
    return found, spent


def _latest(*found: runs.Failure | None) -> runs.Failure | None:
    return max((each for each in found if each is not None), key=lambda each: each.at, default=None)


def _state_of(
    spec: LoadSpec,
    place: Place,
    found: _Found,
    failure: runs.Failure | None,
    due: runs.Due | None,
    now: datetime,
) -> TableStatus:
    latest = found.latest
    failed = failure is not None and (latest is None or failure.at > latest.landed_at)
    late = _late_by(spec, latest, due, now)
    if failed and failure is not None:
        state = State.SKIPPED if failure.was_skipped else State.FAILED
    elif latest is None:
        state = State.NEVER
    else:
        state = State.LATE if late else State.OK
    return TableStatus(
        asset=spec.key.to_user_string(),
        source=spec.source.name,
        table=place.plain_name,
        database=place.database.name,
        state=state,
        account=latest.account if latest else "",
        rows=latest.rows if latest else None,
        newest_row=found.newest_row,
        last_load=latest.landed_at if latest else None,
        landed_until=latest.until if latest else None,
        lag_s=(now - latest.until).total_seconds() if latest else None,
        late_s=late.total_seconds() if late else None,
        next_run=due.next if due else None,
        rate_limit_used=_rate_limit_used(spec, latest) if latest else None,
        error=runs.first_line(failure.reason) if failed and failure is not None else "",
    )


def _late_by(spec: LoadSpec, latest: LatestLoad | None, due: runs.Due | None, now: datetime) -> timedelta | None:
    """How late a table is by its freshness policy; without one by its schedule. None if it is on time."""
    if latest is None:
        return None
    if spec.cadence is not None:
        over = now - latest.until - spec.cadence.warn_after
        return over if over > timedelta() else None
    if due is not None and due.landed_by_now is not None and latest.landed_at < due.landed_by_now:
        return now - due.landed_by_now
    return None


def _rate_limit_used(spec: LoadSpec, latest: LatestLoad) -> float:
    tier = spec.source.tier_for(latest.revision or DEFAULT_REVISION, spec.source.choose())
    return tier.share_of_steady(latest.requests, latest.fetch_s)


def _broken(asset: str, error: Exception) -> TableStatus:
    return TableStatus(asset, "", "", "", State.BROKEN, error=runs.first_line(str(error)))


def _disk(databases: Mapping[str, Warehouse], resources: Iterable[KlaviyoDuckDBResource]) -> Iterator[DiskUse]:
    for name, database in databases.items():
        paths = (*database.disk_paths(), kept_folder(database))
        yield DiskUse("database", name, sum(_size(each) for each in paths))
    for stages in dict.fromkeys(each.staging_area().root for each in resources):
        yield DiskUse("stages", str(stages), _size(stages))
    home = dagster_home.given_home()
    if home is not None:
        yield DiskUse("DAGSTER_HOME", str(home), _size(home))


def _size(path: Path) -> int:
    """The bytes of a file or a folder; what vanishes meanwhile counts nothing."""
    size = 0
    for each in (path, *path.rglob("*")) if path.is_dir() else (path,):
        try:
            size += each.lstat().st_size if each.is_file() else 0
        except OSError:
            continue
    return size


def _warnings(
    repository: dg.RepositoryDefinition | None,
    instance: dg.DagsterInstance,
    due: Mapping[str, runs.Due],
    now: datetime,
) -> Iterator[str]:
    if due and not runs.daemon_runs(instance, now):
        yield "Schedules are on, but Dagster's daemon has not run for five minutes, so they start no runs."
    if repository is not None and not due:
        yield (
            f"No schedule is on, so loads start by hand only. Set {environment.AUTOMATION.name}=on, or start schedules "
            "in Dagster's UI."
        )
