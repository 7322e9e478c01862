"""The console output of runs: one line for each important step, and the reason of a failure first and once."""

from __future__ import annotations

import logging
from typing import Any

import dagster as dg

from klaviyo_pipeline.orchestration.failures import reason_of_step
from klaviyo_pipeline.orchestration.skipping import SKIPPED_LOAD

_LEVELS = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


class _OneLine(logging.Formatter):
    """The time in UTC and the message. Dagster's own format repeats job, run and step on each line.

    A failure with a sentence of this project has no traceback. Another error has the traceback of its step; Dagster's
    second one for the run is left out.
    """

    def format(self, record: logging.LogRecord) -> str:
        meta: dict[str, Any] = getattr(record, "dagster_meta", None) or {}
        message = str(meta.get("orig_message") or record.getMessage())
        event = meta.get("dagster_event")
        if event is not None and event.is_step_failure and event.step_failure_data.user_failure_data is not None:
            message = f"{event.step_key}: {reason_of_step(event.step_failure_data)}"
        elif event is not None and event.is_failure and not event.is_step_failure:
            message = message.splitlines()[0]
        level = "" if record.levelno < logging.WARNING else f"{record.levelname}: "
        return f"{self.formatTime(record, '%H:%M:%S')} {level}{message}"


def _is_no_consequence(record: logging.LogRecord) -> bool:
    """Leaves out Dagster's lines about steps that do not run because another one failed."""
    meta: dict[str, Any] = getattr(record, "dagster_meta", None) or {}
    return not str(meta.get("orig_message")).startswith("Dependencies for step ")


def _is_no_outcome(record: logging.LogRecord) -> bool:
    """Leaves out failures and skipped loads."""
    meta: dict[str, Any] = getattr(record, "dagster_meta", None) or {}
    event = meta.get("dagster_event")
    return not (event is not None and event.is_failure) and not str(meta.get("orig_message")).startswith(SKIPPED_LOAD)


@dg.logger(
    config_schema={
        "log_level": dg.Field(
            dg.Enum("LogLevel", [dg.EnumValue(level) for level in _LEVELS]),
            default_value="INFO",
            description="The lowest level to print.",
        ),
        "outcomes": dg.Field(
            bool,
            default_value=True,
            description="Off: prints no failures and no skipped loads, because the command prints them.",
        ),
    },
    description="Prints each message as one line on standard error, and the reason of a failure without a traceback.",
)
def console(context: dg.InitLoggerContext) -> logging.Logger:
    """The logger of all runs."""
    made = logging.Logger("klaviyo_pipeline", level=logging.getLevelName(context.logger_config["log_level"]))
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine())
    handler.addFilter(_is_no_consequence)
    if not context.logger_config["outcomes"]:
        handler.addFilter(_is_no_outcome)
    made.addHandler(handler)
    return made
