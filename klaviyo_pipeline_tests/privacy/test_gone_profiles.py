"""Profiles that were deleted in Klaviyo or merged into others are marked, and only those."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from klaviyo_pipeline.loads.destination import Place
from klaviyo_pipeline.loads.gone_profiles import mark_gone_profiles
from klaviyo_pipeline.orchestration.automation.sweeping import SWEEP_JOB
from klaviyo_pipeline.sandbox.api.messages import Request, Response
from klaviyo_pipeline.warehouse.errors import OwnerError, ShrinkError, TableMissingError
from klaviyo_pipeline.warehouse.ledger import history
from klaviyo_pipeline.warehouse.marking import Marked
from klaviyo_pipeline.warehouse.shrinking import ShrinkLimits
from klaviyo_pipeline_tests.incremental.support import QUIET, Project
from klaviyo_pipeline_tests.orchestration.conftest import World
from klaviyo_pipeline_tests.privacy.people_in_a_shop import Shop


def swept(shop: Shop, shrink: ShrinkLimits | None = None) -> Marked:
    place = Place(database=shop.database, table="profiles")
    return mark_gone_profiles(shop.client, place, shop.area, shrink=shrink or ShrinkLimits())


def gone(shop: Shop) -> list[str]:
    return [row[0] for row in shop.sql("SELECT id FROM klaviyo.profiles WHERE _deleted_at IS NOT NULL ORDER BY id")]


def hide(shop: Shop, *hidden: str) -> None:
    """Have Klaviyo answer as if it had no such profiles."""

    def without(_operation: str, _request: Request, response: Response) -> Response:
        document = json.loads(response.body)
        if isinstance(document.get("data"), list):
            document["data"] = [each for each in document["data"] if each["id"] not in hidden]
        return Response(response.status, json.dumps(document).encode(), response.headers)

    shop.watched.alter = without


def test_profiles_that_klaviyo_no_longer_has_are_marked_and_unmarked_when_they_are_back(shop: Shop) -> None:
    shop.load("profiles")
    ids = sorted(row[0] for row in shop.sql("SELECT id FROM klaviyo.profiles"))
    before = shop.sql(
        "SELECT * EXCLUDE (_deleted_at) FROM (SELECT *, NULL AS _deleted_at FROM klaviyo.profiles) ORDER BY id"
    )
    shop.watched.requests.clear()

    assert swept(shop) == Marked(len(ids), 0, 0)
    asked = [request for request in shop.watched.requests if request.path == "/api/profiles"]
    assert {request.parameters.get("fields[profile]") for request in asked} == {"created"}
    assert gone(shop) == []

    hide(shop, *ids[:3])
    assert swept(shop) == Marked(len(ids), 3, 0)
    assert gone(shop) == ids[:3]
    marked = shop.sql("SELECT max(_deleted_at) FROM klaviyo.profiles")
    assert swept(shop) == Marked(len(ids) - 3, 0, 0)
    assert shop.sql("SELECT max(_deleted_at) FROM klaviyo.profiles") == marked, "when it was found first"

    hide(shop, ids[0])
    assert swept(shop) == Marked(len(ids) - 3, 0, 2)
    assert gone(shop) == ids[:1]
    assert shop.sql("SELECT * EXCLUDE (_deleted_at) FROM klaviyo.profiles ORDER BY id") == before
    entry = history(shop.database)[0]
    assert (entry.kind, entry.deleted, entry.revived, entry.table_name) == ("sweep", 0, 2, "klaviyo.profiles")


def test_profile_that_landed_while_the_ids_were_read_stays(shop: Shop) -> None:
    shop.load("profiles")
    with shop.database.writing() as con:
        con.execute(
            "INSERT INTO klaviyo.profiles (id, _loaded_at) VALUES ('new', ?)", [datetime(9999, 1, 1, tzinfo=UTC)]
        )
    assert swept(shop).deleted == 0
    assert gone(shop) == []


def test_ids_that_lack_far_too_many_rows_change_nothing_without_consent(shop: Shop) -> None:
    shop.load("profiles")
    ids = [row[0] for row in shop.sql("SELECT id FROM klaviyo.profiles")]
    for missing in (ids, ids[:-1]):
        hide(shop, *missing)
        with pytest.raises(ShrinkError, match=r"lack \d+ of the \d+ rows.*--accept-shrink"):
            swept(shop)
    with pytest.raises(Exception, match="Binder"):
        gone(shop)
    assert swept(shop, ShrinkLimits(share=1, rows=1000)).deleted == len(ids) - 1


def test_table_of_another_account_is_refused_and_so_is_one_that_is_missing(shop: Shop) -> None:
    with pytest.raises(TableMissingError, match="Load profiles first"):
        swept(shop)
    shop.load("profiles")
    with shop.database.writing() as con:
        con.execute("UPDATE klaviyo_pipeline.ledger SET account = 'Another', account_key = 'of another'")
    with pytest.raises(OwnerError):
        swept(shop)


def test_job_of_dagster_marks_them_and_observes_the_asset(shop: Shop) -> None:
    shop.load("profiles")
    (first, *_) = sorted(row[0] for row in shop.sql("SELECT id FROM klaviyo.profiles"))
    hide(shop, first)
    project = Project(World(shop.sandbox, shop.database.file))
    job = project.definitions.resolve_job_def(SWEEP_JOB)
    result = job.execute_in_process(instance=project.instance, run_config=QUIET)
    (observed,) = result.asset_observations_for_node(f"{SWEEP_JOB}_profiles")
    assert observed.asset_key.path == ["klaviyo", "profiles"]
    assert observed.metadata["marked_deleted"].value == 1
    assert gone(shop) == [first]
