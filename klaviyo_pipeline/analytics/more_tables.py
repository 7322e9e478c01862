"""Analytics tables of data sources that not everybody loads: an asset each, if all of these are chosen."""

from __future__ import annotations

from collections.abc import Collection

from klaviyo_pipeline.analytics.steps import (
    CAMPAIGN_REPORTS,
    CONSENT_STATES,
    FLOW_NAMES,
    FLOW_REACTIONS,
    LIST_DAY_COUNTS,
    LIST_NAMES,
    ORDER_EVENTS,
    SEGMENT_DAY_COUNTS,
    SEGMENT_NAMES,
    SUPPRESSION_DAYS,
    Step,
)
from klaviyo_pipeline.analytics.tables import CAMPAIGN_PERFORMANCE, MONEY, TABLES, AnalyticsTable, results
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
        *results("flow", "one"),
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


def _sizes(noun: str, counts: Step, names: Step) -> AnalyticsTable:
    """The sizes of lists or segments by day."""
    return AnalyticsTable(
        name=f"{noun}_sizes",
        description=(
            f"How many profiles each {noun} has, by Klaviyo's own count, and how it grows. The last count of a day "
            f"stands for the day. A day on which no load counted the {noun} has no row.\n\n"
            f"```sql\nSELECT day, {noun}_name, profiles, change FROM klaviyo_analytics.{noun}_sizes\n"
            f"ORDER BY day, {noun}_name\n```"
        ),
        made_from=(counts.source, names.source),
        columns=(
            Column("day", "DATE", f"{_DAY} of the count"),
            Column(f"{noun}_id", "VARCHAR", f"The {noun}; joins {noun}s.id"),
            Column(f"{noun}_name", "VARCHAR", f"The {noun}'s current name"),
            Column("profiles", "BIGINT", f"Profiles in the {noun} at the last count of the day"),
            Column("previous_day", "DATE", "The last day before with a count; empty for the first count"),
            Column("change", "BIGINT", "Growth since previous_day, negative if it shrank; empty for the first count"),
        ),
        key=("day", f"{noun}_id"),
        chart=Counted(
            f"Profiles by {noun}",
            f"SELECT day, coalesce({noun}_name, {noun}_id) AS series, coalesce(change, profiles) AS amount "
            "FROM {table}",
            is_level=True,
            by_day=True,
        ),
        steps=(counts, names),
    )


LIST_SIZES = _sizes("list", LIST_DAY_COUNTS, LIST_NAMES)
SEGMENT_SIZES = _sizes("segment", SEGMENT_DAY_COUNTS, SEGMENT_NAMES)

SUPPRESSION_OVERVIEW = AnalyticsTable(
    name="suppression_overview",
    description=(
        "How many profiles are suppressed, for the account or for a list, and why, with a row for each day of a "
        "change. A profile counts once for each of its reasons. Klaviyo does not report when a profile was freed: "
        "it counts on the day of the full read that found it. A profile that is suppressed for the same reason again "
        "counts on its latest day only.\n\n"
        "```sql\nSELECT channel, scope, reason, sum(newly_suppressed - freed) AS suppressed_now\n"
        "FROM klaviyo_analytics.suppression_overview GROUP BY ALL ORDER BY suppressed_now DESC\n```"
    ),
    made_from=("suppressions",),
    columns=(
        Column("day", "DATE", f"{_DAY}; empty for suppressions without a time, which count before all others"),
        Column("channel", "VARCHAR", "email"),
        Column("scope", "VARCHAR", "global for the whole account, or the id of a list; joins lists.id"),
        Column("reason", "VARCHAR", "HARD_BOUNCE, INVALID_EMAIL, SPAM_COMPLAINT, UNSUBSCRIBE or USER_SUPPRESSED"),
        Column("newly_suppressed", "BIGINT", "Profiles whose suppression began"),
        Column("freed", "BIGINT", "Profiles that are suppressed no longer, by the day of the full read that found it"),
        Column("suppressed", "BIGINT", "Profiles that were suppressed at the end of the day"),
    ),
    key=("day", "channel", "scope", "reason"),
    chart=Counted(
        "Newly suppressed profiles per {step} by reason",
        "SELECT day, reason AS series, newly_suppressed AS amount FROM {table} WHERE day IS NOT NULL",
        by_day=True,
    ),
    steps=(SUPPRESSION_DAYS,),
)

MORE = {
    table.name: table
    for table in (
        FLOW_PERFORMANCE,
        CONSENT_OVERVIEW,
        CAMPAIGN_COMPARISON,
        LIST_SIZES,
        SEGMENT_SIZES,
        SUPPRESSION_OVERVIEW,
    )
}
ALL = {**TABLES, **MORE}


def tables_of(sources: Collection[str]) -> dict[str, AnalyticsTable]:
    """The analytics tables that are assets: the usual ones, and those of which all data sources are chosen."""
    return {**TABLES, **{name: table for name, table in MORE.items() if set(table.made_from) <= set(sources)}}
