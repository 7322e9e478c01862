"""A profile's additional fields, `subscriptions` and `predictive_analytics`, as each revision has them.

Source: OpenAPI 2025-01-15 and 2026-07-15; whatsapp and ranked_channel_affinity since 2025-07-15,
open_tracking since 2026-04-15, click_tracking since 2026-07-15 (seen live; documented for 2026-10-15).
"""

from typing import Any

from klaviyo_pipeline.sandbox.data.rows import Profile
from klaviyo_pipeline.sandbox.data.times import DAY, in_micros, in_seconds

_NEVER, _SUBSCRIBED, _UNSUBSCRIBED = "NEVER_SUBSCRIBED", "SUBSCRIBED", "UNSUBSCRIBED"


def subscriptions(profile: Profile, revision: str) -> dict[str, Any]:
    """What the person has agreed to, by channel."""
    email: dict[str, Any] = {"marketing": _email(profile)}
    if revision >= "2026-04-15":
        email["open_tracking"] = _tracking()
    if revision >= "2026-07-15":
        email["click_tracking"] = _tracking()
    consent = profile.consent
    found: dict[str, Any] = {
        "email": email,
        "sms": {"marketing": _sms("marketing", consent.sms_at), "transactional": _sms("transactional", None)},
        "mobile_push": {
            "marketing": {
                "can_receive_push_marketing": consent.push_at is not None,
                "consent": _SUBSCRIBED if consent.push_at else _NEVER,
                "consent_timestamp": in_micros(consent.push_at),
            }
        },
    }
    if revision >= "2025-07-15":
        found["whatsapp"] = _whatsapp(profile) if consent.whatsapp_at else None
    return found


def predictive_analytics(profile: Profile, revision: str) -> dict[str, Any]:
    """What Klaviyo makes of the person's orders; nulls for who has too few."""
    orders = profile.orders
    known = orders.number >= 3 and orders.first_at is not None and orders.last_at is not None
    between = ((orders.last_at or 0) - (orders.first_at or 0)) / DAY / max(1, orders.number - 1)
    average = orders.value / max(1, orders.number)
    found: dict[str, Any] = {
        "historic_clv": round(orders.value, 2) if known else None,
        "predicted_clv": round(average * 2.5, 2) if known else None,
        "total_clv": round(orders.value + average * 2.5, 2) if known else None,
        "historic_number_of_orders": orders.number if known else None,
        "predicted_number_of_orders": 2.5 if known else None,
        "average_days_between_orders": round(between, 2) if known else None,
        "average_order_value": round(average, 2) if known else None,
        "churn_probability": round(1 / (1 + orders.number), 2) if known else None,
        "expected_date_of_next_order": (in_seconds((orders.last_at or 0) + int(between * DAY)) if known else None),
    }
    if revision >= "2025-07-15":
        found["ranked_channel_affinity"] = ["email", "sms", "push"] if known else None
    return found


def _email(profile: Profile) -> dict[str, Any]:
    consent = profile.consent
    suppressed = any(found.list_id is None for found in profile.suppressions)
    state = _NEVER
    if consent.email_at is not None:
        state = _UNSUBSCRIBED if consent.unsubscribed else _SUBSCRIBED
    return {
        "can_receive_email_marketing": state == _SUBSCRIBED and not suppressed,
        "consent": state,
        "consent_timestamp": in_micros(consent.email_at),
        "last_updated": in_micros(consent.email_at),
        "method": consent.email_method,
        "method_detail": "",
        "custom_method_detail": None,
        "double_optin": False if consent.email_at else None,
        "suppression": [
            {"reason": found.reason, "timestamp": in_micros(found.timestamp)}
            for found in profile.suppressions
            if found.list_id is None
        ],
        "list_suppressions": [
            {"list_id": found.list_id, "reason": found.reason, "timestamp": in_micros(found.timestamp)}
            for found in profile.suppressions
            if found.list_id is not None
        ],
    }


def _sms(kind: str, agreed_at: int | None) -> dict[str, Any]:
    return {
        f"can_receive_sms_{kind}": agreed_at is not None,
        "consent": _SUBSCRIBED if agreed_at else _NEVER,
        "consent_timestamp": in_micros(agreed_at),
        "method": "SERVER_REST_API" if agreed_at else None,
        "method_detail": None,
        "last_updated": in_micros(agreed_at),
    }


def _tracking() -> dict[str, Any]:
    return {
        "consent": _NEVER,
        "consent_timestamp": None,
        "last_updated": None,
        "created_timestamp": None,
        "metadata": None,
        "can_receive": False,
        "valid_until": None,
    }


def _whatsapp(profile: Profile) -> dict[str, Any]:
    agreed_at = in_micros(profile.consent.whatsapp_at)
    marketing = {
        **_tracking(),
        "consent": _SUBSCRIBED,
        "consent_timestamp": agreed_at,
        "last_updated": agreed_at,
        "created_timestamp": agreed_at,
        "can_receive": True,
        "phone_number": profile.phone_number,
    }
    never = {**_tracking(), "phone_number": profile.phone_number}
    return {"marketing": marketing, "transactional": never, "conversational": never}
