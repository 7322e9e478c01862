"""What joins the rooms: Klaviyo's clock and the ledger, its revisions and the table, nulls and cells."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from email.utils import formatdate
from typing import Any

import msgspec
import pytest

from klaviyo_pipeline import clock
from klaviyo_pipeline.sandbox.api.messages import Request, Response
from klaviyo_pipeline_tests.klaviyo.support import Watched
from klaviyo_pipeline_tests.orchestration.conftest import World

Alter = Callable[[str, Request, Response], Response]


@pytest.fixture
def answers(world: World, monkeypatch: pytest.MonkeyPatch) -> Watched:
    """The sandbox's answers, to be watched and altered."""
    watched = Watched()
    monkeypatch.setattr(world.sandbox.app, "faults", watched)
    return watched


# Klaviyo's clock


def dated_behind(hours: float) -> Alter:
    """Dates every answer so many hours before our clock."""

    def alter(_operation: str, _request: Request, response: Response) -> Response:
        date = formatdate(time.time() - hours * 3600, usegmt=True).encode()
        return Response(response.status, response.body, (*response.headers, (b"date", date)))

    return alter


def test_row_when_it_changed_between_klaviyos_now_and_ours_then_the_next_run_has_it(
    world: World, answers: Watched
) -> None:
    answers.alter = dated_behind(2)
    assert world.run("lists", config={"lookback_days": 0}).success
    ((window_end,),) = world.sql("SELECT epoch(window_end)::BIGINT FROM klaviyo_pipeline.ledger")
    now_s = clock.now().timestamp()
    assert now_s - 3 * 3600 < window_end <= now_s - 2 * 3600

    changed = (clock.now() - timedelta(hours=1)).replace(microsecond=0)
    world.sandbox.store.put("lists", [{"id": "LATE01", "name": "Between", "updated": changed.isoformat()}])
    assert world.run("lists", config={"lookback_days": 0}).success

    assert world.column("SELECT name FROM klaviyo.lists WHERE id = 'LATE01'") == ["Between"]


# An older revision answers


CAMPAIGN = "builder, color, description, campaign_audiences"
MESSAGE = "channel, subject, preview_text, from_email, from_label, reply_to_email, template_id, scheduled_at"
DAYS: dict[str, Any] = {"days": "2026-11-20", "config": {"start_time": "2024-01-01"}}


def cells(world: World, columns: str) -> list[tuple[Any, ...]]:
    return world.sql(f"SELECT id, {columns} FROM klaviyo.campaigns ORDER BY id")


def rename_every_campaign(world: World) -> set[str]:
    changes = [
        {"id": campaign.id, "name": f"Renamed {campaign.id}", "updated_at": "2026-11-20T11:59:59+00:00"}
        for campaign in world.sandbox.store.campaigns
    ]
    world.sandbox.store.put("campaigns", changes)
    return {change["name"] for change in changes}


@pytest.mark.parametrize(
    ("first", "then", "kept"), [("2026-10-15", "2026-07-15", CAMPAIGN), ("2026-07-15", "2026-10-15", MESSAGE)]
)
def test_columns_when_another_revision_lacks_them_then_updated_rows_keep_their_values(
    world: World, first: str, then: str, kept: str
) -> None:
    assert world.run("campaigns", **DAYS, klaviyo={"revision": first}).success
    before = cells(world, kept)
    assert any(value is not None for row in before for value in row[1:])
    names = rename_every_campaign(world)

    assert world.run("campaigns", **DAYS, klaviyo={"revision": then}).success

    assert set(world.column("SELECT name FROM klaviyo.campaigns")) == names
    assert cells(world, kept) == before
    assert world.column("SELECT updated FROM klaviyo_pipeline.ledger ORDER BY entry") == [0, len(names)]


# JSON null


def with_attributes(**attributes: Any) -> Alter:
    """Sets these attributes in every row; a dict is merged into the one there."""

    def alter(_operation: str, _request: Request, response: Response) -> Response:
        document = msgspec.json.decode(response.body)
        for each in document["data"] if response.status == 200 else ():
            for name, value in attributes.items():
                there = each["attributes"].get(name)
                each["attributes"][name] = {**there, **value} if isinstance(value, dict) and there else value
        return Response(response.status, msgspec.json.encode(document), response.headers)

    return alter


NULLS: dict[str, dict[str, Any]] = {
    "profiles": {
        "first_name": None,
        "properties": None,
        "location": {"city": None, "latitude": None},
        "last_event_date": None,
    },
    "templates": {"name": None, "html": None},
    "lists": {"name": None, "opt_in_process": None},
}


@pytest.mark.parametrize("source", NULLS)
def test_cells_when_klaviyo_says_null_then_are_null_and_not_the_text_null(
    world: World, answers: Watched, source: str
) -> None:
    whole = DAYS if source == "profiles" else {"config": {"incremental": False}}
    assert world.run(source, **whole).success
    answers.alter = with_attributes(**NULLS[source])

    assert world.run(source, **whole).success

    columns = [name for name in NULLS[source] if name != "location"]
    columns += ["location_city", "location_latitude"] if source == "profiles" else []
    is_null = " AND ".join(f"{name} IS NULL" for name in columns)
    rows = len(world.ids(source))
    assert world.sql(f"SELECT count(*), count(*) FILTER ({is_null}), count(_extra) FROM klaviyo.{source}") == [
        (rows, rows, 0)
    ]


def test_extra_when_unknown_attributes_and_nested_keys_are_only_null_then_is_empty(
    world: World, answers: Watched
) -> None:
    answers.alter = with_attributes(novelty=None, location={"planet": None})
    assert world.run("profiles", **DAYS).success
    assert world.sql("SELECT count(*) > 0, count(_extra) FROM klaviyo.profiles") == [(True, 0)]

    answers.alter = with_attributes(novelty=0, location={"planet": False})
    assert world.run("profiles", **DAYS).success
    assert set(world.column("SELECT _extra FROM klaviyo.profiles")) == {'{"novelty":0,"location":{"planet":false}}'}
