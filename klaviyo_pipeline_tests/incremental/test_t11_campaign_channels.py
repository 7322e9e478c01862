"""T11, coverage gaps: every channel of campaigns, archived ones too, with what their messages say, in one table."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from klaviyo_pipeline_tests.incremental.support import EVERYTHING, UNTIL
from klaviyo_pipeline_tests.orchestration.conftest import World

CHANNELS = ("email", "sms", "mobile_push")
REVISIONS = ("2025-01-15", "2026-07-15", "2026-10-15")


@pytest.fixture
def campaigns(world: World) -> World:
    """A campaign of every channel, archived and not, beside the shop's."""
    rows = [
        {
            "id": f"C{channel}{archived}",
            "name": f"{channel} {archived}",
            "channel": channel,
            "archived": archived,
            "status": "Sent",
            "send_time": "2026-11-18T09:00:00+00:00",
            "updated_at": "2026-11-18T09:30:00+00:00",
        }
        for channel, archived in itertools.product(CHANNELS, (False, True))
    ]
    world.sandbox.store.put("campaigns", rows)
    return world


@pytest.mark.parametrize("revision", REVISIONS)
def test_t11_every_channel_archived_and_not_is_there_without_a_request_per_campaign(
    campaigns: World, revision: str
) -> None:
    campaigns.sandbox.reset_counts()

    assert campaigns.run("campaigns", **EVERYTHING, klaviyo={"revision": revision}).success

    ids = campaigns.column("SELECT id FROM klaviyo.campaigns")
    assert sorted(ids) == campaigns.ids("campaigns", until=UNTIL)
    assert {f"C{channel}{archived}" for channel in CHANNELS for archived in (False, True)} <= set(ids)
    counts = campaigns.sandbox.counts()
    assert counts["endpoints"].pop("get_accounts") == {"200": 1}, "whose rows they are, once for each key and database"
    assert list(counts["endpoints"]) == ["get_campaigns"]
    assert counts["total"] - 1 <= 6


def test_t11_channel_of_a_campaign_without_messages_is_the_one_that_was_asked_for(campaigns: World) -> None:
    store = campaigns.sandbox.store
    bare = {f"C{channel}{archived}": channel for channel in CHANNELS for archived in (False, True)}
    store.campaigns.put([replace(store.campaigns.rows[each], messages=()) for each in bare])

    assert campaigns.run("campaigns", **EVERYTHING).success

    found = campaigns.sql("SELECT id, channel FROM klaviyo.campaigns WHERE message_id IS NULL")
    assert dict(found) == bare
    assert campaigns.column("SELECT count(*) FROM klaviyo.campaigns WHERE channel IS NULL") == [0]


@pytest.mark.parametrize("revision", ["2025-01-15", "2026-07-15"])
def test_t11_message_fields_are_columns(campaigns: World, revision: str) -> None:
    assert campaigns.run("campaigns", **EVERYTHING, klaviyo={"revision": revision}).success

    columns = "id, channel, status, archived, subject, from_email, from_label, template_id, message_id"
    expected = {
        (
            row.id,
            row.channel,
            row.status,
            row.archived,
            row.messages[0].content.get("subject") if row.channel == "email" else None,
            row.messages[0].content.get("from_email") if row.channel == "email" else None,
            row.messages[0].content.get("from_label") if row.channel == "email" else None,
            row.messages[0].template_id,
            row.messages[0].id,
        )
        for row in campaigns.sandbox.store.campaigns
        if row.id in campaigns.ids("campaigns", until=UNTIL)
    }
    assert {row for row in expected if row[4] and row[5]}, "the shop has mails with subjects and senders"
    found = campaigns.sql(f"SELECT {columns} FROM klaviyo.campaigns")
    assert {(*row[:4], row[4] if row[1] == "email" else None, *row[5:]) for row in found} == expected
    sent = campaigns.sql("SELECT message_send_times->0->>'datetime' FROM klaviyo.campaigns WHERE id = 'CemailTrue'")
    assert sent == [("2026-11-18T09:00:00+00:00",)]


def test_t11_newest_revision_fills_what_it_offers_without_a_request_per_campaign(campaigns: World) -> None:
    assert campaigns.run("campaigns", **EVERYTHING, klaviyo={"revision": "2026-10-15"}).success

    row = campaigns.sql(
        "SELECT name, archived, status, strftime(timezone('UTC', send_time), '%H:%M'), "
        "(audiences->'included') IS NULL, "
        "send_options->>'send_time', tracking_options IS NULL, message_id, "
        "json_array_length(messages), json_array_length(campaign_audiences), subject, channel "
        "FROM klaviyo.campaigns WHERE id = 'CsmsTrue'"
    )
    sent = ("sent", "09:00", False, "2026-11-18T09:00:00+00:00", False)
    assert row == [("sms True", True, *sent, "CsmsTrueM", 1, 1, None, None)]
    assert campaigns.sql("SELECT count(*) = count(send_strategy) FROM klaviyo.campaigns") == [(True,)]


def test_t11_one_table_when_the_revision_changes_then_what_the_new_one_lacks_is_kept(campaigns: World) -> None:
    """Revision 2026-10-15 says nothing of subject and channel; rows read before keep theirs."""
    assert campaigns.run("campaigns", **EVERYTHING, klaviyo={"revision": "2026-07-15"}).success
    kept = "SELECT id, subject, from_email, template_id, channel, scheduled_at FROM klaviyo.campaigns ORDER BY id"
    before = campaigns.sql(kept)
    campaigns.sandbox.store.put(
        "campaigns", [{"id": "CemailFalse", "name": "renamed", "updated_at": "2026-11-19T08:00:00+00:00"}]
    )

    assert campaigns.run("campaigns", **EVERYTHING, klaviyo={"revision": "2026-10-15"}).success

    assert campaigns.sql(kept) == before
    assert campaigns.column("SELECT name FROM klaviyo.campaigns WHERE id = 'CemailFalse'") == ["renamed"]
    assert campaigns.sql("SELECT count(*) = count(campaign_audiences) FROM klaviyo.campaigns") == [(True,)]
