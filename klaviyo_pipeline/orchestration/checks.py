"""Asset checks: is Klaviyo's revision still served, has every day landed, and do our counts agree with Klaviyo's?

The first two cost next to nothing and run along with every load. The comparison with Klaviyo's own counts takes a
request a metric, and one a list, of endpoints with small limits: it runs by itself (its job, a schedule, the check's
button), and along with a load only if its config says so.
"""
# No `from __future__ import annotations` here: Dagster reads a check's config class off its signature.

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import dagster as dg
from pydantic import Field

from klaviyo_pipeline.klaviyo.errors import KlaviyoError
from klaviyo_pipeline.klaviyo.revisions import REVISIONS, check_revision, expected_answer, sunset_of, today_utc
from klaviyo_pipeline.klaviyo.sources import SOURCES
from klaviyo_pipeline.orchestration import environment
from klaviyo_pipeline.orchestration.load_spec import KEY_PREFIX
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource, KlaviyoResource
from klaviyo_pipeline.warehouse.errors import WarehouseError

if TYPE_CHECKING:
    from klaviyo_pipeline.orchestration.reconciliation import MemberDifference, Reconciliation

WARN_BEFORE = timedelta(days=180)
"""How long before a revision's end the check warns: the half year that a migration may take."""

REVISION_IS_SERVED = "revision_is_served"
DAYS_HAVE_LANDED = "days_have_landed"
COUNTS_AGREE = "counts_agree_with_klaviyo"
RECONCILIATION_JOB = "klaviyo_reconciliation"
_SHOWN = 50


class ReconciliationConfig(dg.Config):
    """What is compared with Klaviyo's counts, and when."""

    first_day: str | None = Field(
        default=None, description="First day of events to compare, YYYY-MM-DD; blank: 90 days ago."
    )
    last_day: str | None = Field(default=None, description="Last day of events to compare; blank: today.")
    most_lists: int = Field(default=15, ge=1, description="Lists to compare; Klaviyo allows fifteen a minute.")
    with_loads: bool = Field(default=False, description="Compare at the end of every load as well.")


def build_checks(partitions: dg.TimeWindowPartitionsDefinition) -> list[dg.AssetChecksDefinition]:
    """All checks of the nine assets; days are those of these partitions."""
    return [_build_upkeep(partitions), _build_reconciliation()]


def build_reconciliation_job() -> Any:  # noqa: ANN401 - a type that Dagster does not export
    """A job that does nothing but compare with Klaviyo's counts; reading again what differs is ``repair_events``."""
    keys = [_check_key("events"), _check_key("list_profiles")]
    return dg.define_asset_job(
        RECONCILIATION_JOB,
        selection=dg.AssetSelection.checks(*keys),
        description="Compares events per metric and day, and members per list, with Klaviyo's own counts.",
    )


def _key(source: str) -> dg.AssetKey:
    return dg.AssetKey([KEY_PREFIX, source])


def _check_key(source: str) -> dg.AssetCheckKey:
    return dg.AssetCheckKey(_key(source), COUNTS_AGREE)


def _build_upkeep(partitions: dg.TimeWindowPartitionsDefinition) -> dg.AssetChecksDefinition:
    specs = [
        dg.AssetCheckSpec(
            REVISION_IS_SERVED,
            asset=_key(name),
            description=f"Klaviyo serves the configured API revision, for {WARN_BEFORE.days} more days at least.",
        )
        for name in SOURCES
    ]
    specs += [
        dg.AssetCheckSpec(
            DAYS_HAVE_LANDED,
            asset=_key(name),
            description="No day is missing, by the ledger, between the first and the last that have landed, and none "
            "that Dagster shows as materialized.",
        )
        for name, source in SOURCES.items()
        if source.partitioned_by_day
    ]

    @dg.multi_asset_check(name="klaviyo_upkeep", specs=specs, can_subset=True)
    def klaviyo_upkeep(
        context: dg.AssetCheckExecutionContext, klaviyo: KlaviyoResource, duckdb: KlaviyoDuckDBResource
    ) -> Iterator[dg.AssetCheckResult]:
        served = None
        for key in sorted(context.selected_asset_check_keys):
            if key.name == REVISION_IS_SERVED:
                served = served or revision_check(klaviyo.revision or environment.REVISION.value)
                yield served._replace(asset_key=key.asset_key, check_name=key.name)
            else:
                yield _days_check(context, key, duckdb, partitions)

    return klaviyo_upkeep


def revision_check(configured: str, today: date | None = None) -> dg.AssetCheckResult:
    """Whether the revision is served, and for how long still."""
    today = today or today_utc()
    revision = check_revision(configured, today)
    answers, end = expected_answer(revision, today), sunset_of(revision)
    newest = REVISIONS[-1].name
    left = (end - today).days
    advice = f"Set revision (or {environment.REVISION.name}) to a newer one; {newest} is the newest known here."
    if answers != revision or left <= 0:
        text = f"Klaviyo retired revision {revision} on {end}, and answers as {answers} instead. {advice}"
    elif left <= WARN_BEFORE.days:
        text = f"Klaviyo retires revision {revision} on {end}, in {left} days. {advice}"
    else:
        text = f"Klaviyo serves revision {revision} until {end}, {left} days from now."
    return dg.AssetCheckResult(
        passed=left > WARN_BEFORE.days,
        severity=dg.AssetCheckSeverity.WARN,
        description=text,
        metadata={"revision": revision, "answered_as": answers, "sunset": end.isoformat(), "days_left": left},
    )


def _days_check(
    context: dg.AssetCheckExecutionContext,
    key: dg.AssetCheckKey,
    duckdb: KlaviyoDuckDBResource,
    partitions: dg.TimeWindowPartitionsDefinition,
) -> dg.AssetCheckResult:
    from klaviyo_pipeline.orchestration.landed_days import landed_days, spoken

    name = key.asset_key.path[-1]
    zone = ZoneInfo(partitions.timezone)
    try:
        found = landed_days(duckdb.warehouse(), SOURCES[name], f"{duckdb.schema_or_default}.{name}", zone)
    except WarehouseError as error:
        return _undecided(key, error)
    newest = max((*found.complete, *found.partial), default=date.min)
    missing = [day for day in found.missing if day < newest]
    begun = [day for day in found.partial if day < newest]
    said = found.disagreeing(context.instance.get_materialized_partitions(key.asset_key))
    texts = []
    if missing:
        texts.append(f"Not landed: {spoken(missing)}.")
    if begun:
        texts.append(f"Landed in part, before the day was over or for times given by hand: {spoken(begun)}.")
    if said:
        texts.append(f"Dagster shows as materialized, but not landed here: {spoken(said)}.")
    if texts:
        again = [*missing, *begun, *said]
        texts.append(
            f"Materialize {key.asset_key.to_user_string()} for these partitions (a range is one run): "
            f"--partition-range {min(again)}...{max(again)}."
        )
    return dg.AssetCheckResult(
        passed=not texts,
        asset_key=key.asset_key,
        check_name=key.name,
        severity=dg.AssetCheckSeverity.WARN,
        description=" ".join(texts) or f"{len(found.complete):,} days have landed whole, without a gap between them.",
        metadata={
            "complete_days": len(found.complete),
            "partial_days": [day.isoformat() for day in begun],
            "missing_days": [day.isoformat() for day in missing],
            "landed_until": max(end for _start, end in found.spans).isoformat() if found.spans else "",
            "materialized_but_missing": [day.isoformat() for day in said],
        },
    )


def _build_reconciliation() -> dg.AssetChecksDefinition:
    specs = [
        dg.AssetCheckSpec(
            COUNTS_AGREE,
            asset=_key("events"),
            description="As many events per metric and day as Klaviyo counts itself.",
        ),
        dg.AssetCheckSpec(
            COUNTS_AGREE,
            asset=_key("list_profiles"),
            description="As many members per list as Klaviyo counts itself.",
        ),
    ]

    @dg.multi_asset_check(name=RECONCILIATION_JOB + "_checks", specs=specs, can_subset=True)
    def klaviyo_reconciliation_checks(
        context: dg.AssetCheckExecutionContext,
        config: ReconciliationConfig,
        klaviyo: KlaviyoResource,
        duckdb: KlaviyoDuckDBResource,
    ) -> Iterator[dg.AssetCheckResult]:
        from klaviyo_pipeline.orchestration.reconciliation import reconcile_events, reconcile_members

        if _runs_along(context) and not config.with_loads:
            context.log.debug("Not compared with Klaviyo's counts: with_loads is off.")
            return
        for key in sorted(context.selected_asset_check_keys):
            try:
                if key.asset_key == _key("events"):
                    first, last = (
                        date.fromisoformat(day) if day else None for day in (config.first_day, config.last_day)
                    )
                    yield _events_check(key, reconcile_events(klaviyo, duckdb, first, last))
                else:
                    yield _members_check(key, reconcile_members(klaviyo, duckdb, most=config.most_lists))
            except (KlaviyoError, WarehouseError) as error:
                yield _undecided(key, error)

    return klaviyo_reconciliation_checks


def _runs_along(context: dg.AssetCheckExecutionContext) -> bool:
    """Whether assets are loaded in the same run."""
    return bool(context.job_def.asset_layer.selected_asset_keys)


def _events_check(key: dg.AssetCheckKey, found: "Reconciliation") -> dg.AssetCheckResult:
    from klaviyo_pipeline.orchestration.landed_days import spoken

    soon_read_again = today_utc() - timedelta(days=SOURCES["events"].lookback_days)
    lost = any(each.ours < each.klaviyos and each.day < soon_read_again for each in found.differences)
    if not found.days:
        text = "No day of events has landed yet."
    elif found.is_even:
        text = f"{found.events:,} events of {found.metrics} metrics on {len(found.days)} days: as Klaviyo counts them."
    else:
        names = sorted({each.metric_name for each in found.differences})
        text = (
            f"Other counts than Klaviyo's on {spoken(found.differing_days)}, of {', '.join(names[:10])}"
            f"{f' and {len(names) - 10} more' if len(names) > 10 else ''}. To read just these days again: "
            "klaviyo-pipeline reconcile --repair."
        )
    records = [
        dg.TableRecord(
            {
                "day": each.day.isoformat(),
                "metric": each.metric_name,
                "metric_id": each.metric_id,
                "ours": each.ours,
                "klaviyos": each.klaviyos,
            }
        )
        for each in found.differences[:_SHOWN]
    ]
    return dg.AssetCheckResult(
        passed=found.is_even,
        asset_key=key.asset_key,
        check_name=key.name,
        # A day that the next run reads again anyway is no cause for alarm; an older one that lacks rows is.
        severity=dg.AssetCheckSeverity.ERROR if lost else dg.AssetCheckSeverity.WARN,
        description=text,
        metadata={
            "days_compared": len(found.days),
            "metrics_compared": found.metrics,
            "events_compared": found.events,
            "compared_until": found.until.isoformat() if found.until else "",
            "differing_days": [day.isoformat() for day in found.differing_days],
            "differences": len(found.differences),
            "missing_events": sum(max(0, each.klaviyos - each.ours) for each in found.differences),
            "surplus_events": sum(max(0, each.ours - each.klaviyos) for each in found.differences),
            "events_without_metric": found.without_metric,
            "not_counted_by_klaviyo": dict(found.not_counted),
            **({"first_differences": dg.MetadataValue.table(records)} if records else {}),
        },
    )


def _members_check(key: dg.AssetCheckKey, found: "Sequence[MemberDifference]") -> dg.AssetCheckResult:
    text = "Every list compared has as many members here as Klaviyo counts."
    if found:
        text = (
            f"Other counts than Klaviyo's: {'; '.join(str(each) for each in found[:_SHOWN])}. People joined or left "
            "since the list was last read whole: materialize klaviyo/list_profiles with list_ids, or whole."
        )
    return dg.AssetCheckResult(
        passed=not found,
        asset_key=key.asset_key,
        check_name=key.name,
        severity=dg.AssetCheckSeverity.WARN,
        description=text,
        metadata={"differing_lists": [each.list_id for each in found]},
    )


def _undecided(key: dg.AssetCheckKey, error: Exception) -> dg.AssetCheckResult:
    """A check that could not look is not passed, but the load that it ran along with is no worse for it."""
    return dg.AssetCheckResult(
        passed=False,
        asset_key=key.asset_key,
        check_name=key.name,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"Could not be checked: {error}",
    )


def _day(name: str, text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise dg.Failure(f"{name} is {text!r}, but must be a day written YYYY-MM-DD.", allow_retries=False) from None
