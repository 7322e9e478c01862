"""T8, revision retirement: warned of half a year ahead, said once it has happened, rows shaped by the answer."""

from __future__ import annotations

from datetime import date, timedelta

import dagster as dg
import pytest

from klaviyo_pipeline.klaviyo.catalogue.revisions import DEFAULT_REVISION, REVISIONS, expected_answer, sunset_of
from klaviyo_pipeline.orchestration.checks.upkeep import REVISION_IS_SERVED, revision_check
from klaviyo_pipeline_tests.breadth import few
from klaviyo_pipeline_tests.core import CORE
from klaviyo_pipeline_tests.incremental.support import EVERYTHING, UNTIL, Project, evaluations
from klaviyo_pipeline_tests.orchestration.conftest import World

# The oldest and newest that live, and those between with another page size or shape.
LIVING = ["2025-01-15", "2025-10-15", "2026-04-15", "2026-10-15"]


@pytest.mark.parametrize("known", REVISIONS, ids=lambda known: known.name)
def test_t8_each_revision_is_served_for_two_years(known) -> None:
    assert known.sunset == date(int(known.name[:4]) + 2, int(known.name[5:7]), int(known.name[8:]))
    assert expected_answer(known.name, known.sunset - timedelta(days=1)) == known.name
    assert expected_answer(known.name, known.sunset) != known.name or known is REVISIONS[-1]


@pytest.mark.parametrize(
    ("left", "passes"), [(400, True), (181, True), (180, False), (1, False), (0, False), (-30, False)]
)
def test_t8_check_warns_from_180_days_before_the_sunset_on(left: int, passes: bool) -> None:
    today = sunset_of(DEFAULT_REVISION) - timedelta(days=left)

    result = revision_check("", today)

    assert result.passed is passes
    assert result.severity is dg.AssetCheckSeverity.WARN
    assert result.metadata["days_left"].value == left
    assert DEFAULT_REVISION in result.description
    assert str(sunset_of(DEFAULT_REVISION)) in result.description
    if not passes:
        assert REVISIONS[-1].name in result.description


def test_t8_check_runs_with_every_asset(world: World) -> None:
    result = Project(world).load(*CORE, days=("2026-11-18", "2026-11-18"))

    found = evaluations(result, REVISION_IS_SERVED)
    assert sorted(found) == sorted(CORE)
    assert all(each.passed for each in found.values())


def test_t8_retired_revision_then_falling_forward_is_said_once_a_run(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    project = Project(world, revision="2023-02-22")

    for run in (1, 2):
        result = project.load("metrics", "lists", "templates", "events", days=("2026-11-18", "2026-11-18"))
        said = [
            record
            for record in project.instance.all_logs(result.run_id)
            if "Revision 2023-02-22 is retired: Klaviyo answered as 2025-01-15" in record.user_message
        ]
        assert len(said) == 1, f"run {run}"
        assert not any(each.passed for each in evaluations(result, REVISION_IS_SERVED).values())
    assert set(world.column("SELECT DISTINCT revision FROM klaviyo_pipeline.ledger")) == {"2025-01-15"}


def test_t8_retired_revision_then_rows_have_the_shape_of_the_one_that_answered(world: World) -> None:
    assert world.run("campaigns", **EVERYTHING, klaviyo={"revision": "2022-10-17"}).success
    fallen = world.sql("SELECT * EXCLUDE (_loaded_at, _run_id) FROM klaviyo.campaigns ORDER BY id")
    world.path.unlink()

    assert world.run("campaigns", **EVERYTHING, klaviyo={"revision": "2025-01-15"}).success

    assert world.sql("SELECT * EXCLUDE (_loaded_at, _run_id) FROM klaviyo.campaigns ORDER BY id") == fallen
    assert world.sql("SELECT count(subject) > 0, count(status) = count(*) FROM klaviyo.campaigns") == [(True, True)]


@pytest.mark.parametrize("revision", few(LIVING, 2))
def test_t8_living_revision_then_every_asset_has_all_rows_and_no_unknown_attribute(world: World, revision: str) -> None:
    partitioned, others = ("events", "profiles", "campaigns"), ("metrics", "lists", "templates", "list_profiles")

    assert world.run(*partitioned, **EVERYTHING, klaviyo={"revision": revision}).success
    assert world.run(*others, klaviyo={"revision": revision}).success

    for name in partitioned:
        expected = world.truth(name, until=UNTIL)
        if name == "events" and revision < "2026-07-15":
            # Until then Klaviyo leaves out events whose metric it can not resolve.
            expected = [row for row in expected if row["metric_id"]]
        assert sorted(world.column(f"SELECT id FROM klaviyo.{name}")) == sorted(row["id"] for row in expected)
    for name in (*partitioned, *others):
        assert world.sql(f"SELECT count(*) > 0, count(_extra) FROM klaviyo.{name}") == [(True, 0)], name
    truth = {(row.id, row.name, row.archived, row.messages[0].id) for row in world.sandbox.store.campaigns}
    assert set(world.sql("SELECT id, name, archived, message_id FROM klaviyo.campaigns")) <= truth
    filled = ("status", "send_time", "audiences", "send_options", "tracking_options", "send_strategy", "messages")
    counts = ", ".join(f"count({name}) > 0" for name in filled)
    assert world.sql(f"SELECT {counts} FROM klaviyo.campaigns") == [(True,) * len(filled)]
