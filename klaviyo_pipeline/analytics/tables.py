"""The tables that analytics make: what is in them, what they are made from, and what is drawn of them.

The SQL stands in files of the same name under ``sql/``.
"""

from __future__ import annotations

from dataclasses import dataclass

from klaviyo_pipeline.analytics.steps import (
    CAMPAIGN_MESSAGES,
    CAMPAIGN_NAMES,
    LIST_NAMES,
    MEMBERSHIPS,
    METRIC_DAYS,
    METRIC_NAMES,
    ORDER_EVENTS,
    PROFILE_DAYS,
    PROFILE_ORDER_EVENTS,
    PROFILES,
    REACTIONS,
    Step,
    sql_of,
)
from klaviyo_pipeline.charts.counting import Counted
from klaviyo_pipeline.warehouse.tables import Column

MONEY = "DECIMAL(38,4)"
UNREADABLE = "unreadable_values"
_DAY = "Day in the account's time zone"


@dataclass(frozen=True)
class AnalyticsTable:
    """A table made by SQL.

    Attributes:
        name: The table, the asset and the SQL file.
        description: What it is for, in Markdown.
        made_from: The data sources whose tables it reads.
        columns: Its columns, in order.
        key: The columns that tell rows apart.
        chart: What is drawn of it; ``{table}`` in the query stands for it.
        steps: What is kept of the loaded tables; the query reads these.
        part: An SQL file whose rows are kept too, and made anew for the keys in ``part_key`` that were touched.
        part_key: The column of the part, or without one of the table itself, by which touched rows are made anew.
            None: the query is cheap, and makes all rows each time.
        views: SQL files that the query reads as views.
    """

    name: str
    description: str
    made_from: tuple[str, ...]
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    chart: Counted
    steps: tuple[Step, ...]
    part: str | None = None
    part_key: str | None = None
    views: tuple[str, ...] = ()

    @property
    def sql(self) -> str:
        """The query that gives its rows."""
        return sql_of(self.name)

    @property
    def files(self) -> tuple[str, ...]:
        """Its SQL files, in the order in which one reads the other."""
        part = (self.part,) if self.part else ()
        return (*(step.name for step in self.steps), *self.views, *part, self.name)


DAILY_METRICS = AnalyticsTable(
    name="daily_metrics",
    description=(
        "Events per day and metric: how many, of how many people, and what their values come to. Refunds and "
        "cancellations are negative.\n\n"
        "```sql\nSELECT day, sum(value) AS net_revenue FROM klaviyo_analytics.daily_metrics\n"
        "WHERE metric_name IN ('Placed Order', 'Refunded Order', 'Cancelled Order') GROUP BY day ORDER BY day\n```"
    ),
    made_from=("events", "metrics"),
    columns=(
        Column("day", "DATE", _DAY),
        Column("metric_id", "VARCHAR", "The metric; empty for events whose metric is no more"),
        Column("metric_name", "VARCHAR", "The metric's name now; two integrations may use the same one"),
        Column("integration_name", "VARCHAR", "Where the events come from"),
        Column("events", "BIGINT", "How many events"),
        Column("unique_profiles", "BIGINT", "Of how many people; a person counts once a day and metric"),
        Column("value", MONEY, "Sum of the events' $value, refunds and cancellations negative; empty without values"),
        Column(UNREADABLE, "BIGINT", "Events whose $value is no amount, or has two readings (1,234): not in value"),
    ),
    key=("day", "metric_id"),
    chart=Counted(
        "Events per {step} by metric",
        "SELECT day, metric_name AS series, events AS amount FROM {table}",
        by_day=True,
    ),
    steps=(METRIC_DAYS, METRIC_NAMES),
)

CAMPAIGN_PERFORMANCE = AnalyticsTable(
    name="campaign_performance",
    description=(
        "What came of each campaign, a row for each day on which something did. All numbers add up: by `send_day` "
        "for what a campaign brought in all, by `event_day` for what happened on a day. A person's first open of a "
        "campaign is its unique open, so those add up too. Orders are those that Klaviyo attributes to it.\n\n"
        "```sql\nSELECT send_day, campaign_name, sum(recipients) AS recipients,\n"
        "       round(sum(unique_opens) / nullif(sum(recipients), 0), 3) AS open_rate,\n"
        "       sum(orders) AS orders, sum(net_revenue) AS net_revenue\n"
        "FROM klaviyo_analytics.campaign_performance GROUP BY ALL ORDER BY send_day DESC\n```"
    ),
    made_from=("events", "metrics", "campaigns"),
    columns=(
        Column("campaign_id", "VARCHAR", "The campaign; joins campaigns.id"),
        Column("event_day", "DATE", f"{_DAY} on which it happened"),
        Column("send_day", "DATE", f"{_DAY} on which the campaign was sent"),
        Column("campaign_name", "VARCHAR", "The campaign's name"),
        Column("channel", "VARCHAR", "email, sms or mobile_push"),
        Column("received", "BIGINT", "Messages that arrived"),
        Column("recipients", "BIGINT", "People who received it, each on the first day"),
        Column("bounced", "BIGINT", "Messages that did not arrive"),
        Column("opens", "BIGINT", "Opens, Apple's privacy opens among them"),
        Column("unique_opens", "BIGINT", "People who opened it, each on the first day"),
        Column("clicks", "BIGINT", "Clicks"),
        Column("unique_clicks", "BIGINT", "People who clicked, each on the first day"),
        Column("unsubscribed", "BIGINT", "Unsubscriptions by this campaign"),
        Column("marked_as_spam", "BIGINT", "Complaints"),
        Column("orders", "BIGINT", "Orders that Klaviyo attributes to it"),
        Column("revenue", MONEY, "What these orders came to"),
        Column("refunded", MONEY, "What was refunded or cancelled of them later, negative, on the order's day"),
        Column("net_revenue", MONEY, "revenue and refunded together"),
    ),
    key=("campaign_id", "event_day"),
    chart=Counted(
        "People that campaigns reached, per {step} of sending, by what they did",
        "SELECT send_day AS day, unnest(['clicked', 'opened', 'only received']) AS series, "
        "unnest([clicked, greatest(opened - clicked, 0), greatest(reached - greatest(opened, clicked), 0)]) AS amount "
        "FROM (SELECT send_day, sum(recipients) AS reached, sum(unique_opens) AS opened, sum(unique_clicks) AS clicked "
        "FROM {table} WHERE send_day IS NOT NULL GROUP BY campaign_id, send_day)",
        by_day=True,
    ),
    steps=(REACTIONS, ORDER_EVENTS, CAMPAIGN_NAMES, CAMPAIGN_MESSAGES),
    part="campaign_reactions",
    part_key="campaign_id",
    views=("orders",),
)

LIST_GROWTH = AnalyticsTable(
    name="list_growth",
    description=(
        "Who joined and left each list, by day, and how many were on it in the end. Klaviyo tells when a person joined "
        "(again: then the first time is no longer known), but not when one left: that is the day on which a full read "
        "found them gone.\n\n"
        "```sql\nSELECT day, list_name, members FROM klaviyo_analytics.list_growth ORDER BY day, list_name\n```"
    ),
    made_from=("list_profiles", "lists"),
    columns=(
        Column("day", "DATE", f"{_DAY}; none is left out from a list's first member on"),
        Column("list_id", "VARCHAR", "The list; joins lists.id"),
        Column("list_name", "VARCHAR", "The list's name now"),
        Column("joined", "BIGINT", "People who joined"),
        Column("gone", "BIGINT", "People who were found to have left"),
        Column("net", "BIGINT", "joined less gone"),
        Column("members", "BIGINT", "People on the list at the day's end"),
    ),
    key=("day", "list_id"),
    chart=Counted(
        "Members by list",
        "SELECT day, list_name AS series, net AS amount FROM {table}",
        is_level=True,
        by_day=True,
    ),
    steps=(MEMBERSHIPS, LIST_NAMES),
)

PROFILE_ACTIVITY = AnalyticsTable(
    name="profile_activity",
    description=(
        "One row a profile: first and last seen, last open, click and order, how many orders, and what they came to "
        "less what was taken back. Names and addresses stay in `profiles`.\n\n"
        "```sql\nSELECT profile_id, orders, lifetime_value FROM klaviyo_analytics.profile_activity\n"
        "ORDER BY lifetime_value DESC LIMIT 20\n```"
    ),
    made_from=("events", "metrics", "profiles"),
    columns=(
        Column("profile_id", "VARCHAR", "The profile; joins profiles.id"),
        Column("created_at", "TIMESTAMPTZ", "When the profile was created; empty for one that was not loaded"),
        Column("first_event_at", "TIMESTAMPTZ", "First event"),
        Column("last_event_at", "TIMESTAMPTZ", "Last event"),
        Column("events", "BIGINT", "How many events"),
        Column("active_days", "BIGINT", "On how many days, in the account's time zone"),
        Column("last_received_at", "TIMESTAMPTZ", "Last message received"),
        Column("last_opened_at", "TIMESTAMPTZ", "Last open"),
        Column("last_clicked_at", "TIMESTAMPTZ", "Last click"),
        Column("first_order_at", "TIMESTAMPTZ", "First order"),
        Column("last_order_at", "TIMESTAMPTZ", "Last order"),
        Column("orders", "BIGINT", "How many orders"),
        Column("ordered_value", MONEY, "What the orders came to"),
        Column("refunded_value", MONEY, "What was refunded or cancelled of them, negative"),
        Column("lifetime_value", MONEY, "ordered_value and refunded_value together"),
    ),
    key=("profile_id",),
    chart=Counted(
        "Profiles by the {step} in which they were last seen",
        "SELECT last_event_at AS instant, if(orders > 0, 'has ordered', 'has not ordered') AS series, 1 AS amount "
        "FROM {table} WHERE last_event_at IS NOT NULL",
    ),
    steps=(PROFILE_DAYS, PROFILE_ORDER_EVENTS, PROFILES),
    part_key="profile_id",
    views=("orders",),
)

TABLES = {table.name: table for table in (DAILY_METRICS, CAMPAIGN_PERFORMANCE, LIST_GROWTH, PROFILE_ACTIVITY)}
