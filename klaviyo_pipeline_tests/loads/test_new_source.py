"""Data sources that the catalogue does not have: a declaration is all that their assets need."""

from __future__ import annotations

from dataclasses import replace

import pytest

from klaviyo_pipeline.klaviyo.catalogue.columns import Column, ColumnType
from klaviyo_pipeline.klaviyo.catalogue.declaring import STRING, TIMESTAMP, attribute, id_, key
from klaviyo_pipeline.klaviyo.catalogue.filters import EQUALS, condition
from klaviyo_pipeline.klaviyo.catalogue.model import LARGE, MEDIUM, FanOut, Source
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
from klaviyo_pipeline.klaviyo.endpoints.key_check import check_account
from klaviyo_pipeline.orchestration.assets.build import asset_key
from klaviyo_pipeline.orchestration.skipping import skipped_in
from klaviyo_pipeline_tests.orchestration.conftest import World, failure_text, world

__all__ = ["world"]

PLAIN = Source(
    name="kinds_of_events",
    title="Kinds of events",
    description="A plain collection.",
    doc="https://developers.klaviyo.com/en/reference/get_metrics",
    path="/api/metrics",
    resource="metric",
    scopes=("metrics:read",),
    columns=(id_("The id."), attribute("name", STRING, "The name.")),
    tier=(("", MEDIUM),),
    incremental=False,
    shows_deletions=True,
)
STREAMS = Source(
    name="mails",
    title="Mails",
    description="A collection that takes two fixed conditions to be whole.",
    doc="https://developers.klaviyo.com/en/reference/get_campaigns",
    path="/api/campaigns",
    resource="campaign",
    scopes=("campaigns:read",),
    columns=(
        id_("The id."),
        attribute("name", STRING, "The name."),
        attribute("archived", ColumnType.BOOLEAN, "Whether it is archived."),
        attribute("updated_at", TIMESTAMP, "When it last changed."),
    ),
    tier=(("", MEDIUM),),
    streams=(
        (
            "",
            tuple(
                (condition(EQUALS, "messages.channel", "email"), condition(EQUALS, "archived", archived))
                for archived in (False, True)
            ),
        ),
    ),
    incremental=False,
)
COMPOUND = Source(
    name="readers",
    title="Readers",
    description="Rows of a parent, with a key of two columns.",
    doc="https://developers.klaviyo.com/en/reference/get_profiles_for_list",
    path="/api/lists/{id}/profiles",
    resource="profile",
    scopes=("lists:read", "profiles:read"),
    columns=(
        Column("id", STRING, None, "Newsletter and person.", made_of=("newsletter_id", "person_id")),
        key(Column("newsletter_id", STRING, None, "The list."), "lists"),
        key(replace(id_("The profile."), name="person_id"), "profiles"),
        attribute("joined_group_at", TIMESTAMP, "When the person joined."),
    ),
    tier=(("", LARGE),),
    page_size=(("", 100),),
    fan_out=FanOut(
        parent="lists",
        noun="newsletter",
        id_column="newsletter_id",
        setting="newsletter_ids",
        limits="Read only these newsletters.",
        count_field="profile_count",
    ),
    incremental=False,
    shows_deletions=True,
)


LATER = replace(PLAIN, name="metrics_to_come", title="Metrics to come", since="2026-10-15")


@pytest.fixture(autouse=True)
def declared(monkeypatch: pytest.MonkeyPatch) -> None:
    """The catalogue has these as well."""
    monkeypatch.setenv("KLAVIYO_SOURCES", ",".join(("core", PLAIN.name, STREAMS.name, COMPOUND.name, LATER.name)))
    for source in (PLAIN, STREAMS, COMPOUND, LATER):
        monkeypatch.setitem(SOURCES, source.name, source)


def test_plain_collection_lands_and_marks_what_is_gone(world: World) -> None:
    assert world.run("kinds_of_events").success
    rows = world.sql("SELECT id, name FROM klaviyo.kinds_of_events ORDER BY id")
    assert rows == sorted((row["id"], row["name"]) for row in world.truth("metrics"))

    gone = rows[0][0]
    world.sandbox.store.delete("metrics", gone)
    assert world.run("kinds_of_events").success
    assert world.column("SELECT id FROM klaviyo.kinds_of_events WHERE _deleted_at IS NOT NULL") == [gone]


def test_fixed_streams_together_are_the_collection(world: World) -> None:
    assert world.run("mails").success
    assert world.run("campaigns", config={"incremental": False}, days="2026-11-20").success

    assert set(world.column("SELECT DISTINCT archived FROM klaviyo.mails")) == {True, False}
    of_email = world.sql("SELECT id, archived FROM klaviyo.campaigns WHERE channel = 'email' ORDER BY ALL")
    assert world.sql("SELECT id, archived FROM klaviyo.mails ORDER BY ALL") == of_email != []


def test_rows_of_a_parent_have_a_key_of_two_columns_and_a_setting_of_their_own(world: World) -> None:
    assert world.run("readers").success
    rows = world.sql("SELECT id, newsletter_id, person_id FROM klaviyo.readers ORDER BY ALL")
    members = sorted((row["list_id"], row["profile_id"]) for row in world.truth("members"))
    assert sorted(row[1:] for row in rows) == members
    assert all(id_ == f"{newsletter}:{person}" for id_, newsletter, person in rows)

    # Two leave; only the newsletter that is read again notices.
    (newsletter, person), (other, stranger) = members[0], members[-1]
    assert newsletter != other
    world.sandbox.store.remove_member(newsletter, person)
    world.sandbox.store.remove_member(other, stranger)
    assert world.run("readers", config={"newsletter_ids": [newsletter]}).success
    assert world.column("SELECT id FROM klaviyo.readers WHERE _deleted_at IS NOT NULL") == [f"{newsletter}:{person}"]


def test_source_that_begins_with_a_later_revision_is_skipped_and_says_so(world: World) -> None:
    result = world.run(LATER.name, "metrics")
    assert result.success
    assert skipped_in(result) == {
        LATER.name: "Metrics to come: Klaviyo has them from revision 2026-10-15 on, and 2026-07-15 answers. "
        "Set KLAVIYO_REVISION, or the account's revision, to 2026-10-15."
    }
    checked = check_account(KlaviyoClient("pk_sandbox", base_url=world.sandbox.url), [LATER.name, "metrics"])
    assert [each.problem for each in checked.sources] == [skipped_in(result)[LATER.name], ""]
    assert [event.asset_key for event in result.get_asset_materialization_events()] == [asset_key(SOURCES["metrics"])]
    assert world.column("SELECT table_name FROM information_schema.tables WHERE table_schema = 'klaviyo'") == [
        "metrics"
    ]


def test_source_that_the_key_may_not_read_is_skipped_and_one_of_the_core_fails(world: World) -> None:
    key = {"api_key": "pk_events_only"}
    result = world.run(PLAIN.name, COMPOUND.name, klaviyo=key)
    assert result.success
    skipped = skipped_in(result)
    assert "needs metrics:read" in skipped[PLAIN.name]
    assert "needs lists:read" in skipped[COMPOUND.name]
    assert not result.get_asset_materialization_events()
    assert not world.path.exists()

    failed = world.run("metrics", klaviyo=key)
    assert "needs metrics:read" in failure_text(failed)


def test_key_that_loses_a_scope_later_skips_the_load_and_leaves_its_tables(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("flows", "segment_profiles", "suppressions", "list_counts")
    monkeypatch.setenv("KLAVIYO_SOURCES", ",".join(("core", *names, "flow_actions", "flow_tags")))
    assert world.run(*names).success
    before = world.state()
    assert {"klaviyo.flow_actions", "klaviyo.flow_tags"} < set(before)

    app = world.sandbox.app
    left = frozenset({"accounts:read", "segments:read", "profiles:read"})
    app.options = replace(app.options, keys={"pk_sandbox": left})
    result = world.run(*names)
    assert result.success
    skipped = skipped_in(result)
    assert set(skipped) == {"flows", "suppressions", "list_counts"}
    assert "needs flows:read" in skipped["flows"]
    assert "needs lists:read" in skipped["suppressions"], "of what it reads first"
    assert world.state() == before

    # In the middle of a load: the segments may be read, their members may not.
    app.options = replace(app.options, keys={"pk_sandbox": left - {"profiles:read"}})
    result = world.run("segment_profiles")
    assert result.success
    assert "needs segments:read and profiles:read" in skipped_in(result)["segment_profiles"]
    assert world.state() == before
