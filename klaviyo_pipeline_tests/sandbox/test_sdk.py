"""Klaviyo's own SDK (25, revision 2026-10-15), whose models are strict, reads everything to the last page."""

import logging
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from klaviyo_api import KlaviyoAPI
from openapi_client.api_arg_options import USE_DICTIONARY_FOR_RESPONSE_DATA
from openapi_client.exceptions import NotFoundException, UnauthorizedException

from klaviyo_pipeline.sandbox.server import RunningSandbox


@pytest.fixture(scope="module")
def sdk(running: RunningSandbox) -> Iterator[KlaviyoAPI]:
    # It sets urllib3's logger to WARNING, in which later tests of this process look for the API key.
    logger = logging.getLogger("urllib3")
    level = logger.level
    yield KlaviyoAPI(running.api_key, max_delay=1, max_retries=1, test_host=running.url)
    logger.setLevel(level)


def _all(call: Callable[..., Any], *arguments: Any, **options: Any) -> list[Any]:
    """Every row of a collection, each a model."""
    rows: list[Any] = []
    cursor = None
    while True:
        page = call(*arguments, **options, **({"page_cursor": cursor} if cursor else {}))
        assert not isinstance(page, dict), "the SDK did not use its models"
        rows += page.data
        if not page.links or not page.links.next:
            return rows
        cursor = parse_qs(urlsplit(page.links.next).query)["page[cursor]"][0]


def _ids(rows: list[Any]) -> list[str]:
    return [row.id for row in rows]


def test_dictionaries_are_not_the_default() -> None:
    assert USE_DICTIONARY_FOR_RESPONSE_DATA  # the option that would switch the models off


def test_accounts(sdk: KlaviyoAPI, running: RunningSandbox) -> None:
    account = sdk.Accounts.get_accounts().data[0]
    assert account.id == running.store.account["id"]
    assert sdk.Accounts.get_account(account.id).data.attributes.timezone == "Europe/Copenhagen"


def test_metrics(sdk: KlaviyoAPI, running: RunningSandbox) -> None:
    rows = _all(sdk.Metrics.get_metrics, include=["flow-triggers"])
    assert _ids(rows) == sorted(running.store.metrics.rows)
    assert sdk.Metrics.get_metric(rows[0].id).data.attributes.name == rows[0].attributes.name


def test_events(sdk: KlaviyoAPI, running: RunningSandbox) -> None:
    rows = _all(
        sdk.Events.get_events,
        filter="greater-or-equal(datetime,2026-01-01T00:00:00+00:00)",
        include=["metric", "profile", "attributions"],
        sort="datetime",
        page_size=300,
    )
    assert _ids(rows) == [event.id for event in running.store.events]


def test_event_and_its_related(sdk: KlaviyoAPI, running: RunningSandbox) -> None:
    event = next(found for found in running.store.events if found.profile_id and found.metric_id)
    assert sdk.Events.get_event(event.id, include=["metric"]).data.id == event.id
    assert sdk.Events.get_metric_for_event(event.id).data.id == event.metric_id
    assert sdk.Events.get_profile_for_event(event.id).data.id == event.profile_id
    assert sdk.Events.get_metric_id_for_event(event.id).data.id == event.metric_id
    assert sdk.Events.get_profile_id_for_event(event.id).data.id == event.profile_id


def test_profiles(sdk: KlaviyoAPI, running: RunningSandbox) -> None:
    rows = _all(
        sdk.Profiles.get_profiles,
        additional_fields_profile=["subscriptions", "predictive_analytics"],
        page_size=100,
    )
    assert _ids(rows) == sorted(running.store.profiles.rows)
    one = sdk.Profiles.get_profile(rows[0].id, include=["lists"])
    assert one.data.attributes.email == rows[0].attributes.email


def test_lists_and_their_members(sdk: KlaviyoAPI, running: RunningSandbox) -> None:
    rows = _all(sdk.Lists.get_lists, include=["tags", "flow-triggers"])
    assert _ids(rows) == sorted(running.store.lists.rows)
    for row in rows:
        members = running.store.members[row.id].sorted
        found = _all(sdk.Lists.get_profiles_for_list, row.id, sort="joined_group_at", page_size=70)
        assert _ids(found) == [member.profile_id for member in members]
        related = _all(sdk.Lists.get_profile_ids_for_list, row.id, sort="-joined_group_at", page_size=70)
        assert _ids(related) == [member.profile_id for member in reversed(members)]
        one = sdk.Lists.get_list(row.id, additional_fields_list=["profile_count"])
        assert one.data.attributes.profile_count == len(members)


def test_templates(sdk: KlaviyoAPI, running: RunningSandbox) -> None:
    rows = _all(sdk.Templates.get_templates, additional_fields_template=["definition"], sort="-updated")
    assert sorted(_ids(rows)) == sorted(running.store.templates.rows)
    assert sdk.Templates.get_template(rows[0].id).data.attributes.html.startswith("<!DOCTYPE html>")


def test_campaigns_and_their_messages(sdk: KlaviyoAPI, running: RunningSandbox) -> None:
    rows = [
        row
        for archived in ("true", "false")
        for row in _all(
            sdk.Campaigns.get_campaigns,
            filter=f"equals(archived,{archived})",
            include=["campaign-messages", "campaign-audiences", "tags"],
            page_size=7,
        )
    ]
    assert sorted(_ids(rows)) == sorted(running.store.campaigns.rows)
    messages = _all(sdk.Campaigns.get_campaign_messages, sort="created", page_size=9)
    assert {found.id for row in rows for found in row.relationships.campaign_messages.data} == set(_ids(messages))
    one = sdk.Campaigns.get_campaign(rows[0].id).data
    assert _ids(_all(sdk.Campaigns.get_messages_for_campaign, one.id)) == _ids(one.relationships.campaign_messages.data)
    assert sdk.Campaigns.get_campaign_message(messages[0].id).data.attributes.definition.status


def test_metric_aggregates(sdk: KlaviyoAPI, running: RunningSandbox) -> None:
    question = {
        "data": {
            "type": "metric-aggregate",
            "attributes": {
                "metric_id": next(iter(running.store.metrics.rows)),
                "measurements": ["count"],
                "filter": [
                    "greater-or-equal(datetime,2026-11-01T00:00:00)",
                    "less-than(datetime,2026-11-08T00:00:00)",
                ],
            },
        }
    }
    assert len(sdk.Metrics.query_metric_aggregates(question).data.attributes.dates) == 7


def test_errors_are_the_sdks(sdk: KlaviyoAPI, running: RunningSandbox) -> None:
    with pytest.raises(NotFoundException):
        sdk.Lists.get_list("NOPE01")
    stranger = KlaviyoAPI("wrong", max_retries=1, test_host=running.url)
    with pytest.raises(UnauthorizedException):
        stranger.Metrics.get_metrics()
