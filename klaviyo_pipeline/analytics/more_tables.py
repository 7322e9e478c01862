"""Analytics tables of data sources that not everybody loads: an asset each, if all of these are chosen."""

from __future__ import annotations

from collections.abc import Collection

from klaviyo_pipeline.analytics.steps import (
    CAMPAIGN_REPORTS,
    CONSENT_STATES,
    FLOW_NAMES,
    FLOW_REACTIONS,
    ORDER_EVENTS,
)
from klaviyo_pipeline.analytics.tables import CAMPAIGN_PERFORMANCE, MONEY, TABLES, AnalyticsTable
from klaviyo_pipeline.charts.counting import Counted
from klaviyo_pipeline.warehouse.tables import Column

_DAY = "Day in the account's time zone"

FLOW_PERFORMANCE = AnalyticsTable(
    name="flow_performance",
    description=(
        "The results of each flow, one row for each day with a result. All numbers add up. Only a person's first open "
        "of a flow is a unique open, so unique opens add up too. Orders are those that Klaviyo attributes to it.\n\n"
        "```sql\nSELECT flow_name, sum(recipients) AS recipients, sum(net_revenue) AS net_revenue\n"
        "FROM klaviyo_analytics.flow_performance GROUP BY ALL ORDER BY net_revenue DESC\n```"
    ),
    made_from=("events", "metrics", "flows"),
    columns=(
        Column("flow_id", "VARCHAR", "The flow; joins flows.id"),
        Column("event_day", "DATE", f"{_DAY} of the event"),
        Column("flow_name", "VARCHAR", "The flow's current name; empty for a deleted flow that was never loaded"),
        Column("status", "VARCHAR", "live, manual or draft, as of the last load"),
        Column("received", "BIGINT", "Messages that arrived"),
        Column("recipients", "BIGINT", "People who received one, counted on their first day"),
        Column("bounced", "BIGINT", "Messages that did not arrive"),
        Column("opens", "BIGINT", "Opens, including Apple's privacy opens"),
        Column("unique_opens", "BIGINT", "People who opened one, counted on their first day"),
        Column("clicks", "BIGINT", "Clicks"),
        Column("unique_clicks", "BIGINT", "People who clicked, counted on their first day"),
        Column("unsubscribed", "BIGINT", "Unsubscriptions from this flow"),
        Column("marked_as_spam", "BIGINT", "Complaints"),
        Column("orders", "BIGINT", "Orders that Klaviyo attributes to it"),
        Column("revenue", MONEY, "Sum of the values of these orders"),
        Column(
            "refunded",
            MONEY,
            "Sum of later refunds and cancellations of these orders, negative, on the day of the order",
        ),
        Column("net_revenue", MONEY, "revenue plus refunded"),
    ),
    key=("flow_id", "event_day"),
    chart=Counted(
        "Messages received per {step} by flow",
        "SELECT event_day AS day, coalesce(flow_name, flow_id) AS series, received AS amount FROM {table}",
        by_day=True,
    ),
    steps=(FLOW_REACTIONS, ORDER_EVENTS, FLOW_NAMES),
    part="flow_results",
    part_key="flow_id",
    views=("orders",),
)

CONSENT_OVERVIEW = AnalyticsTable(
    name="consent_overview",
    description=(
        "How many people gave which consent on which channel, and how many of them Klaviyo can reach.\n\n"
        "```sql\nSELECT channel, sum(reachable) FROM klaviyo_analytics.consent_overview\n"
        "WHERE kind = 'marketing' GROUP BY channel\n```"
    ),
    made_from=("consents",),
    columns=(
        Column("channel", "VARCHAR", "email, sms, mobile_push or whatsapp"),
        Column("kind", "VARCHAR", "marketing, transactional and others"),
        Column("consent", "VARCHAR", "SUBSCRIBED, UNSUBSCRIBED, NEVER_SUBSCRIBED; unknown where Klaviyo does not say"),
        Column("people", "BIGINT", "Number of people"),
        Column("reachable", "BIGINT", "People who can receive messages, so who are not suppressed either"),
        Column("last_updated", "TIMESTAMPTZ", "When one of these consents changed last"),
    ),
    key=("channel", "kind", "consent"),
    chart=Counted(
        "People by the {step} of the last change of a consent of their kind",
        "SELECT last_updated AS instant, channel || ' ' || kind AS series, people AS amount FROM {table} "
        "WHERE last_updated IS NOT NULL",
    ),
    steps=(CONSENT_STATES,),
)

CAMPAIGN_COMPARISON = AnalyticsTable(
    name="campaign_comparison",
    description=(
        "Our counts of each campaign beside those of Klaviyo's campaign report. They differ where the report counts "
        "otherwise: it has conversions of one metric, within the account's attribution windows. A report that has not "
        "landed for a campaign leaves its columns empty.\n\n"
        "```sql\nSELECT campaign_name, recipients, reported_recipients FROM klaviyo_analytics.campaign_comparison\n"
        "WHERE recipients <> reported_recipients\n```"
    ),
    made_from=("events", "metrics", "campaigns", "campaign_values"),
    columns=(
        Column("campaign_id", "VARCHAR", "The campaign; joins campaigns.id"),
        Column("campaign_name", "VARCHAR", "The campaign's name"),
        Column("send_day", "DATE", f"{_DAY} when the campaign was sent"),
        *(
            column
            for name, kind, ours, theirs in (
                ("recipients", "BIGINT", "People who received it", "delivered"),
                ("unique_opens", "BIGINT", "People who opened it", "opens_unique"),
                ("unique_clicks", "BIGINT", "People who clicked", "clicks_unique"),
                ("unsubscribed", "BIGINT", "Unsubscriptions from it", "unsubscribe_uniques"),
                ("orders", "BIGINT", "Orders that Klaviyo attributes to it", "conversions"),
                ("revenue", MONEY, "Sum of the values of these orders", "conversion_value"),
            )
            for column in (
                Column(name, kind, f"{ours}, by the events"),
                Column(f"reported_{name}", kind, f"The same in Klaviyo's report: {theirs}"),
            )
        ),
    ),
    key=("campaign_id",),
    chart=Counted(
        "People that campaigns reached, per {step} of sending",
        "SELECT send_day AS day, unnest(['by events', 'by Klaviyo''s report']) AS series, "
        "unnest([recipients, coalesce(reported_recipients, 0)]) AS amount FROM {table} WHERE send_day IS NOT NULL",
        by_day=True,
    ),
    steps=(*CAMPAIGN_PERFORMANCE.steps, CAMPAIGN_REPORTS),
    part=CAMPAIGN_PERFORMANCE.part,
    part_key=CAMPAIGN_PERFORMANCE.part_key,
    views=(*CAMPAIGN_PERFORMANCE.views, "campaign_performance"),
)

MORE = {table.name: table for table in (FLOW_PERFORMANCE, CONSENT_OVERVIEW, CAMPAIGN_COMPARISON)}
ALL = {**TABLES, **MORE}


def tables_of(sources: Collection[str]) -> dict[str, AnalyticsTable]:
    """The analytics tables that are assets: the usual ones, and those of which all data sources are chosen."""
    return {**TABLES, **{name: table for name, table in MORE.items() if set(table.made_from) <= set(sources)}}
