"""Which revision answers, and in which shape."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from klaviyo_pipeline.sandbox.api.revisions import LIVING, RETIRED
from klaviyo_pipeline.sandbox.app import Sandbox
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline.sandbox.options import ServerOptions
from klaviyo_pipeline_tests.sandbox.client import Client

ECHO = "x-klaviyo-api-revision"
OPT_OUT = {"x-klaviyo-revision-fall-forward-opt-out": "1"}


@pytest.mark.parametrize("revision", LIVING)
def test_living_revision_answers_itself(app: Sandbox, revision: str) -> None:
    assert Client(app, revision).get("/api/metrics").headers[ECHO] == revision


@pytest.mark.parametrize("revision", RETIRED)
def test_retired_revision_falls_forward_and_says_so(app: Sandbox, revision: str) -> None:
    answer = Client(app, revision).get("/api/metrics")
    assert (answer.status, answer.headers[ECHO]) == (200, "2025-01-15")
    assert Client(app, revision).get("/api/metrics", **OPT_OUT).status == 410


def test_retired_paths_are_gone(app: Sandbox, store: Store) -> None:
    event_id = next(iter(store.events)).id
    old = Client(app, "2023-02-22")
    assert old.get(f"/api/events/{event_id}/metrics/").status == 410
    assert old.get(f"/api/events/{event_id}/profiles/").status == 410
    assert Client(app).get(f"/api/events/{event_id}/metrics/").status == 404


def test_future_and_unknown_revisions_are_refused(app: Sandbox) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    for revision in (tomorrow, "2099-01-01", "2026-02-02", "2026-02-02.pre", "latest", ""):
        answer = Client(app, revision).get("/api/metrics")
        assert (answer.status, answer.error["code"]) == (400, "invalid")


def test_missing_revision_falls_forward_or_is_refused(app: Sandbox, fresh: Callable[..., Sandbox]) -> None:
    assert Client(app, None).get("/api/metrics").headers[ECHO] == "2025-01-15"
    strict = fresh(ServerOptions(missing_revision="refuse"))
    assert Client(strict, None).get("/api/metrics").status == 400


def test_endpoint_of_a_later_revision_is_404(app: Sandbox) -> None:
    answer = Client(app, "2026-07-15").get("/api/campaign-messages")
    assert (answer.status, answer.error["detail"]) == (404, "No valid revisions found for method")
    assert Client(app, "2026-10-15").get("/api/campaign-messages").status == 200


@pytest.mark.parametrize("revision", LIVING)
def test_profile_relationships_by_revision(app: Sandbox, revision: str) -> None:
    found = Client(app, revision).get("/api/profiles?page[size]=1").json["data"][0]["relationships"]
    conversation = {"conversations"} if revision >= "2026-07-15" else {"conversation"}
    expected = {"lists", "segments", "push-tokens"}
    assert set(found) == expected | (conversation if revision >= "2026-04-15" else set())


@pytest.mark.parametrize("revision", LIVING)
def test_subscriptions_by_revision(app: Sandbox, revision: str) -> None:
    path = "/api/profiles?page[size]=1&additional-fields[profile]=subscriptions,predictive_analytics"
    attributes = Client(app, revision).get(path).json["data"][0]["attributes"]
    assert ("whatsapp" in attributes["subscriptions"]) == (revision >= "2025-07-15")
    assert ("ranked_channel_affinity" in attributes["predictive_analytics"]) == (revision >= "2025-07-15")
    assert ("open_tracking" in attributes["subscriptions"]["email"]) == (revision >= "2026-04-15")


@pytest.mark.parametrize("revision", LIVING)
def test_campaign_shapes(app: Sandbox, revision: str) -> None:
    rebuilt = revision == "2026-10-15"
    condition = "equals(archived,false)" if rebuilt else "equals(messages.channel,'email')"
    path = f"/api/campaigns?include=campaign-messages&filter={condition}"
    document = Client(app, revision).get(path).json
    campaign, message = document["data"][0], document["included"][0]
    assert set(campaign["attributes"]) == (
        {"definition", "created_at", "updated_at"}
        if rebuilt
        else {
            "name",
            "status",
            "archived",
            "audiences",
            "send_options",
            "tracking_options",
            "send_strategy",
            "created_at",
            "scheduled_at",
            "updated_at",
            "send_time",
        }
    )
    assert ("campaign-audiences" in campaign["relationships"]) == rebuilt
    assert set(message["attributes"]) == (
        {"definition", "created", "updated"} if rebuilt else {"definition", "send_times", "created_at", "updated_at"}
    )


@pytest.mark.parametrize("revision", ["2025-01-15", "2026-07-15", "2026-10-15"])
@pytest.mark.parametrize("collection", ["metrics", "events", "profiles", "lists", "templates"])
def test_every_collection_is_read_whole(app: Sandbox, store: Store, revision: str, collection: str) -> None:
    expected = {row.id for row in getattr(store, collection)}
    if collection == "events" and revision < "2026-07-15":
        expected = {row.id for row in store.events if row.metric_id is not None}
    found = Client(app, revision).all_ids(f"/api/{collection}")
    assert len(found) == len(expected)
    assert set(found) == expected
