"""Reports: numbers that Klaviyo computes, per campaign message, flow message, form, segment or metric.

Reports on campaigns and flows count by the date a message was sent: its later opens and orders belong to that day. So
the numbers of a day change for as long as a conversion window lasts, five days by default, and each load reads the
recent days again. All dates are those of the account's time zone.

Limits, statistics and groups: OpenAPI 2025-01-15 and 2026-07-15. Klaviyo does not say whether the seven reports share
one daily quota; here they do, which is right under both readings.
"""

from __future__ import annotations

from klaviyo_pipeline.klaviyo.catalogue.columns import Column, ColumnType
from klaviyo_pipeline.klaviyo.catalogue.declaring import FLOAT, STRING, key, required
from klaviyo_pipeline.klaviyo.catalogue.model import DOC, SMALL, FanOut, Source, Tier
from klaviyo_pipeline.klaviyo.catalogue.reporting import Quota, Report

REPORTS_TIER = Tier(1, 2, 225)
QUOTA = Quota("reports", 225, reserve=22)
SERIES_DAYS = 60
RESTATED_DAYS = 57
"""With today and two days that a schedule may skip, one request for a series reads them again."""

_TEXT_MESSAGES = {
    "message_segment_count_sum": "Segments of text messages.",
    "text_message_credit_usage_amount": "Credits that text messages used.",
    "text_message_roi": "Return on the spend for text messages.",
    "text_message_spend": "Spend for text messages.",
}
_MESSAGES = {
    "average_order_value": "Conversion value by conversion.",
    "bounce_rate": "Bounced by recipients.",
    "bounced": "Messages that bounced.",
    "bounced_or_failed": "Messages that bounced or failed.",
    "bounced_or_failed_rate": "Bounced or failed by recipients.",
    "click_rate": "People who clicked, by messages delivered.",
    "click_to_open_rate": "People who clicked, by people who opened.",
    "clicks": "Clicks.",
    "clicks_unique": "People who clicked.",
    "conversion_rate": "People who converted, by messages delivered.",
    "conversion_uniques": "People who converted.",
    "conversion_value": "Value of the conversions, in the account's currency.",
    "conversions": "Conversions: events of the conversion metric that Klaviyo attributes to the message.",
    "delivered": "Messages delivered.",
    "delivery_rate": "Delivered by recipients.",
    "failed": "Messages that failed.",
    "failed_rate": "Failed by recipients.",
    "open_rate": "People who opened, by messages delivered.",
    "opens": "Opens.",
    "opens_unique": "People who opened.",
    "recipients": "Messages sent.",
    "revenue_per_recipient": "Conversion value by recipients.",
    "spam_complaint_rate": "Spam complaints by messages delivered.",
    "spam_complaints": "Spam complaints.",
    "unsubscribe_rate": "People who unsubscribed, by messages delivered.",
    "unsubscribe_uniques": "People who unsubscribed.",
    "unsubscribes": "Unsubscribes.",
}
_FORMS = {
    "closed_form": "Times the form was closed.",
    "closed_form_uniques": "People who closed the form.",
    "qualified_form": "Times a visitor qualified for the form.",
    "qualified_form_uniques": "People who qualified for the form.",
    "submit_rate": "Submits by views.",
    "submits": "Times the form was submitted.",
    "submitted_form_step": "Times a step was submitted.",
    "submitted_form_step_uniques": "People who submitted a step.",
    "viewed_form": "Times the form was viewed.",
    "viewed_form_step": "Times a step was viewed.",
    "viewed_form_step_uniques": "People who viewed a step.",
    "viewed_form_uniques": "People who viewed the form.",
}
_SEGMENTS = {
    "members_added": "Profiles that joined.",
    "members_removed": "Profiles that left.",
    "net_members_changed": "Profiles that joined, less those that left.",
    "total_members": "Members at the end.",
}
_AGGREGATES = {
    "count": "Events.",
    "sum_value": "Sum of the events' $value.",
    "unique": "Profiles with such an event.",
}
_DIMENSIONS = (
    "$attributed_channel", "$attributed_flow", "$attributed_message", "$attributed_variation", "$campaign_channel",
    "$flow", "$flow_channel", "$message", "$message_send_cohort", "$usage_amount", "$value_currency", "$variation",
    "$variation_send_cohort", "Bot Click", "Bounce Type", "Campaign Name", "Client Canonical", "Client Name",
    "Client Type", "Email Domain", "Failure Source", "Failure Type", "From Number", "From Phone Region",
    "Inbox Provider", "List", "Message Format", "Message Name", "Message Type", "Method", "Segment Count", "Subject",
    "To Number", "To Phone Region", "URL", "form_id",
)  # fmt: skip
"""What metric aggregates can be divided by: OpenAPI 2026-07-15."""
_OF_MESSAGES = (("", tuple(_MESSAGES)), ("2025-10-15", (*_MESSAGES, *_TEXT_MESSAGES)))

_DATE = required(Column("date", ColumnType.DATE, None, "The day, in the account's time zone."))
_AS_OF = required(Column("as_of_date", ColumnType.DATE, None, "The day of the load, in the account's time zone."))
_WINDOW = required(Column("window", STRING, None, "The window before that day, such as last_30_days."))
_WINDOWS = ("last_7_days", "last_30_days", "last_365_days")
_CONVERSION = required(
    Column(
        "conversion_metric_id", STRING, None, "The metric of the conversions; joins metrics.id or custom_metrics.id."
    )
)
_CHANNEL = Column("send_channel", STRING, ("groupings", "send_channel"), "Email, sms, push-notification or whatsapp.")
_VARIATION = Column("variation", STRING, ("groupings", "variation"), "The variation's id; null without variations.")
_CAMPAIGN = (
    key(Column("campaign_id", STRING, ("groupings", "campaign_id"), "The campaign; joins campaigns.id."), "campaigns"),
    required(Column("campaign_message_id", STRING, ("groupings", "campaign_message_id"), "The campaign's message.")),
    _CHANNEL,
    _VARIATION,
)
_FLOW = (
    key(Column("flow_id", STRING, ("groupings", "flow_id"), "The flow; joins flows.id."), "flows"),
    required(Column("flow_message_id", STRING, ("groupings", "flow_message_id"), "The flow's message.")),
    _CHANNEL,
    _VARIATION,
)
_FORM = (
    key(Column("form_id", STRING, ("groupings", "form_id"), "The form; joins forms.id."), "forms"),
    Column("form_version_id", STRING, ("groupings", "form_version_id"), "The form's version; joins form_versions.id."),
)
_SEGMENT = (
    key(Column("segment_id", STRING, ("groupings", "segment_id"), "The segment; joins segments.id."), "segments"),
)
_REVENUE = "revenue"
_CONVERSIONS = FanOut(
    parent="mapped_metrics",
    noun="conversion metric",
    id_column="conversion_metric_id",
    setting="conversion_metric_ids",
    limits="Count conversions of these metrics, by id; blank: the metric in the account's role revenue.",
)


def _columns(grain: tuple[Column, ...], statistics: dict[str, str]) -> tuple[Column, ...]:
    """The columns of a report: the id made of its grain, the grain, and the statistics."""
    names = ", ".join(column.name for column in grain)
    return (
        Column("id", STRING, None, f"The row's key: {names}, joined by colons; blank where one is null."),
        *grain,
        *(Column(name, FLOAT, ("statistics", name), text) for name, text in statistics.items()),
    )


def _names(grain: tuple[Column, ...]) -> tuple[str, ...]:
    return tuple(column.name for column in grain)


def _declared(
    name: str,
    title: str,
    description: str,
    endpoint: str,
    of: str,
    grain: tuple[Column, ...],
    statistics: dict[str, str],
    *,
    groups: tuple[tuple[str, tuple[str, ...]], ...] = (("", ()),),
    daily: bool = False,
    converts: bool = False,
) -> Source:
    """A report by named windows on the day of each load, or by day."""
    grain = ((_DATE,) if daily else (_AS_OF, _WINDOW)) + ((_CONVERSION,) if converts else ()) + grain
    return Source(
        name=name,
        title=title,
        description=description,
        doc=f"{DOC}query_{endpoint.replace('-', '_')}",
        path=f"/api/{endpoint}-reports",
        resource=f"{endpoint}-report",
        scopes=(f"{of}:read", "accounts:read", *(("metrics:read",) if converts else ())),
        columns=_columns(grain, statistics),
        impersonal=("id", *_names(grain), *statistics),
        tier=(("", REPORTS_TIER),),
        fan_out=_CONVERSIONS if converts else None,
        lookback_days=RESTATED_DAYS if daily else 0,
        incremental=daily,
        report=Report(
            of=of,
            statistics=_OF_MESSAGES if converts else (("", tuple(statistics)),),
            grain=_names(grain),
            groups=groups,
            interval="daily" if daily else None,
            longest_days=SERIES_DAYS if daily else 365,
            windows=() if daily else _WINDOWS,
            role=_REVENUE if converts else "",
            quota=QUOTA,
        ),
    )


_MESSAGE_STATISTICS = _MESSAGES | _TEXT_MESSAGES

CAMPAIGN_VALUES = Source(
    name="campaign_values",
    title="Campaign report",
    description="What became of each campaign message: recipients, opens, clicks, conversions. A load reads a year of "
    "messages in one request, and those sent in the last year again each time.",
    doc=DOC + "query_campaign_values",
    path="/api/campaign-values-reports",
    resource="campaign-values-report",
    scopes=("campaigns:read", "accounts:read", "metrics:read"),
    columns=_columns((_CONVERSION, *_CAMPAIGN), _MESSAGE_STATISTICS),
    impersonal=("id", *_names((_CONVERSION, *_CAMPAIGN)), *_MESSAGE_STATISTICS),
    tier=(("", REPORTS_TIER),),
    fan_out=_CONVERSIONS,
    lookback_days=362,
    # A message that is sent over midnight lies in two windows that meet there: the row with more of it stays.
    version_column="recipients",
    report=Report(
        of="campaigns",
        statistics=_OF_MESSAGES,
        grain=_names((_CONVERSION, *_CAMPAIGN)),
        groups=(("", ()), ("2026-01-15", _names(_CAMPAIGN))),
        overlap_days=2,
        role=_REVENUE,
        quota=QUOTA,
    ),
)
FLOW_SERIES_DAILY = _declared(
    "flow_series_daily",
    "Flow report by day",
    "What became of the messages that each flow sent on a day: recipients, opens, clicks, conversions.",
    "flow-series",
    "flows",
    _FLOW,
    _MESSAGE_STATISTICS,
    groups=(("", ()), ("2026-01-15", _names(_FLOW))),
    daily=True,
    converts=True,
)
FLOW_VALUES = _declared(
    "flow_values",
    "Flow report",
    "What became of the messages that each flow sent in the last 7, 30 and 365 days. Rates and counts of people do not "
    "add up over days, so they are read for the windows as they are.",
    "flow-values",
    "flows",
    _FLOW,
    _MESSAGE_STATISTICS,
    groups=(("", ()), ("2026-01-15", _names(_FLOW))),
    converts=True,
)
FORM_SERIES_DAILY = _declared(
    "form_series_daily",
    "Form report by day",
    "How often each version of a form was viewed, submitted and closed on a day.",
    "form-series",
    "forms",
    _FORM,
    _FORMS,
    groups=(("", _names(_FORM)),),
    daily=True,
)
FORM_VALUES = _declared(
    "form_values",
    "Form report",
    "How often each version of a form was viewed, submitted and closed in the last 7, 30 and 365 days.",
    "form-values",
    "forms",
    _FORM,
    _FORMS,
    groups=(("", _names(_FORM)),),
)
SEGMENT_SERIES_DAILY = _declared(
    "segment_series_daily",
    "Segment report by day",
    "How many profiles joined and left each segment on a day, and how many it had.",
    "segment-series",
    "segments",
    _SEGMENT,
    _SEGMENTS,
    daily=True,
)
SEGMENT_VALUES = _declared(
    "segment_values",
    "Segment report",
    "How many profiles joined and left each segment in the last 7, 30 and 365 days, and how many it had.",
    "segment-values",
    "segments",
    _SEGMENT,
    _SEGMENTS,
)
METRIC_AGGREGATES_DAILY = Source(
    name="metric_aggregates_daily",
    title="Events by metric and day, as Klaviyo counts them",
    description="Klaviyo's own count of each metric's events by day: how many, their value, and of how many profiles. "
    "It counts by the time of the event, unlike the reports on campaigns and flows.",
    doc=DOC + "query_metric_aggregates",
    path="/api/metric-aggregates",
    resource="metric-aggregate",
    scopes=("metrics:read", "accounts:read"),
    columns=_columns(
        (_DATE, key(Column("metric_id", STRING, None, "The metric; joins metrics.id."), "metrics")), _AGGREGATES
    ),
    impersonal=("id", "date", "metric_id", *_AGGREGATES),
    tier=(("", SMALL),),
    fan_out=FanOut(
        parent="metrics",
        noun="metric",
        id_column="metric_id",
        setting="metric_ids",
        limits="Read only these metrics.",
    ),
    lookback_days=35,
    report=Report(
        of="metrics",
        statistics=(("", tuple(_AGGREGATES)),),
        grain=("date", "metric_id"),
        interval="day",
        longest_days=360,
        cursor_in_body=True,
        dimensions=_DIMENSIONS,
    ),
)

REPORTS = (
    CAMPAIGN_VALUES,
    FLOW_SERIES_DAILY,
    FLOW_VALUES,
    FORM_SERIES_DAILY,
    FORM_VALUES,
    SEGMENT_SERIES_DAILY,
    SEGMENT_VALUES,
    METRIC_AGGREGATES_DAILY,
)
