"""The steps from loaded tables to analytics tables: narrow tables that are kept between builds.

A step *by day* has rows for each day of a loaded table, so a build computes only the days of changed rows. A *whole*
step is small, and each build computes it again.
The SQL stands in files of the same name under ``sql/``.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

from klaviyo_pipeline.warehouse.tables import LOADED_AT


@dataclass(frozen=True)
class Step:
    """A narrow table from a loaded one.

    Attributes:
        name: The step and its SQL file; a step by day has a column ``day``.
        source: The data source whose table it reads.
        by_day: Whether a build computes it day by day.
        touches: Columns whose values count as changed when a row with them comes or goes.
    """

    name: str
    source: str
    by_day: bool = False
    touches: tuple[str, ...] = ()

    @property
    def sql(self) -> str:
        """The query that gives its rows."""
        return sql_of(self.name)


@dataclass(frozen=True)
class Days:
    """The days of a loaded table's rows, and the columns that show a change of a day.

    Attributes:
        time: The column whose local day counts.
        witnesses: Every relevant change of a row changes at least one of them.
    """

    time: str
    witnesses: tuple[str, ...]


DAYS = {
    # Whatever writes an event gives it a new _loaded_at; an event that left a day is missing from its sum.
    "events": Days("datetime", ("datetime", LOADED_AT)),
    # Every update of a profile gives it a new _loaded_at, but only these two columns are read.
    "profiles": Days("created", ("id", "created")),
}

METRIC_DAYS = Step("metric_days", "events", by_day=True)
REACTIONS = Step("reactions", "events", by_day=True, touches=("message_id", "campaign_id"))
ORDER_EVENTS = Step("order_events", "events", by_day=True)
PROFILE_DAYS = Step("profile_days", "events", by_day=True, touches=("profile_id",))
PROFILE_ORDER_EVENTS = Step("order_events", "events", by_day=True, touches=("profile_id",))
PROFILES = Step("profile_births", "profiles", by_day=True, touches=("profile_id",))
METRIC_NAMES = Step("metric_names", "metrics")
CAMPAIGN_NAMES = Step("campaign_names", "campaigns")
CAMPAIGN_MESSAGES = Step("campaign_messages", "campaigns", touches=("message_id", "campaign_id"))
LIST_NAMES = Step("list_names", "lists")
FLOW_REACTIONS = Step("flow_reactions", "events", by_day=True, touches=("flow_id",))
FLOW_NAMES = Step("flow_names", "flows")
CONSENT_STATES = Step("consent_states", "consents")
CAMPAIGN_REPORTS = Step("campaign_reports", "campaign_values")
MEMBERSHIPS = Step("memberships", "list_profiles")
LIST_DAY_COUNTS = Step("list_day_counts", "list_counts")
SEGMENT_DAY_COUNTS = Step("segment_day_counts", "segment_counts")
SEGMENT_NAMES = Step("segment_names", "segments")
SUPPRESSION_DAYS = Step("suppression_days", "suppressions")


def sql_of(name: str) -> str:
    """The text of an SQL file."""
    return files(__package__).joinpath("sql", f"{name}.sql").read_text()
