"""What a report declares: what is asked of it, how far one request reaches, and which quota it spends."""

from __future__ import annotations

from dataclasses import dataclass

from klaviyo_pipeline.klaviyo.catalogue.columns import Since, since


@dataclass(frozen=True)
class Quota:
    """Requests that Klaviyo allows an account in 24 hours, for several endpoints together.

    Attributes:
        name: The quota's name in the database.
        a_day: So many requests are sent in any 24 hours.
        reserve: Loads of history leave so many of them to the loads of recent days.
    """

    name: str
    a_day: int
    reserve: int = 0


@dataclass(frozen=True)
class Report:
    """A data source whose rows Klaviyo computes: a POST that names statistics, groups and days.

    Attributes:
        of: The data source that the report is about.
        statistics: What is counted.
        grain: The columns that together tell one row from another; their values make its id.
        groups: The groups to ask for (``group_by``); empty where Klaviyo's own are right.
        interval: ``daily`` for one row a day; None for one row a window.
        longest_days: So many days one request may span.
        overlap_days: Days that a request shares with the one before it, where a group may lie in both.
        history_days: How far back the first load begins, today included.
        windows: Klaviyo's names of windows, such as ``last_7_days``, read as they are on the day of the load. A report
            that has them takes no window of its own.
        cursor_in_body: Whether the cursor of a next page belongs into the body; otherwise the next link has it.
        role: The role (in mapped_metrics) of the metric to ask about, unless a load names others; blank: each metric.
        quota: The quota that its requests spend.
        dimensions: What rows can be divided by, if a person wants that.
        by: The dimensions that rows are divided by; empty for one row a day.
    """

    of: str
    statistics: Since[tuple[str, ...]]
    grain: tuple[str, ...]
    groups: Since[tuple[str, ...]] = (("", ()),)
    interval: str | None = None
    longest_days: int = 365
    overlap_days: int = 0
    history_days: int = 365
    windows: tuple[str, ...] = ()
    cursor_in_body: bool = False
    role: str = ""
    quota: Quota | None = None
    dimensions: tuple[str, ...] = ()
    by: tuple[str, ...] = ()

    def statistics_in(self, revision: str) -> tuple[str, ...]:
        """The statistics that a revision has."""
        return since(self.statistics, revision)

    def groups_in(self, revision: str) -> tuple[str, ...]:
        """The groups to ask for in a revision."""
        return since(self.groups, revision)
