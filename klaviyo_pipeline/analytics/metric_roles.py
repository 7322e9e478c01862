"""The role of a metric in analytics, by its name. Names decide only here.

Klaviyo's own metrics have these names; they were renamed before (SMS to Text Message in July 2026), so all spellings
count. Shops name theirs as their integration does: Shopify, WooCommerce, Magento and Klaviyo's guide for custom
integrations all say Placed Order, Refunded Order, Cancelled Order.
"""

from __future__ import annotations

import re

_CHANNEL = "(email|sms|text message|push|mobile push|push notification|whatsapp)"
_TAKEN_BACK = "(refund(ed)?|cancel(l?ed)?|return(ed)?|void(ed)?)"
ROLES = {
    "received": rf"received {_CHANNEL}",
    "bounced": rf"(bounced|dropped|failed to deliver) {_CHANNEL}",
    "opened": rf"opened {_CHANNEL}",
    "clicked": rf"clicked {_CHANNEL}",
    "unsubscribed": rf"unsubscribed( from {_CHANNEL}( marketing)?)?",
    "marked as spam": r"marked email as spam",
    "order": r"placed order",
    "refund": rf"(partial(ly)? )?{_TAKEN_BACK} order|order (partial(ly)? )?{_TAKEN_BACK}|refund(ed)?( issued)?",
}
"""A metric's role and its name as a regular expression, matched whole and without regard to case."""


def role_of(name: str | None) -> str | None:
    """A metric's role; None without a role.

    The values of events with the role ``refund`` count as negative, with either sign.
    """
    for role, pattern in ROLES.items():
        if name and re.fullmatch(pattern, name.strip(), re.IGNORECASE):
            return role
    return None
