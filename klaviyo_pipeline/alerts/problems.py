"""The problems of the moment that need a person: found in the state of the tables, and in Dagster's records."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import dagster as dg

from klaviyo_pipeline import environment
from klaviyo_pipeline.orchestration.checks.reconciliation import COUNTS_AGREE
from klaviyo_pipeline.orchestration.checks.results import latest_result
from klaviyo_pipeline.orchestration.checks.upkeep import REVISION_IS_SERVED, revision_check
from klaviyo_pipeline.redaction import redact
from klaviyo_pipeline.status import runs
from klaviyo_pipeline.status.model import QuotaStatus, State, Status, TableStatus
from klaviyo_pipeline.status.wording import length

if TYPE_CHECKING:
    from dagster import RepositoryDefinition

_ENOUGH_LEFT = 0.1
"""A quota is well again when this share of it is left. Without it, every request that it frees would be a message."""
_KINDS = {COUNTS_AGREE: "Counts differ from Klaviyo's", "attributes_are_known": "New attributes at Klaviyo"}
"""The checks whose warnings are problems too. A check that fails as an error always is one."""
_LONGEST = 600


@dataclass(frozen=True)
class Problem:
    """A problem.

    Attributes:
        key: Tells problems apart. It stays the same while the problem lasts.
        title: What has the problem: ``Load failed: klaviyo/events``.
        sentence: What is wrong, and what to do; without secrets.
        path: The page of Dagster's UI that shows it.
    """

    key: str
    title: str
    sentence: str
    path: str

    @property
    def link(self) -> str:
        """The address of its page; blank if the address of Dagster's UI is not known."""
        base = environment.DAGSTER_URL.value.rstrip("/")
        return f"{base}{self.path}" if base else ""


def problems(
    status: Status,
    repository: RepositoryDefinition,
    instance: dg.DagsterInstance,
    told: Collection[str] = (),
    failures: Mapping[str, runs.Failure] | None = None,
    own: Collection[dg.AssetKey] | None = None,
    revisions: Collection[str] = ("",),
) -> list[Problem]:
    """The problems of now, by their keys.

    Args:
        status: The state of the tables.
        repository: The definitions.
        instance: Dagster's records.
        told: The keys of problems that have been told and not ended. A quota among them stays a problem for longer.
        failures: The failures of runs, if they have been read.
        own: The assets that are looked at; None: all of the code location.
        revisions: The API revisions of the accounts; blank: that of the environment.

    Raises:
        ConfigurationError: if a setting is wrong.
    """
    failed = runs.failures(instance) if failures is None else failures
    graph = repository.asset_graph
    keys = [key for key in graph.executable_asset_keys if own is None or key in own]
    checks = [key for key in graph.asset_check_keys if own is None or key.asset_key in own]
    found = [
        *_tables(status),
        *_other_assets(status, keys, instance, failed),
        *_checks(checks, instance),
        *_quotas(status.quotas, told),
        *_revision(status.at, revisions),
    ]
    return sorted(found, key=lambda each: each.key)


def _problem(key: str, title: str, sentence: str, path: str) -> Problem:
    text = redact(sentence)
    return Problem(key, title, text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…", path)


def _asset_page(asset: str, view: str = "overview") -> str:
    return f"/assets/{asset}?view={view}"


def _tables(status: Status) -> Iterator[Problem]:
    """A table that failed and is late later on is one problem."""
    titles: Mapping[State, tuple[str, Callable[[TableStatus], str]]] = {
        State.FAILED: ("Load failed", lambda table: table.error),
        State.BROKEN: ("File is broken", lambda table: table.error),
        State.LATE: ("Table is stale", _late),
    }
    for table in status.tables:
        if table.state in titles:
            title, sentence = titles[table.state]
            # A broken file has no asset: the code location says so.
            path = "/locations" if table.state is State.BROKEN else _asset_page(table.asset)
            yield _problem(f"table {table.asset}", f"{title}: {table.asset}", sentence(table), path)


def _late(table: TableStatus) -> str:
    return (
        f"The newest window landed {length(table.lag_s)} ago, which is late by {length(table.late_s)}. Is the schedule "
        "on, does Dagster's daemon run, and do its runs succeed?"
    )


def _other_assets(
    status: Status, keys: Iterable[dg.AssetKey], instance: dg.DagsterInstance, failed: Mapping[str, runs.Failure]
) -> Iterator[Problem]:
    """Assets that are no table of a load, such as those of analytics: the last run failed after the last success."""
    tables = {table.asset for table in status.tables}
    known = {key.to_user_string(): key for key in keys}
    for asset, failure in failed.items():
        if asset in tables or asset not in known:
            continue
        made = instance.get_latest_materialization_event(known[asset])
        if made is None or made.timestamp < failure.at.timestamp():
            sentence = runs.first_line(failure.reason)
            yield _problem(f"asset {asset}", f"Asset failed: {asset}", sentence, _asset_page(asset))


def _checks(keys: Iterable[dg.AssetCheckKey], instance: dg.DagsterInstance) -> Iterator[Problem]:
    for key in sorted(keys):
        if key.name == REVISION_IS_SERVED:  # the same for every asset
            continue
        found = latest_result(instance, key)
        if found is None:
            continue
        result, _at = found
        is_error = result.severity is dg.AssetCheckSeverity.ERROR
        if not result.passed and (is_error or key.name in _KINDS):
            asset = key.asset_key.to_user_string()
            title = f"{_KINDS.get(key.name, f'Check {key.name} failed')}: {asset}"
            yield _problem(f"check {asset} {key.name}", title, result.description or "", _asset_page(asset, "checks"))


def _quotas(quotas: Collection[QuotaStatus], told: Collection[str]) -> Iterator[Problem]:
    for quota in quotas:
        key = f"quota {quota.account} {quota.quota}"
        if quota.left == 0 or (key in told and quota.left < quota.a_day * _ENOUGH_LEFT):
            sentence = (
                f"Account {quota.account} has used its {quota.a_day} requests of {quota.quota} in 24 hours. Loads of "
                "them wait until Klaviyo allows more."
            )
            yield _problem(key, f"Quota is spent: {quota.quota} of account {quota.account}", sentence, "/runs")


def _revision(now: datetime, chosen: Collection[str]) -> Iterator[Problem]:
    """The revisions that end. Each is one problem."""
    of_environment = environment.REVISION.value
    for revision in dict.fromkeys(each or of_environment for each in chosen):
        result = revision_check(revision, now.date())
        if not result.passed:
            key = "revision" if revision == of_environment else f"revision {revision}"
            yield _problem(key, "Klaviyo's API revision ends", result.description or "", "/deployment")
