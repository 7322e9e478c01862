"""The environment variables that configure the project, in one place."""

from __future__ import annotations

import os
from dataclasses import dataclass

from klaviyo_pipeline import redaction


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
redaction.watch(API_KEY.name)
BASE_URL = Variable("KLAVIYO_BASE_URL", "https://a.klaviyo.com", "Where Klaviyo's API is: Klaviyo, or a sandbox.")
REVISION = Variable("KLAVIYO_REVISION", "", "API revision, YYYY-MM-DD; blank for the project's default.")
DATABASE = Variable("KLAVIYO_DUCKDB_PATH", "data/klaviyo.duckdb", "The DuckDB file that tables are written to.")
SCHEMA = Variable("KLAVIYO_SCHEMA", "klaviyo", "The schema that tables are written to.")
TIMEZONE = Variable("KLAVIYO_TIMEZONE", "UTC", "Storage time zone: bounds of days, and times given without an offset.")
PARTITION_START = Variable("KLAVIYO_PARTITION_START", "2024-01-01", "First day partition, YYYY-MM-DD.")
STAGING_DIR = Variable(
    "KLAVIYO_STAGING_DIR",
    "",
    "Folder in which klaviyo-staging is made, for fetched pages before they land; blank for one beside the database.",
)
PROGRESS = Variable("KLAVIYO_PROGRESS", "", "Set to bar for a progress bar on a terminal, beside the log.")
TRANSFERS = Variable("KLAVIYO_TRANSFERS_DIR", "transfers", "Folder with a YAML file for each transfer.")
AUTOMATION = Variable(
    "KLAVIYO_AUTOMATION", "off", "on: schedules, sensors and automation conditions are on from the start."
)
ALERT_WEBHOOK = Variable(
    "KLAVIYO_ALERT_WEBHOOK", "", "Address that failed runs are posted to, in Slack's form. A secret; blank for none."
)
redaction.watch(ALERT_WEBHOOK.name, redaction.ADDRESS)
ALLOW_HTTP = Variable(
    "KLAVIYO_ALLOW_HTTP",
    "",
    "1: keys may go to http addresses of other machines, in clear. For a trusted network.",
)
PREVIEW_COLUMNS = Variable(
    "KLAVIYO_PREVIEW_COLUMNS",
    "impersonal",
    "Columns whose values Dagster's records may hold (first rows, examples in checks): impersonal, or all.",
)
DAGSTER_URL = Variable("KLAVIYO_DAGSTER_URL", "", "Address of Dagster's UI, for links to runs in messages.")

VARIABLES = (
    *(API_KEY, BASE_URL, REVISION, DATABASE, SCHEMA, TIMEZONE, PARTITION_START, STAGING_DIR, PROGRESS, TRANSFERS),
    *(AUTOMATION, ALERT_WEBHOOK, ALLOW_HTTP, PREVIEW_COLUMNS, DAGSTER_URL),
)


def allow_http() -> bool:
    """Whether a key may leave this machine over http."""
    return ALLOW_HTTP.value.lower() in {"1", "true", "on", "yes"}
