"""What Dagster's pages and logs say: why a check was skipped, descriptions without markup, owners of one's own."""

from __future__ import annotations

import re

import dagster as dg
import pytest

from klaviyo_pipeline.definitions import definitions
from klaviyo_pipeline.orchestration.assets.build import build_assets
from klaviyo_pipeline.orchestration.checks.reconciliation import build_reconciliation_checks
from klaviyo_pipeline.orchestration.partitions import daily_partitions
from klaviyo_pipeline_tests.core import CORE
from klaviyo_pipeline_tests.orchestration.conftest import World

_MARKUP = re.compile(r"\]\(|[`*#]|^[-|>] ", re.MULTILINE)


def test_reconciliation_along_with_a_load_says_why_it_was_skipped_and_the_log_misses_no_output(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    (checks,) = build_reconciliation_checks()
    result = world.run("events", "list_profiles", days="2026-11-18", extra_assets=(checks,), log_level="DEBUG")

    assert result.success
    assert checks.op.name in {event.step_key for event in result.all_events}
    assert result.get_asset_check_evaluations() == []
    log = capfd.readouterr().err
    assert "Skipped, nothing was compared with Klaviyo's counts: with_loads is off." in log
    assert "did not yield or return expected outputs" not in log
    assert all("with_loads" in str(spec.description) for spec in checks.check_specs)


def test_reconciliation_along_with_a_load_that_asks_for_it_compares(world: World) -> None:
    (checks,) = build_reconciliation_checks()
    result = world.run(
        "events", days="2026-11-18", extra_assets=(checks,), checks={checks.op.name: {"with_loads": True}}
    )

    assert result.success
    assert [each.passed for each in result.get_asset_check_evaluations()] == [True]


def test_descriptions_in_the_catalog_have_no_markup_and_link_klaviyo_s_documentation_in_metadata() -> None:
    described = {spec.key.to_user_string(): spec for spec in definitions().resolve_all_asset_specs()}
    assert {f"klaviyo/{name}" for name in CORE} < set(described)
    for name, spec in described.items():
        assert spec.description, name
        assert not _MARKUP.search(spec.description), spec.description
    for name, source in CORE.items():
        assert described[f"klaviyo/{name}"].metadata["documentation"] == dg.MetadataValue.url(source.doc)


def test_owners_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_OWNERS", "team:growth, data@shop.example")
    owners = [spec.owners for spec in definitions().resolve_all_asset_specs()]
    assert owners
    assert all(list(each) == ["team:growth", "data@shop.example"] for each in owners)

    monkeypatch.delenv("KLAVIYO_OWNERS")
    (spec,) = build_assets(daily_partitions("2026-01-01", "UTC"))[0].specs
    assert spec.owners == ["team:data-platform"]
