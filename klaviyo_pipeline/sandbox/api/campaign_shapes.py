"""Campaigns, messages, audiences and variations in Klaviyo's two shapes: to 2026-07-15, since 2026-10-15.

Source: OpenAPI 2025-01-15 and 2026-07-15 with recorded answers; official SDK 25 for 2026-10-15.
"""

from typing import Any

from klaviyo_pipeline.sandbox.data.rows import Campaign, Message
from klaviyo_pipeline.sandbox.data.times import in_micros, in_seconds, moment

_MESSAGE_STATUS = {"Draft": "draft", "Scheduled": "scheduled", "Sending": "sending", "Sent": "sent"}
_NEW_STRATEGY = {
    "static": "static",
    "immediate": "static",
    "throttled": "throttled",
    "smart_send_time": "send_time_optimization",
}


def message_status(campaign: Campaign) -> str:
    """The status of the campaign's messages in 2026-10-15's words."""
    return _MESSAGE_STATUS.get(campaign.status, "cancelled")


def campaign_attributes(campaign: Campaign, revision: str) -> dict[str, Any]:
    """A campaign's attributes."""
    if revision >= "2026-10-15":
        return {
            "definition": {
                "name": campaign.name,
                "builder": campaign.builder,
                "archived": campaign.archived,
                "color": None,
                "description": None,
                "send_settings": {
                    "send_timezone": "static",
                    "send_strategy": _NEW_STRATEGY[campaign.send_strategy],
                    "send_passed_rltz_immediately": False,
                    "exit_condition_enabled": False,
                    "exit_condition_conversion_metric_id": None,
                },
            },
            "created_at": in_micros(campaign.created_at),
            "updated_at": in_micros(campaign.updated_at),
        }
    options: dict[str, Any] = {"use_smart_sending": campaign.smart_sending}
    tracking: dict[str, Any] = {
        "add_tracking_params": True,
        "custom_tracking_params": [
            {"type": "static", "value": campaign.channel, "name": "utm_medium"},
            {"type": "dynamic", "value": "campaign_name", "name": "utm_campaign"},
        ],
        "is_tracking_clicks": True,
        "is_tracking_opens": True,
    }
    return {
        "name": campaign.name,
        "status": campaign.status,
        "archived": campaign.archived,
        "audiences": {"included": list(campaign.included), "excluded": list(campaign.excluded)},
        "send_options": options,
        "tracking_options": tracking,
        "send_strategy": _send_strategy(campaign),
        "created_at": in_micros(campaign.created_at),
        "scheduled_at": in_micros(campaign.scheduled_at),
        "updated_at": in_micros(campaign.updated_at),
        "send_time": in_seconds(campaign.send_time),
    }


def _send_strategy(campaign: Campaign) -> dict[str, Any]:
    due = campaign.send_time or campaign.scheduled_at or campaign.created_at
    if campaign.send_strategy == "static":
        return {"method": "static", "datetime": in_seconds(due), "options": {"is_local": False}}
    if campaign.send_strategy == "throttled":
        return {"method": "throttled", "datetime": in_seconds(due), "throttle_percentage": 25}
    if campaign.send_strategy == "smart_send_time":
        return {"method": "smart_send_time", "date": moment(due).date().isoformat()}
    return {"method": "immediate"}


def message_attributes(campaign: Campaign, message: Message, revision: str) -> dict[str, Any]:
    """A message's attributes."""
    sent = campaign.send_time
    if revision >= "2026-10-15":
        return {
            "definition": {
                "name": message.label,
                "status": message_status(campaign),
                "tracking_options": {
                    "is_add_utm": True,
                    "is_tracking_clicks": True,
                    "is_tracking_opens": True,
                },
                "send_options": {
                    "send_time": in_seconds(sent),
                    "send_times": None,
                    "send_strategy": _NEW_STRATEGY[campaign.send_strategy],
                    "recipient_percentage": None,
                    "throttling_type": "none",
                    "throttle_unit": None,
                    "is_ignoring_unsubscribes": False,
                },
                "ab_test": None,
            },
            "created": in_seconds(message.created),
            "updated": in_seconds(message.updated),
        }
    return {
        "definition": _content(campaign, message),
        "send_times": [{"datetime": in_seconds(sent), "is_local": False}] if sent else [],
        "created_at": in_micros(message.created),
        "updated_at": in_micros(message.updated),
    }


def _content(campaign: Campaign, message: Message) -> dict[str, Any]:
    if campaign.channel == "email":
        return {"channel": "email", "label": message.label, "content": message.content}
    if campaign.channel == "sms":
        return {
            "channel": "sms",
            "content": message.content,
            "render_options": {
                "shorten_links": True,
                "add_org_prefix": True,
                "add_info_link": True,
                "add_opt_out_language": False,
            },
        }
    return {
        "channel": "mobile_push",
        "notification_type": "standard",
        "content": message.content,
        "kv_pairs": None,
        "options": {"on_open": {"type": "open_app"}, "badge": {"display": False}, "play_sound": True},
    }


def audience_attributes(campaign: Campaign, message: Message) -> dict[str, Any]:
    """The audience of a message (2026-10-15)."""
    return {
        "definition": {
            "name": f"{campaign.name} audience",
            "included": list(campaign.included),
            "excluded": list(campaign.excluded),
            "priority": 1,
        },
        "created": in_seconds(message.created),
        "updated": in_seconds(message.updated),
    }


def variation_attributes(campaign: Campaign, message: Message) -> dict[str, Any]:
    """The one variation of a message, which is where 2026-10-15 keeps its content."""
    return {
        "definition": {
            "name": message.label,
            "details": {
                "channel": campaign.channel,
                "content": message.content,
                "template_id": message.template_id,
            },
        },
        "created": in_seconds(message.created),
        "updated": in_seconds(message.updated),
    }
