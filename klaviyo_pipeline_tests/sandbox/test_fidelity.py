"""Where real clients and documents showed that the sandbox had been laxer, stricter or otherwise than Klaviyo."""

import pytest

from klaviyo_pipeline.sandbox.api.catalogue import at_path
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline_tests.sandbox.client import BASE, Client

EMAIL = "equals(messages.channel,'email')"


@pytest.mark.parametrize(
    "path",
    [
        "/api/events?filter=less-than(datetime,2099-01-01T00:00:00Z)",
        "/api/events?filter=greater-or-equal(timestamp,4070908800)",
        f"/api/campaigns?filter={EMAIL},less-or-equal(updated_at,2099-01-01T00:00:00Z)",
        f"/api/campaigns?filter={EMAIL},greater-than(scheduled_at,2099-01-01T00:00:00Z)",
    ],
)
def test_bound_in_the_future_is_400(client: Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.status, answer.error["detail"]) == (400, "End date may not be in the future: 2099-01-01T00:00:00")


def test_contains_minds_the_case(client: Client, store: Store) -> None:
    name = next(row.name for row in store.templates)
    word = name.split()[0]
    assert client.get(f"/api/templates?filter=contains(name,'{word}')").ids
    assert not client.get(f"/api/templates?filter=contains(name,'{word.swapcase()}')").ids


def test_dotted_field_that_no_document_lists_is_400(client: Client) -> None:
    assert client.get("/api/profiles?fields[profile]=location.city").status == 200
    assert client.get("/api/profiles?fields[profile]=location.planet").status == 400


@pytest.mark.parametrize("revision", ["2026-07-15.pre", "2025-04-15.pre"])
def test_beta_revision_answers_as_the_stable_one_of_its_date(client: Client, revision: str) -> None:
    answer = Client(client.app, revision).get("/api/metrics")
    assert (answer.status, answer.headers["x-klaviyo-api-revision"]) == (200, revision.removesuffix(".pre"))


def test_event_of_nobody_has_no_data_where_null_is_not_documented(client: Client, store: Store) -> None:
    nobodys = next(event.id for event in store.events if event.profile_id is None)
    before = Client(client.app, "2025-01-15")
    assert "data" not in before.get(f"/api/events/{nobodys}").json["data"]["relationships"]["profile"]
    assert "None" not in before.get(f"/api/events/{nobodys}/profile").error["detail"]


@pytest.mark.parametrize("path", ["/api/v1/metrics", "/api/v2/lists"])
def test_retired_apis_are_gone(client: Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.status, list(answer.json)) == (410, ["message"])


def test_every_answer_has_the_headers_that_klaviyo_sends(client: Client, store: Store) -> None:
    for path in ("/api/metrics", "/api/metrics/NOPE01", "/api/metrics?unheard=of"):
        headers = client.get(path).headers
        assert headers["cid"] == store.account["id"]
        assert {"x-klaviyo-req-id", "vary", "content-language"} <= set(headers)
        assert headers["allow"].startswith("GET")


COLLECTIONS = (
    "metrics", "lists", "segments", "profiles", "events", "flows?include=flow-actions", "tags", "tag-groups", "forms",
    f"campaigns?filter={EMAIL}&include=campaign-messages", "custom-metrics", "mapped-metrics", "catalog-items",
    "catalog-variants", "catalog-categories", "push-tokens", "reviews", "webhooks",
    "profile-bulk-import-jobs", "object-types?include=current-schema",
    "coupon-codes?filter=any(coupon.id,['SPRING'])",
)  # fmt: skip


@pytest.mark.parametrize("path", COLLECTIONS)
def test_links_of_relationships_answer(client: Client, path: str) -> None:
    """Those that are operations of Klaviyo: a tag's `lists`, for one, exist as ids only."""
    document = client.get(f"/api/{path}").json
    assert document["data"]
    followed = set()
    for item in [*document["data"], *document.get("included", ())]:
        for name, found in item.get("relationships", {}).items():
            if (item["type"], name) in followed:
                continue
            followed.add((item["type"], name))
            for link in found["links"].values():
                path = link.removeprefix(BASE)
                if "GET" in at_path(path.removeprefix("/api/").rstrip("/").split("/")):
                    answer = client.get(path)
                    assert answer.status == 200, (link, answer.content)


def test_aggregates_refuse_what_klaviyo_does_not_take(client: Client, store: Store) -> None:
    def ask(**more: object) -> int:
        attributes = {
            "metric_id": next(iter(store.metrics.rows)),
            "measurements": ["count"],
            "filter": ["greater-or-equal(datetime,2026-11-01)", "less-than(datetime,2026-11-20)"],
            **more,
        }
        body = {"data": {"type": "metric-aggregate", "attributes": attributes}}
        return client.send("POST", "/api/metric-aggregates", body).status

    assert ask(by=["Inbox Provider", "$variation", "Bounce Type"], timezone="Europe/Copenhagen") == 200
    assert ask(timezone="Europe/Kyiv") == ask(soup=1) == ask(return_fields=["soup"]) == ask(by=["soup"]) == 400


def test_limits_are_in_the_headers_of_a_sandbox_without_limits_too(client: Client) -> None:
    headers = client.get("/api/metrics").headers
    assert {"ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"} <= set(headers)
