"""A person who is written in many ways, also in what others say."""

from __future__ import annotations

from typing import Any

from klaviyo_pipeline_tests.privacy.people_in_a_shop import Shop

NAME = "zqanna"
ADDRESS, OTHER = f"{NAME}@exämple.com", f"{NAME}+Sale@EXÄMPLE.com"
PHONE, NATIONAL = "+491701239876", "0170/123 98-76"
EXTERNAL = "customer-zq77"
TRACES = (NAME, "1701239876", "170/123 98-76", EXTERNAL, "zqstreet")


def plant(shop: Shop) -> str:
    """Make the shop's first person one who is written in many ways, and another one talk about them. Gives the id."""
    first, second = (row.id for row in list(shop.sandbox.store.profiles)[:2])

    def change(kind: str, resource: dict[str, Any]) -> None:
        attributes, related = resource.get("attributes", {}), resource.get("relationships", {})
        if kind == "profile" and resource["id"] == first:
            attributes |= {"email": OTHER, "phone_number": PHONE, "external_id": EXTERNAL, "first_name": "zqstreet"}
            attributes["properties"] = {"Second address": f"{NAME}@xn--exmple-cua.com", "street": "zqstreet 1"}
        if kind == "profile" and resource["id"] == second and "properties" in attributes:
            attributes["properties"] = {"Recommended by": f"A friend, {ADDRESS.upper()}", "Phones": [NATIONAL]}
            attributes["nickname"] = f"see {first.lower()}"
        owner = (related.get("profile", {}).get("data") or {}).get("id")
        if kind == "event" and owner == first:
            attributes["event_properties"] = {"$value": 1, "Recipient": ADDRESS, "note": "zqstreet"}
        elif kind == "event":
            attributes["event_properties"] = {
                "$value": 2,
                "link": f"https://x.example/?u=zqanna%2Bq%40ex%C3%A4mple.com&p={first.lower()}",
                "customer_id": EXTERNAL,
                "list": [{"n": int(PHONE[1:]), f"{NAME}@exa\u0308mple.com": True}],
                "kept": "as it was",
            }

    shop.alter(change)
    return first


def load_all(shop: Shop) -> None:
    shop.load("profiles", subscriptions=True)
    shop.load("list_profiles")
    shop.load("events", related=True)
    shop.load_event_profiles()
