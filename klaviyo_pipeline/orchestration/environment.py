"""The environment variables that configure the project, in one place."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

from klaviyo_pipeline.klaviyo.errors import ConfigurationError


@dataclass(frozen=True)
class Variable:
    """An environment variable, what it is for, and what holds without it."""

    name: str
    default: str
    description: str

    @property
    def value(self) -> str:
        """The variable's value, or the default where it is unset or blank."""
        return os.environ.get(self.name, "").strip() or self.default


API_KEY = Variable("KLAVIYO_API_KEY", "", "Private API key of the Klaviyo account.")
BASE_URL = Variable("KLAVIYO_BASE_URL", "https://a.klaviyo.com", "Where Klaviyo's API is: Klaviyo, or a sandbox.")
REVISION = Variable("KLAVIYO_REVISION", "", "API revision, YYYY-MM-DD; blank for the project's default.")
DATABASE = Variable("KLAVIYO_DUCKDB_PATH", "data/klaviyo.duckdb", "The DuckDB file that tables are written to.")
SCHEMA = Variable("KLAVIYO_SCHEMA", "klaviyo", "The schema that tables are written to.")
TIMEZONE = Variable("KLAVIYO_TIMEZONE", "UTC", "Storage time zone: bounds of days, and times given without an offset.")
PARTITION_START = Variable("KLAVIYO_PARTITION_START", "2024-01-01", "First day partition, YYYY-MM-DD.")
STAGING_DIR = Variable(
    "KLAVIYO_STAGING_DIR", "", "Folder for fetched pages before they land; blank for one beside the database."
)
SHRINK_SHARE = Variable(
    "KLAVIYO_SHRINK_SHARE",
    "0.2",
    "A whole read that would take away more than this share of the rows fails without consent; from 0 to 1.",
)
SHRINK_ROWS = Variable(
    "KLAVIYO_SHRINK_ROWS", "10", "So many rows may go whatever their share, but not all; from 0 to 1000000000."
)
PROGRESS = Variable("KLAVIYO_PROGRESS", "", "Set to bar for a progress bar on a terminal, beside the log.")
TRANSFERS = Variable("KLAVIYO_TRANSFERS_DIR", "transfers", "Folder with a YAML file for each transfer.")
AUTOMATION = Variable(
    "KLAVIYO_AUTOMATION", "off", "on: schedules, sensors and automation conditions are on from the start."
)
ALERT_WEBHOOK = Variable(
    "KLAVIYO_ALERT_WEBHOOK", "", "Address that failed runs are posted to, in Slack's form. A secret; blank for none."
)
DAGSTER_URL = Variable("KLAVIYO_DAGSTER_URL", "", "Address of Dagster's UI, for links to runs in messages.")

VARIABLES = (
    *(API_KEY, BASE_URL, REVISION, DATABASE, SCHEMA, TIMEZONE, PARTITION_START, STAGING_DIR, PROGRESS, TRANSFERS),
    *(SHRINK_SHARE, SHRINK_ROWS, AUTOMATION, ALERT_WEBHOOK, DAGSTER_URL),
)


def number(variable: Variable, low: float, high: float, *, whole: bool = False) -> float:
    """A variable's value as a number.

    Raises:
        ConfigurationError: if it is no number from ``low`` to ``high``.
    """
    try:
        value = float(variable.value)
    except ValueError:
        value = math.nan
    if not low <= value <= high or (whole and value != int(value)):
        kind = "whole number" if whole else "number"
        raise ConfigurationError(f"{variable.name} is {variable.value!r}, but must be a {kind} from {low} to {high}.")
    return value
