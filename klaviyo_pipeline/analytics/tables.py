"""The analytics tables: their columns, sources and charts.

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
    """An analytics table.

    Attributes:
        name: The table, the asset and the SQL file.
        description: Its purpose, in Markdown.
        made_from: The data sources whose tables it reads.
        columns: Its columns, in order.
        key: The columns that tell rows apart.
        chart: Its chart; ``{table}`` in the query stands for the table.
        steps: The steps that the query reads.
        part: An SQL file whose rows are kept too. A build computes those of touched keys in ``part_key``.
        part_key: The key of touched rows, in the part or else in the table. None: the query is cheap, and each build
            computes all rows.
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
        "Events, people and values for each day and metric. Refunds and cancellations are negative.\n\n"
        "```sql\nSELECT day, sum(value) AS net_revenue FROM klaviyo_analytics.daily_metrics\n"
        "WHERE metric_name IN ('Placed Order', 'Refunded Order', 'Cancelled Order') GROUP BY day ORDER BY day\n```"
    ),
    made_from=("events", "metrics"),
    columns=(
        Column("day", "DATE", _DAY),
        Column("metric_id", "VARCHAR", "The metric; empty for events whose metric is deleted"),
        Column("metric_name", "VARCHAR", "The metric's current name; two integrations may use the same name"),
        Column("integration_name", "VARCHAR", "Where the events come from"),
        Column("events", "BIGINT", "Number of events"),
        Column("unique_profiles", "BIGINT", "Number of people; a person counts once for each day and metric"),
        Column("value", MONEY, "Sum of the events' $value, refunds and cancellations negative; empty without values"),
        Column(
            UNREADABLE,
            "BIGINT",
            "Events whose $value is not an amount, or has two meanings (1,234): not in value",
        ),
    ),
    key=("day", "metric_id"),
    chart=Counted(
        "Events per {step} by metric",
        "SELECT day, metric_name AS series, events AS amount FROM {table}",
        by_day=True,
    ),
    steps=(METRIC_DAYS, METRIC_NAMES),
)


def results(noun: str, received: str) -> tuple[Column, ...]:
    """What came of a campaign or a flow, of whose messages a person received ``it`` or ``one``."""
    return (
        Column("received", "BIGINT", "Messages that arrived"),
        Column("recipients", "BIGINT", f"People who received {received}, counted on their first day"),
        Column("bounced", "BIGINT", "Messages that did not arrive"),
        Column("opens", "BIGINT", "Opens, including Apple's privacy opens"),
        Column("unique_opens", "BIGINT", f"People who opened {received}, counted on their first day"),
        Column("clicks", "BIGINT", "Clicks"),
        Column("unique_clicks", "BIGINT", "People who clicked, counted on their first day"),
        Column("unsubscribed", "BIGINT", f"Unsubscriptions from this {noun}"),
        Column("marked_as_spam", "BIGINT", "Complaints"),
        Column("orders", "BIGINT", "Orders that Klaviyo attributes to it"),
        Column("revenue", MONEY, "Sum of the values of these orders"),
        Column(
            "refunded",
            MONEY,
            "Sum of later refunds and cancellations of these orders, negative, on the day of the order",
        ),
        Column("net_revenue", MONEY, "revenue plus refunded"),
    )


CAMPAIGN_PERFORMANCE = AnalyticsTable(
    name="campaign_performance",
    description=(
        "The results of each campaign, one row for each day with a result. All numbers add up: use `send_day` for the "
        "whole result of a campaign, and `event_day` for the results of a day. Only a person's first open of a "
        "campaign is a unique open, so unique opens add up too. Orders are those that Klaviyo attributes to it.\n\n"
        "```sql\nSELECT send_day, campaign_name, sum(recipients) AS recipients,\n"
        "       round(sum(unique_opens) / nullif(sum(recipients), 0), 3) AS open_rate,\n"
        "       sum(orders) AS orders, sum(net_revenue) AS net_revenue\n"
        "FROM klaviyo_analytics.campaign_performance GROUP BY ALL ORDER BY send_day DESC\n```"
    ),
    made_from=("events", "metrics", "campaigns"),
    columns=(
        Column("campaign_id", "VARCHAR", "The campaign; joins campaigns.id"),
        Column("event_day", "DATE", f"{_DAY} of the event"),
        Column("send_day", "DATE", f"{_DAY} when the campaign was sent"),
        Column("campaign_name", "VARCHAR", "The campaign's name"),
        Column("channel", "VARCHAR", "email, sms or mobile_push"),
        *results("campaign", "it"),
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
        "Joins, leaves and members of each list, by day. Klaviyo reports when a person last joined a list, but not "
        "when a person left. A person left on the day when a full read did not find them.\n\n"
        "```sql\nSELECT day, list_name, members FROM klaviyo_analytics.list_growth ORDER BY day, list_name\n```"
    ),
    made_from=("list_profiles", "lists"),
    columns=(
        Column("day", "DATE", f"{_DAY}; every day from the list's first member on"),
        Column("list_id", "VARCHAR", "The list; joins lists.id"),
        Column("list_name", "VARCHAR", "The list's current name"),
        Column("joined", "BIGINT", "People who joined"),
        Column("gone", "BIGINT", "People who left, by the day of the full read that found it"),
        Column("net", "BIGINT", "joined minus gone"),
        Column("members", "BIGINT", "People on the list at the end of the day"),
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
        "One row for each profile: first and last event, last open, click and order, number of orders, and their value "
        "minus refunds. Names and addresses are only in `profiles`.\n\n"
        "```sql\nSELECT profile_id, orders, lifetime_value FROM klaviyo_analytics.profile_activity\n"
        "ORDER BY lifetime_value DESC LIMIT 20\n```"
    ),
    made_from=("events", "metrics", "profiles"),
    columns=(
        Column("profile_id", "VARCHAR", "The profile; joins profiles.id"),
        Column("created_at", "TIMESTAMPTZ", "When the profile was created; empty if it is not loaded"),
        Column("first_event_at", "TIMESTAMPTZ", "First event"),
        Column("last_event_at", "TIMESTAMPTZ", "Last event"),
        Column("events", "BIGINT", "Number of events"),
        Column("active_days", "BIGINT", "Number of days with an event, in the account's time zone"),
        Column("last_received_at", "TIMESTAMPTZ", "Last message received"),
        Column("last_opened_at", "TIMESTAMPTZ", "Last open"),
        Column("last_clicked_at", "TIMESTAMPTZ", "Last click"),
        Column("first_order_at", "TIMESTAMPTZ", "First order"),
        Column("last_order_at", "TIMESTAMPTZ", "Last order"),
        Column("orders", "BIGINT", "Number of orders"),
        Column("ordered_value", MONEY, "Sum of the values of the orders"),
        Column("refunded_value", MONEY, "Sum of refunds and cancellations, negative"),
        Column("lifetime_value", MONEY, "ordered_value plus refunded_value"),
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
