"""Sparse fieldsets: which names `fields[type]` takes, and what is left of the attributes.

Source: the `fields[…]` enumerations of OpenAPI 2025-01-15, 2026-07-15 and the SDK-derived 2026-10-15. Names
within a structured attribute (`location.city`) are taken by their root.
"""

from collections.abc import Mapping
from typing import Any

from klaviyo_pipeline.sandbox.api.contracts import Contract
from klaviyo_pipeline.sandbox.api.errors import invalid

_PROFILE = (
    "created email external_id first_name image last_event_date last_name locale location organization "
    "phone_number properties title updated"
)
_ROOTS = {
    "account": "contact_information industry locale preferred_currency public_api_key test_account timezone",
    "attribution": "",
    "campaign-audience": "created definition updated",
    "campaign-variation": "created definition updated",
    "conversation": "channel",
    "event": "datetime event_properties timestamp uuid",
    "flow": "archived created name status trigger_type updated",
    "image": "format hidden image_url name size updated_at",
    "list": "created name opt_in_process updated",
    "metric": "created integration name updated",
    "metric-aggregate": "data dates",
    "profile": _PROFILE,
    "push-token": "background created enablement_status metadata platform recorded_date token vendor",
    "segment": "created definition is_active is_processing is_starred name updated",
    "tag": "name",
    "template": "amp created editor_type html name text updated",
}
_CAMPAIGN = (
    "archived audiences created_at name scheduled_at send_options send_strategy send_time status "
    "tracking_options updated_at"
)
_STRUCTURED = frozenset(
    [
        "audiences",
        "contact_information",
        "definition",
        "location",
        "metadata",
        "predictive_analytics",
        "send_options",
        "send_strategy",
        "subscriptions",
        "tracking_options",
    ]
)


def allowed_fields(resource: str, contract: Contract, revision: str) -> frozenset[str]:
    """The attribute names that `fields[resource]` takes at an endpoint."""
    rebuilt = revision >= "2026-10-15"
    if resource == "campaign":
        roots = "created_at definition updated_at" if rebuilt else _CAMPAIGN
    elif resource == "campaign-message":
        roots = "created definition updated" if rebuilt else "created_at definition send_times updated_at"
    else:
        roots = _ROOTS[resource]
    names = set(roots.split()) | set(contract.additional.get(resource, ()))
    if contract.path == ("lists", "{id}", "profiles"):
        names.add("joined_group_at")
    if resource == "template" and rebuilt:
        names.add("screenshot_url")
    if revision >= "2026-04-15":
        names.add("id")
    return frozenset(names)


def check_fields(resource: str, names: tuple[str, ...], contract: Contract, revision: str) -> None:
    """Refuse a name that the type doesn't have (400; the wording is inferred).

    Raises:
        ApiError: 400.
    """
    allowed = allowed_fields(resource, contract, revision)
    for name in names:
        root, dot, _ = name.partition(".")
        if root not in allowed or (dot and root not in _STRUCTURED):
            raise invalid(
                f"'{name}' is not a valid field for the resource type '{resource}'.",
                parameter=f"fields[{resource}]",
            )


def project(attributes: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """The attributes that were asked for, in their own order."""
    inner: dict[str, list[str]] = {}
    whole = set()
    for name in names:
        root, dot, rest = name.partition(".")
        if dot:
            inner.setdefault(root, []).append(rest)
        else:
            whole.add(root)
    kept: dict[str, Any] = {}
    for name, value in attributes.items():
        if name in whole:
            kept[name] = value
        elif name in inner:
            kept[name] = project(value, tuple(inner[name])) if isinstance(value, dict) else value
    return kept
