"""A sensor that posts failed runs to a webhook, in Slack's format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from klaviyo_pipeline import environment
from klaviyo_pipeline.orchestration.automation.webhook import post
from klaviyo_pipeline.orchestration.failures import reason_of_step
from klaviyo_pipeline.redaction import redact

SENSOR = "failed_runs"
CHECK_EVERY_S = 30
_LONGEST_REASON = 600
_MOST_NAMES = 10


def failed_runs_sensor(*, running: bool) -> dg.SensorDefinition:
    """A sensor that posts each failed run of this project to the address in ``KLAVIYO_ALERT_WEBHOOK``."""

    @dg.run_failure_sensor(
        name=SENSOR,
        minimum_interval_seconds=CHECK_EVERY_S,
        default_status=dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED,
        description=f"Posts failed runs to the webhook in {environment.ALERT_WEBHOOK.name}, in Slack's format.",
    )
    def failed_runs(context: dg.RunFailureSensorContext) -> dg.SkipReason | None:
        address = environment.ALERT_WEBHOOK.value
        if not address:
            return dg.SkipReason(f"No message is sent: {environment.ALERT_WEBHOOK.name} is not set.")
        post(address, message_of(context), allow_http=environment.allow_http())
        context.log.info("Posted the failure of run %s.", context.dagster_run.run_id)
        return None

    return failed_runs


def message_of(context: dg.RunFailureSensorContext) -> dict[str, Any]:
    """The Slack message of a failed run: job, assets, reason, and a link if the UI's address is known."""
    run = context.dagster_run
    reason = _shortened(redact(reason_of(context)))
    named, failed = _listed(_assets(context)), _listed(_failed(context))
    base = environment.DAGSTER_URL.value.rstrip("/")
    link = f"{base}/runs/{run.run_id}" if base else ""
    facts = {
        "Job": "assets, by hand" if run.job_name.startswith("__") else run.job_name,
        "Run": f"<{link}|{run.run_id}>" if link else run.run_id,
        **({"Assets": named} if named else {}),
        **({"Failed": failed} if failed else {}),
        **({"Partitions": days} if (days := _partitions(run.tags)) else {}),
    }
    return {
        "text": f"Klaviyo run failed: {failed or run.job_name}: {_escaped(reason)}",
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": "Klaviyo run failed"}},
            {"type": "section", "text": {"type": "mrkdwn", "text": _escaped(reason)}},
            {
                "type": "section",
                "fields": [{"type": "mrkdwn", "text": f"*{name}*\n{value}"} for name, value in facts.items()],
            },
        ],
    }


def reason_of(context: dg.RunFailureSensorContext) -> str:
    """The reason of a failed run: the error of its first failed asset, or the check that stopped dependent assets."""
    for event in context.get_step_failure_events():
        failure = event.step_failure_data
        if failure.error is not None and failure.error.cls_name == "DagsterAssetCheckFailedError":
            return _blocked(context)
        if reason := reason_of_step(failure):
            return reason
    return context.failure_event.message or "No reason was given."


def _blocked(context: dg.RunFailureSensorContext) -> str:
    """The texts of the failed blocking checks."""
    logged = context.instance.all_logs(context.dagster_run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    found = [entry.get_dagster_event().asset_check_evaluation_data for entry in logged]
    return " ".join(
        f"{each.asset_key.to_user_string()}: {each.check_name} failed. {each.description or ''}".strip()
        for each in found
        if each.blocking and not each.passed and each.severity is dg.AssetCheckSeverity.ERROR
    )


def _assets(context: dg.RunFailureSensorContext) -> set[str]:
    """The assets that the run was to load."""
    planned = context.instance.all_logs(
        context.dagster_run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
    )
    keys = {entry.get_dagster_event().asset_key for entry in planned}
    return {key.to_user_string() for key in keys if key is not None}


def _failed(context: dg.RunFailureSensorContext) -> set[str]:
    """The failed steps: assets by their keys, checks by the name of their op."""
    steps = {event.step_key or "" for event in context.get_step_failure_events()}
    return {step.replace("__", "/") for step in steps if step}


def _listed(names: set[str]) -> str:
    shown = sorted(names)[:_MOST_NAMES]
    return _escaped(", ".join(shown)) + (f" and {len(names) - len(shown)} more" if len(names) > len(shown) else "")


def _partitions(tags: Mapping[str, str]) -> str:
    first, last = (tags.get(f"dagster/asset_partition_range_{end}") for end in ("start", "end"))
    return f"{first} to {last}" if first and last else tags.get("dagster/partition", "")


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_REASON else text[: _LONGEST_REASON - 1] + "…"


def _escaped(text: str) -> str:
    """Text with Slack's escapes, so that it contains no link or mention."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
