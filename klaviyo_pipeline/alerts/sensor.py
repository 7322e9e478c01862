"""The sensor that looks for problems and tells people of them."""

from __future__ import annotations

from collections.abc import Callable, Collection

import dagster as dg

from klaviyo_pipeline import environment
from klaviyo_pipeline.alerts.problems import problems
from klaviyo_pipeline.alerts.telling import Memory, channels, tell
from klaviyo_pipeline.status import runs
from klaviyo_pipeline.status.gather import gather
from klaviyo_pipeline.status.scope import Scope
from klaviyo_pipeline.warehouse.errors import DatabaseBusyError

SENSOR = "alerts"
CHECK_EVERY_S = 60
_PATIENCE_S = 10.0
"""Dagster allows a sensor a minute. A load holds the database for moments."""


def alerts_sensor(
    name: str, scope: Callable[[], Scope], *, running: bool, own: Collection[dg.AssetKey] | None = None
) -> dg.SensorDefinition:
    """A sensor that sends a message when a problem begins, and one when it has ended. Its cursor is its memory.

    Args:
        name: Its name.
        scope: The loads that it looks at.
        running: Whether it is on from the start.
        own: The assets that it looks at; None: all of the code location.
    """

    @dg.sensor(
        name=name,
        minimum_interval_seconds=CHECK_EVERY_S,
        default_status=dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED,
        description="Sends a message when a problem begins and when it has ended: failed loads, stale tables, counts "
        "that differ from Klaviyo's, new attributes, a revision that ends, a spent quota. To the webhooks and by mail "
        "as the environment says.",
    )
    def alerts(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        to, memory = channels(), Memory.of(context.cursor)
        if not to:
            names = (environment.ALERT_WEBHOOK, environment.ALERT_JSON_WEBHOOK, environment.ALERT_MAIL_TO)
            return dg.SkipReason(f"No message is sent: set one of {', '.join(each.name for each in names)}.")
        repository = context.repository_def
        assert repository is not None
        try:
            failures = runs.failures(context.instance)
            about = scope().patient(_PATIENCE_S)
            status = gather(repository, context.instance, about, disk=False, failures=failures)
        except DatabaseBusyError as error:
            return dg.SkipReason(f"Nothing was looked at: {error}")
        found = problems(status, repository, context.instance, memory.keys, failures, own, about.revisions)
        delivered, failed = tell(memory, found, to)
        for sentence in delivered:
            context.log.info(sentence)
        for sentence in failed:
            context.log.error(sentence)
        context.update_cursor(memory.text())
        said = f"{len(found)} problems now; {len(delivered)} messages sent."
        return dg.SkipReason(" ".join([said, *failed]))

    return alerts
