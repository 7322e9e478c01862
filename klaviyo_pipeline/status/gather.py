"""Gathering the state of the tables from the databases' ledgers, from the tables, and from Dagster's records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from klaviyo_pipeline import clock, environment
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.catalogue.reports import QUOTA
from klaviyo_pipeline.klaviyo.catalogue.revisions import DEFAULT_REVISION
from klaviyo_pipeline.loads.children import time_column
from klaviyo_pipeline.orchestration import dagster_home
from klaviyo_pipeline.orchestration.assets.spec import LoadSpec, default_spec
from klaviyo_pipeline.orchestration.partitions import daily_partitions
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

    from klaviyo_pipeline.transfers.folder import Folder
    from klaviyo_pipeline.warehouse.database import Database


@dataclass(frozen=True)
class _Load:
    """A configured load, and where its rows are."""

    spec: LoadSpec
    database: Database
    schema: str
    table: str

    @property
    def place(self) -> str:
        return f"{self.schema}.{self.table}"


@dataclass(frozen=True)
class _Found:
    """What a database has of a load."""

    latest: LatestLoad | None
    newest_row: datetime | None


def gather(repository: dg.RepositoryDefinition, instance: dg.DagsterInstance, folder: Folder) -> Status:
    """The state of the chosen data sources and of all transfers.

    Args:
        repository: The definitions, for the schedules.
        instance: Dagster's records.
        folder: The transfers.

    Raises:
        ConfigurationError: if a setting is wrong.
        WarehouseError: if a database can not be read.
    """
    now, duckdb = clock.now(), KlaviyoDuckDBResource()
    files = folder.all()
    loads = [_placed(spec, duckdb) for spec in (*_chosen(), *_transferred(files))]
    due, failures = runs.due(repository, instance, now), runs.failures(instance)
    states = list[tuple[_Load, TableStatus]]()
    quotas = list[QuotaStatus]()
    for _file, group in groupby(sorted(loads, key=_file_of), _file_of):
        of_file = list(group)
        found, spent = _read(of_file[0].database, of_file, now)
        quotas += spent
        for load in of_file:
            asset = load.spec.key.to_user_string()
            failure = _latest(failures.get(asset), runs.skipped(instance, load.spec.key))
            states.append((load, _state_of(load, found[asset], failure, due.get(asset), now)))
    order = {id(load): number for number, load in enumerate(loads)}
    tables = [state for _load, state in sorted(states, key=lambda each: order[id(each[0])])]
    tables += [_broken(file) for file in files if isinstance(file, Broken)]
    return Status(now, tables, quotas, list(_disk(loads, duckdb)), list(_warnings(instance, due, now)))


def _chosen() -> Iterator[LoadSpec]:
    days = daily_partitions(environment.PARTITION_START.value, environment.TIMEZONE.value)
    yield from (default_spec(SOURCES[name], days) for name in environment.sources())


def _transferred(files: Iterable[object]) -> Iterator[LoadSpec]:
    from klaviyo_pipeline.transfers.file.reading import TransferFile

    yield from (spec_of(file) for file in files if isinstance(file, TransferFile))


def _placed(spec: LoadSpec, duckdb: KlaviyoDuckDBResource) -> _Load:
    lands = spec.destination
    database = duckdb.at(lands.database).warehouse()
    return _Load(spec, database, lands.schema or duckdb.schema_or_default, lands.table or spec.key.path[-1])


def _file_of(load: _Load) -> str:
    return str(load.database.file)


def _read(
    database: Database, loads: Sequence[_Load], now: datetime
) -> tuple[Mapping[str, _Found], Sequence[QuotaStatus]]:
    """What a database has of the loads, by the asset's key, and the quotas that were spent; in one session."""
    nothing = {load.spec.key.to_user_string(): _Found(None, None) for load in loads}
    try:
        with database.reading() as con:
            latest = latest_loads(con)
            found = {}
            for load in loads:
                newest = None
                if column := _time_of(load.spec):
                    newest = newest_time(con, load.schema, load.table, column, now)
                of_load = latest.get((load.spec.ledger_name, load.place))
                found[load.spec.key.to_user_string()] = _Found(of_load, newest)
            spent = [
                QuotaStatus(account, quota, QUOTA.a_day, max(0, QUOTA.a_day - requests))
                for account, quota, requests in booked_by_account(con, now)
            ]
    except DatabaseMissingError:
        return nothing, ()
    return found, spent


def _time_of(spec: LoadSpec) -> str | None:
    """The column that says how new a row is."""
    source = spec.source
    if source.child is not None:
        return time_column(source)
    if source.fan_out is not None and spec.follows:
        return "event_datetime"
    return source.time_fields[0].name if source.time_fields else None


def _latest(*found: runs.Failure | None) -> runs.Failure | None:
    return max((each for each in found if each is not None), key=lambda each: each.at, default=None)


def _state_of(
    load: _Load, found: _Found, failure: runs.Failure | None, due: runs.Due | None, now: datetime
) -> TableStatus:
    latest, spec = found.latest, load.spec
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
        table=load.place,
        database=str(load.database.file),
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
    """The share of the steady limit: requests a minute of a fetch, one of less than a minute as a whole one."""
    tier = spec.source.tier_for(environment.REVISION.value or DEFAULT_REVISION, spec.source.choose())
    return round(latest.requests / max(latest.fetch_s / 60, 1) / tier.steady, 4)


def _broken(file: Broken) -> TableStatus:
    return TableStatus(
        f"{KEY_PREFIX}/{file.name}",
        "",
        "",
        "",
        State.BROKEN,
        error=runs.first_line(str(file.error)),
    )


def _disk(loads: Sequence[_Load], duckdb: KlaviyoDuckDBResource) -> Iterator[DiskUse]:
    for file in dict.fromkeys(load.database.file for load in loads):
        beside = (file, Path(f"{file}.wal"), Path(f"{file}.analytics"))
        yield DiskUse("database", str(file), sum(_size(each) for each in beside))
    stages = duckdb.staging_area().root
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


def _warnings(instance: dg.DagsterInstance, due: Mapping[str, runs.Due], now: datetime) -> Iterator[str]:
    if due and not runs.daemon_runs(instance, now):
        yield "Schedules are on, but Dagster's daemon has not run for five minutes, so they start no runs."
    if not due:
        yield (
            f"No schedule is on, so loads start by hand only. Set {environment.AUTOMATION.name}=on, or start schedules "
            "in Dagster's UI."
        )
