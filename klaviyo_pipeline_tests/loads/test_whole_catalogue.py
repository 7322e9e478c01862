"""Data sources beyond the core ones: their rows are the sandbox's, and a second load changes none."""

from __future__ import annotations

import json

import pytest

from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.catalogue.revisions import DEFAULT_REVISION, REVISIONS
from klaviyo_pipeline.orchestration.skipping import skipped_in
from klaviyo_pipeline.sandbox.api.contracts import Endpoint
from klaviyo_pipeline.sandbox.api.messages import Request, Response
from klaviyo_pipeline.sandbox.app import Sandbox
from klaviyo_pipeline_tests.cases import case
from klaviyo_pipeline_tests.orchestration.conftest import FIRST_DAY, LAST_DAY, World, failure_text, world
from klaviyo_pipeline_tests.sandbox import openapi

__all__ = ["world"]

Answers = dict[tuple[str, str], list[bytes]]
NEWEST = REVISIONS[-1].name
SERVED = ("custom_metrics", "mapped_metrics", "segments", "flows", "forms", "tags", "tag_groups")


def test_collections_have_the_rows_of_the_sandbox(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    names = (*SERVED, "accounts", "segment_profiles")
    monkeypatch.setenv("KLAVIYO_SOURCES", ",".join(("core", *names)))
    assert world.run(*names).success
    for name in SERVED:
        source = SOURCES[name]
        rows = world.truth(source.path.removeprefix("/api/"))
        assert world.column(f"SELECT id FROM klaviyo.{name} ORDER BY id") == sorted(row["id"] for row in rows) != []
        if any(column.name == "name" for column in source.columns):
            assert world.sql(f"SELECT id, name FROM klaviyo.{name} ORDER BY id") == sorted(
                (row["id"], row["name"]) for row in rows
            )
    members = sorted((row["segment_id"], row["profile_id"]) for row in world.truth("segment-members"))
    assert world.sql("SELECT segment_id, profile_id FROM klaviyo.segment_profiles ORDER BY ALL") == members != []
    assert set(world.column("SELECT DISTINCT archived FROM klaviyo.flows")) == {True, False}
    assert world.sql("SELECT count(*), count(timezone) FROM klaviyo.accounts") == [(1, 1)]
    assert world.sql(
        "SELECT count(*) FROM klaviyo.tags WHERE tag_group_id NOT IN (SELECT id FROM klaviyo.tag_groups)"
    ) == [(0,)]
    for name in names:
        assert all(each is None for each in world.column(f"SELECT _extra FROM klaviyo.{name}")), name


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """The sandbox's first answers to each operation, as a load gets them, by revision and path."""
    found: Answers = {}
    respond = Sandbox.respond

    def noting(self: Sandbox, request: Request, operation: str, endpoint: tuple[Endpoint, str] | None) -> Response:
        response = respond(self, request, operation, endpoint)
        whole = not any(name.startswith("fields[") for name, _value in request.query)
        if endpoint is not None and response.status == 200:
            kept = found.setdefault((request.headers["revision"], endpoint[0].path), [])
            if whole and len(kept) < 2:  # a sparse answer lacks what the documents require
                kept.append(response.body)
        return response

    monkeypatch.setattr(Sandbox, "respond", noting)
    return found


def check_answers(answers: Answers, names: list[str], revision: str) -> None:
    """Each data source was read, and the answers are as Klaviyo's OpenAPI documents say."""
    paths = {path for _revision, path in answers}
    for name in names:
        assert SOURCES[name].path.removeprefix("/api/") in paths, name
    if not openapi.DOCUMENTS.exists():
        return
    for (answered, path), bodies in answers.items():
        for body in bodies if answered == revision else ():
            with case(path):
                openapi.check(revision, openapi.path_of(revision, path), "GET", 200, json.loads(body))


@pytest.mark.long
def test_every_collection_of_the_catalogue_is_loaded_twice_with_the_same_tables_from_answers_as_documented(
    world: World, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_SOURCES", "all")
    names = [name for name, source in SOURCES.items() if source.report is None and source.since <= DEFAULT_REVISION]
    load_twice(world, names, DEFAULT_REVISION)
    check_answers(answers, names, DEFAULT_REVISION)
    jobs = world.truth("profile-bulk-import-jobs")
    of_jobs = sorted((job["id"], each) for job in jobs for each in job["related"]["lists"])
    assert world.sql("SELECT job_id, list_id FROM klaviyo.profile_import_job_lists ORDER BY ALL") == of_jobs != []


def test_what_the_newest_revision_adds_is_loaded_twice_with_the_same_tables_once_it_is_set(
    world: World, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_SOURCES", "all")
    names = [name for name, source in SOURCES.items() if source.since == NEWEST]
    assert set(skipped_in(world.run(*names))) == set(names) != set()
    assert world.state() == {}
    load_twice(world, names, NEWEST)
    check_answers(answers, names, NEWEST)

    campaigns = list(world.sandbox.store.campaigns)
    said = world.sql("SELECT campaign_message_id, channel FROM klaviyo.campaign_variations ORDER BY ALL")
    assert said == sorted((message.id, row.channel) for row in campaigns for message in row.messages)
    tags = world.sql("SELECT campaign_message_id, tag_id FROM klaviyo.campaign_message_tags ORDER BY ALL")
    assert tags == sorted((message.id, tag) for row in campaigns for message in row.messages for tag in row.tag_ids)
    translated = "SELECT id FROM klaviyo.{} WHERE {} IS NOT NULL ORDER BY id"
    assert world.column(translated.format("translations", "template_id")) == world.ids("translations") != []
    assert world.column(translated.format("translation_values", '"values"')) == world.ids("translations")
    assert world.column("SELECT registration_status FROM klaviyo.text_messaging_senders") == ["approved"]
    assert world.column(
        "SELECT count(*) FROM klaviyo.brand_email_defaults JOIN klaviyo.brand_logos AS l ON brand_logo_id = l.id "
        "WHERE image_id IS NOT NULL"
    ) == [1]
    used = "SELECT DISTINCT usage_id FROM klaviyo.billing_usage WHERE usage_used <= usage_max ORDER BY 1"
    assert world.column(used) == ["profiles", "sms_credits"]
    for name in names:
        assert all(each is None for each in world.column(f"SELECT _extra FROM klaviyo.{name}")), name


def load_twice(world: World, names: list[str], revision: str) -> None:
    """Load data sources twice: the tables have rows, and these stay as they are."""
    account = {"revision": revision}
    result = world.run(*names, days=(FIRST_DAY, LAST_DAY), klaviyo=account)
    assert result.success, failure_text(result)
    first = world.state()
    assert {f"klaviyo.{name}" for name in names} == set(first)
    assert [name for name, rows in first.items() if not rows] == []

    result = world.run(*names, days=(FIRST_DAY, LAST_DAY), klaviyo=account)
    assert result.success, failure_text(result)
    second = world.state()
    for name in names:
        rows, again = first[f"klaviyo.{name}"], second[f"klaviyo.{name}"]
        assert set(rows) <= set(again), name
        assert rows == again or SOURCES[name].observed_at, name
