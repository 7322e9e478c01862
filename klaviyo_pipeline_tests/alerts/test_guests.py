"""Status, report and alerts of one account in a project of others, which has failures of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from klaviyo_pipeline import build_definitions, clock
from klaviyo_pipeline.alerts import problems
from klaviyo_pipeline.sandbox.options import SandboxOptions
from klaviyo_pipeline.sandbox.server import RunningSandbox, running_sandbox
from klaviyo_pipeline_tests.alerts.servers import Receiver
from klaviyo_pipeline_tests.orchestration.conftest import UNTIL

SHOP = SandboxOptions(seed=3, profiles=20, events=50, days=6, until=UNTIL, lists=3)


@dataclass
class Project:
    """A project with an asset that fails and two accounts, one of them with an overview."""

    definitions: dg.Definitions
    instance: dg.DagsterInstance
    folder: Path
    cursor: str | None = None

    def run(self, *keys: str) -> bool:
        selection = [dg.AssetKey.from_user_string(key) for key in keys]
        return (
            self.definitions.resolve_implicit_global_asset_job_def()
            .execute_in_process(asset_selection=selection, instance=self.instance, raise_on_error=False)
            .success
        )

    def look(self) -> str:
        """One look of the sensor; what it says."""
        repository = self.definitions.get_repository_def()
        context = dg.build_sensor_context(self.instance, cursor=self.cursor, repository_def=repository)
        found = repository.get_sensor_def("brand_us_alerts_sensor").evaluate_tick(context)
        self.cursor = found.cursor
        return found.skip_message or ""

    def metadata(self, key: str) -> dict[str, object]:
        event = self.instance.get_latest_materialization_event(dg.AssetKey.from_user_string(key))
        assert event is not None
        assert event.asset_materialization is not None
        return {name: each.value for name, each in event.asset_materialization.metadata.items()}


@pytest.fixture(scope="module")
def shop() -> Iterator[RunningSandbox]:
    with running_sandbox(SHOP) as running:
        yield running


@pytest.fixture
def project(tmp_path: Path, shop: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    @dg.asset
    def orders() -> None:
        raise ValueError("The project's own fault.")

    # Dagster's records know the machine's time only, and at that time a revision may end.
    monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC))
    monkeypatch.setattr(problems, "_revision", lambda _now, _chosen: ())
    monkeypatch.setenv("BRAND_US_KEY", shop.api_key)
    monkeypatch.setenv("BRAND_UK_KEY", "pk_wrong")
    monkeypatch.setenv("BRANDS", str(tmp_path / "brands.duckdb"))
    monkeypatch.delenv("KLAVIYO_API_KEY", raising=False)
    accounts = [
        build_definitions(
            account=name,
            api_key=dg.EnvVar(f"{name.upper()}_KEY"),
            base_url=shop.url,
            database=dg.EnvVar("BRANDS"),
            sources=["metrics", "lists"],
            overview=name == "brand_us",
        )
        for name in ("brand_us", "brand_uk")
    ]
    (tmp_path / "home").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "home")) as instance:
        yield Project(dg.Definitions.merge(dg.Definitions(assets=[orders]), *accounts), instance, tmp_path)


def test_broken_load_of_the_account_and_its_recovery_are_two_messages_and_others_are_none(
    project: Project, shop: RunningSandbox, slack: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_ALERT_WEBHOOK", slack.address)
    assert project.run("brand_us/metrics", "brand_us/lists")
    assert not project.run("orders")
    assert not project.run("brand_uk/lists")
    assert project.look() == "0 problems now; 0 messages sent."

    monkeypatch.setenv("BRAND_US_KEY", "pk_wrong")
    assert not project.run("brand_us/lists")
    for _ in range(2):
        project.look()
    monkeypatch.setenv("BRAND_US_KEY", shop.api_key)
    assert project.run("brand_us/lists")
    for _ in range(2):
        project.look()

    begun, ended = slack.received
    assert begun["blocks"][0]["text"]["text"] == "Load failed: brand_us/lists"
    assert ended["blocks"][0]["text"]["text"] == "Well again: Load failed: brand_us/lists"


def test_status_and_report_are_about_the_account_only_and_its_file_has_its_name(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert project.run("brand_us/metrics", "brand_us/lists")
    monkeypatch.setenv("BRAND_UK_KEY", "pk_sandbox")
    assert project.run("brand_uk/lists")

    assert project.run("brand_us_status", "brand_us_report")

    assert project.metadata("brand_us_status")["tables"] == 2
    file = project.folder / "brand_us-report.html"
    assert project.metadata("brand_us_report")["file"] == str(file)
    text = file.read_text()
    assert "brand_us.lists" in text
    assert "brand_uk" not in text
    keys = {key.to_user_string() for key in project.definitions.resolve_asset_graph().get_all_asset_keys()}
    assert "brand_uk_status" not in keys
    assert "klaviyo_status" not in keys
