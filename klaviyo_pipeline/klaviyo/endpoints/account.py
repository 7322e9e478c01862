"""The account itself: its time zone and currency, GET /api/accounts (scope accounts:read, OpenAPI 2026-07-15)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from klaviyo_pipeline.klaviyo.catalogue.model import EXTRA_SMALL
from klaviyo_pipeline.klaviyo.client.answers import part
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient, Request, target
from klaviyo_pipeline.klaviyo.errors import UnreadablePageError

ENDPOINT = "/api/accounts"
SCOPES = ("accounts:read",)
_LONGEST_NAME = 100


@dataclass(frozen=True)
class Account:
    """A Klaviyo account. ``timezone`` is an IANA name or blank, ``currency`` an ISO 4217 code or blank."""

    id: str
    timezone: str
    currency: str


def read_account(client: KlaviyoClient) -> Account:
    """The account of the client's key, without its address and contacts.

    Raises:
        ScopeError: if the key lacks accounts:read.
        UnavailableError: if no attempt returns an account.
        KlaviyoError: as for any other request.
    """
    request = Request(
        target=target(ENDPOINT, {"fields[account]": "timezone,preferred_currency"}),
        endpoint=ENDPOINT,
        tier=EXTRA_SMALL,
        subject="the account",
        scopes=SCOPES,
    )
    return client.get(request, _account, many=True)


def _account(document: dict[str, Any]) -> Account:
    found = part(document, "data", kind=list)
    if len(found) != 1:
        raise UnreadablePageError(f"the answer has {len(found)} accounts, but must have one")
    attributes = part(found, 0, "attributes", kind=dict)
    return Account(
        part(found, 0, "id", kind=str), _text(attributes, "timezone"), _text(attributes, "preferred_currency")
    )


def _text(attributes: dict[str, Any], name: str) -> str:
    """A short text, blank where the account has none."""
    if attributes.get(name) is None:
        return ""
    text = part(attributes, name, kind=str)
    if len(text) > _LONGEST_NAME:
        raise UnreadablePageError(f"{name} has {len(text)} characters")
    return text
