"""The check that compares our counts with Klaviyo's own.

It takes one request for each metric and list, and these endpoints have small limits. So its job, a schedule or the
check's button runs it, and a load only if the config says so.
"""
# No `from __future__ import annotations` here: Dagster reads a check's config class off its signature.

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from klaviyo_pipeline import grammar
from klaviyo_pipeline.errors import PipelineError
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.catalogue.revisions import today_utc
from klaviyo_pipeline.orchestration.account import DEFAULT, Naming
from klaviyo_pipeline.orchestration.checks.results import could_not_run
from klaviyo_pipeline.orchestration.failures import plain_failures
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource, KlaviyoResource
from klaviyo_pipeline.orchestration.run_config import launch_schema

if TYPE_CHECKING:
    from klaviyo_pipeline.loads.reconciliation import MemberDifference, Reconciliation

COUNTS_AGREE = "counts_agree_with_klaviyo"
RECONCILIATION_JOB = "klaviyo_reconciliation"
_SHOWN = 50
_WHEN = (
    "Its job, a schedule and the check's button run it. A load skips it, because it takes one request for each "
    "metric or list, unless the check's config has with_loads: true."
)
_SKIPPED = f"Skipped, nothing was compared with Klaviyo's counts: with_loads is off. {_WHEN}"


class ReconciliationConfig(dg.Config):
    """What the check compares with Klaviyo's counts, and when."""

    first_day: str | None = Field(
        default=None, description="First day of events to compare, YYYY-MM-DD; blank: 90 days ago."
    )
    last_day: str | None = Field(default=None, description="Last day of events to compare; blank: today.")
    most_lists: int = Field(
        default=15, ge=1, description="Maximum number of lists to compare. Klaviyo allows fifteen a minute."
    )
    with_loads: bool = Field(default=False, description="On: also compare at the end of every load.")


def build_reconciliation_jobs(naming: Naming = DEFAULT) -> list[Any]:
    """A job that only compares with Klaviyo's counts; ``repair_events`` reads differences again.

    No job if neither events nor list members are chosen.
    """
    keys = [dg.AssetCheckKey(key, COUNTS_AGREE) for key in _compared(naming)]
    job = dg.define_asset_job(
        naming.name_of(RECONCILIATION_JOB),
        selection=dg.AssetSelection.checks(*keys),
        description="Compares events per metric and day, and members per list, with Klaviyo's own counts.",
    )
    return [job] if keys else []


def _compared(naming: Naming) -> dict[dg.AssetKey, str]:
    """The chosen assets that the check compares, with its description."""
    known = {
        "events": "For each metric and day, the table has as many events as Klaviyo counts.",
        "list_profiles": "For each list, the table has as many members as Klaviyo counts.",
    }
    return {naming.asset_key(SOURCES[name]): text for name, text in known.items() if name in naming.chosen()}


def build_reconciliation_checks(naming: Naming = DEFAULT) -> list[dg.AssetChecksDefinition]:
    """The comparison of events and of list members; none if neither is chosen."""
    events = naming.asset_key(SOURCES["events"])
    specs = [
        dg.AssetCheckSpec(COUNTS_AGREE, asset=key, description=f"{text} {_WHEN}")
        for key, text in _compared(naming).items()
    ]
    if not specs:
        return []

    @dg.multi_asset_check(
        name=naming.name_of(RECONCILIATION_JOB) + "_checks",
        specs=specs,
        can_subset=True,
        config_schema=launch_schema(ReconciliationConfig),
    )
    @naming.with_resources
    def klaviyo_reconciliation_checks(
        context: dg.AssetCheckExecutionContext,
        klaviyo: KlaviyoResource,
        duckdb: KlaviyoDuckDBResource,
    ) -> Iterator[dg.AssetCheckResult | dg.Output[None]]:
        from klaviyo_pipeline.loads.destination import Destination
        from klaviyo_pipeline.loads.reconciliation import reconcile_events, reconcile_members

        config = ReconciliationConfig(**context.op_execution_context.op_config)
        if _runs_along(context) and not config.with_loads:
            context.log.info(_SKIPPED)
            yield from _no_results(context)
            return
        area = duckdb.staging_area()
        for key in sorted(context.selected_asset_check_keys):
            place = duckdb.place(Destination(), "events" if key.asset_key == events else "list_profiles")
            try:
                client = klaviyo.client()
                if key.asset_key == events:
                    days = [_day(name, getattr(config, name)) for name in ("first_day", "last_day")]
                    chosen = naming.choices.chosen("metrics")
                    found = reconcile_events(client, place, area, *days, chosen=chosen)
                    yield _events_check(key, found, _other_rules(duckdb))
                else:
                    yield _members_check(key, reconcile_members(client, place, area, most=config.most_lists))
            except PipelineError as error:
                yield could_not_run(key, error)

    return [klaviyo_reconciliation_checks]


def _no_results(context: dg.AssetCheckExecutionContext) -> Iterator[dg.Output[None]]:
    """Outputs without check results: Dagster shows the checks as skipped, without an error in the log."""
    for key in sorted(context.selected_asset_check_keys):
        name = context.job_def.asset_layer.get_op_output_name(key)
        assert name is not None
        yield dg.Output(None, name)


def _runs_along(context: dg.AssetCheckExecutionContext) -> bool:
    """Whether assets are loaded in the same run."""
    return bool(context.job_def.asset_layer.selected_asset_keys)


def _other_rules(duckdb: KlaviyoDuckDBResource) -> str:
    from klaviyo_pipeline.loads.zone_rules import disagreement

    return disagreement(duckdb.zone) or ""


def _events_check(key: dg.AssetCheckKey, found: "Reconciliation", other_rules: str = "") -> dg.AssetCheckResult:
    # The next run reads days of the lookback again: a difference there is only a warning.
    soon_read_again = today_utc() - timedelta(days=SOURCES["events"].lookback_days)
    lost = any(each.ours < each.klaviyos and each.day < soon_read_again for each in found.differences)
    return dg.AssetCheckResult(
        passed=found.is_even,
        asset_key=key.asset_key,
        check_name=key.name,
        severity=dg.AssetCheckSeverity.ERROR if lost else dg.AssetCheckSeverity.WARN,
        description=f"{_said(found)} {other_rules}".strip(),
        metadata={"time_zone_rules_differ": other_rules, **_counts(found)},
    )


def _said(found: "Reconciliation") -> str:
    from klaviyo_pipeline.loads.completeness import spoken

    if not found.days:
        return "No day of events has landed yet."
    if found.is_even:
        return (
            f"{found.events:,} events of {found.metrics} metrics on {len(found.days)} days, as many as Klaviyo counts."
        )
    names = sorted({each.metric_name for each in found.differences})
    return (
        f"Counts differ from Klaviyo's on {spoken(found.differing_days)}, of {', '.join(names[:10])}"
        f"{f' and {len(names) - 10} more' if len(names) > 10 else ''}. To read these days again: "
        "klaviyo-pipeline reconcile --repair."
    )


def _counts(found: "Reconciliation") -> dict[str, Any]:
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
    return {
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
    }


def _members_check(key: dg.AssetCheckKey, found: "Sequence[MemberDifference]") -> dg.AssetCheckResult:
    text = "Every compared list has the same number of members as at Klaviyo."
    if found:
        text = (
            f"Counts differ from Klaviyo's: {'; '.join(str(each) for each in found[:_SHOWN])}. People joined or left "
            "after the last full read. Materialize klaviyo/list_profiles, for these list_ids or for all lists."
        )
    return dg.AssetCheckResult(
        passed=not found,
        asset_key=key.asset_key,
        check_name=key.name,
        severity=dg.AssetCheckSeverity.WARN,
        description=text,
        metadata={"differing_lists": [each.list_id for each in found]},
    )


def _day(name: str, text: str | None) -> date | None:
    with plain_failures():
        return date.fromisoformat(grammar.day(text, name)) if text else None
