"""The account itself: its time zone and currency, GET /api/accounts (scope accounts:read, OpenAPI 2026-07-15)."""

from __future__ import annotations

from dataclasses import dataclass

from klaviyo_pipeline.klaviyo.client import KlaviyoClient, Request, target
from klaviyo_pipeline.klaviyo.errors import UnreadablePageError
from klaviyo_pipeline.klaviyo.sources import Tier

ENDPOINT = "/api/accounts"
SCOPES = ("accounts:read",)
_EXTRA_SMALL = Tier(1, 15)


@dataclass(frozen=True)
class Account:
    """A Klaviyo account. ``timezone`` is an IANA name, ``currency`` an ISO 4217 code or blank."""

    id: str
    timezone: str
    currency: str


def read_account(client: KlaviyoClient) -> Account:
    """The account that the client's key belongs to; its address and contacts are not asked for.

    Raises:
        ScopeError: if the key lacks accounts:read.
        KlaviyoError: as for any other request.
    """
    request = Request(
        target=target(ENDPOINT, {"fields[account]": "timezone,preferred_currency"}),
        endpoint=ENDPOINT,
        tier=_EXTRA_SMALL,
        subject="the account",
        scopes=SCOPES,
    )
    document = client.get_json(request, many=True)
    try:
        (account,) = document["data"]
        attributes = account["attributes"]
        return Account(account["id"], attributes["timezone"], attributes.get("preferred_currency") or "")
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadablePageError(f"{request.subject}: the answer has another form ({error}).") from None
