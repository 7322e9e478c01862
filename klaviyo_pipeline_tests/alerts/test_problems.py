"""Which problems there are: of tables, checks, quotas and revisions, and when they end."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg
import pytest

from klaviyo_pipeline.alerts.messages import json_message, mail, slack_message
from klaviyo_pipeline.alerts.problems import Problem, problems
from klaviyo_pipeline.klaviyo.catalogue.revisions import DEFAULT_REVISION, sunset_of
from klaviyo_pipeline.redaction import keep_secret
from klaviyo_pipeline.status.model import QuotaStatus, State, Status, TableStatus

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
NAMES = ("counts_agree_with_klaviyo", "attributes_are_known", "primary_key_is_unique", "values_are_documented")


@dg.asset(key=["klaviyo", "events"])
def events() -> None: ...


@dg.asset(key=["klaviyo_analytics", "daily_metrics"])
def daily_metrics(fails: dg.ResourceParam[list[bool]]) -> None:
    if fails:
        raise dg.Failure("The table events has no rows.\nMore of it.")


def check(name: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=events, name=name)
    def checked() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True)

    return checked


FAILS: list[bool] = []
DEFS = dg.Definitions(
    assets=[events, daily_metrics], asset_checks=[check(name) for name in NAMES], resources={"fails": FAILS}
)


@pytest.fixture
def instance() -> dg.DagsterInstance:
    return dg.DagsterInstance.ephemeral()


def evaluated(instance: dg.DagsterInstance, name: str, *, passed: bool, warns: bool = True) -> None:
    severity = dg.AssetCheckSeverity.WARN if warns else dg.AssetCheckSeverity.ERROR
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=events.key, check_name=name, passed=passed, metadata={}, severity=severity, description="Because."
        )
    )


def found(instance: dg.DagsterInstance, status: Status | None = None, told: tuple[str, ...] = ()) -> dict[str, Problem]:
    listed = problems(status or Status(NOW, []), DEFS.get_repository_def(), instance, told)
    assert len({each.key for each in listed}) == len(listed)
    return {each.key: each for each in listed}


def test_table_that_failed_and_is_late_afterwards_is_one_problem(instance: dg.DagsterInstance) -> None:
    def status(state: State) -> Status:
        table = TableStatus(
            "klaviyo/events", "events", "klaviyo.events", "k", state, lag_s=7200, late_s=3600, error="No."
        )
        return Status(NOW, [table])

    failed, late = found(instance, status(State.FAILED)), found(instance, status(State.LATE))
    assert set(failed) == set(late) == {"table klaviyo/events"}
    assert failed["table klaviyo/events"].sentence == "No."
    assert "2 h 0 min ago, which is late by 1 h 0 min" in late["table klaviyo/events"].sentence
    for state in (State.OK, State.SKIPPED, State.NEVER):
        assert not found(instance, status(state))


def test_checks_that_are_problems_and_those_that_are_not(instance: dg.DagsterInstance) -> None:
    for name in NAMES:
        evaluated(instance, name, passed=False)
    titles = [each.title for each in found(instance).values()]
    assert titles == ["New attributes at Klaviyo: klaviyo/events", "Counts differ from Klaviyo's: klaviyo/events"]
    evaluated(instance, "primary_key_is_unique", passed=False, warns=False)
    assert "Check primary_key_is_unique failed: klaviyo/events" in [each.title for each in found(instance).values()]
    for name in NAMES:
        evaluated(instance, name, passed=True)
    assert not found(instance)


def test_asset_that_is_no_table_is_a_problem_until_it_is_made(instance: dg.DagsterInstance) -> None:
    job = DEFS.resolve_implicit_global_asset_job_def()
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    for fails in (True, False):
        FAILS[:] = [True] if fails else []
        job.execute_in_process(
            asset_selection=[daily_metrics.key], instance=instance, raise_on_error=False, run_config=quiet
        )
        shown = [(each.title, each.sentence) for each in found(instance).values()]
        expected = ("Asset failed: klaviyo_analytics/daily_metrics", "The table events has no rows.")
        assert shown == ([expected] if fails else [])


def test_quota_is_a_problem_from_its_last_request_until_a_tenth_is_left(instance: dg.DagsterInstance) -> None:
    key = "quota AbC reports"

    def of(left: int, *told: str) -> bool:
        return key in found(instance, Status(NOW, [], [QuotaStatus("AbC", "reports", 225, left)]), told)

    assert not of(1)
    assert of(0)
    assert of(1, key)
    assert of(22, key)
    assert not of(23, key)


def test_revision_is_a_problem_in_the_half_year_before_it_ends(instance: dg.DagsterInstance) -> None:
    end = sunset_of(DEFAULT_REVISION)
    at = datetime(end.year, end.month, end.day, tzinfo=UTC)
    told = found(instance, Status(at, []))
    assert set(told) == {"revision"}
    assert str(end) in told["revision"].sentence


def test_messages_hold_no_secret_no_mention_and_no_second_header() -> None:
    keep_secret("secret-of-the-test")
    problem = Problem("k", "Load failed: <!channel>\r\nBcc: x@y.example", "Key secret-of-the-test & more.", "/runs")
    texts = [str(slack_message(problem, over=False)), str(json_message(problem, over=False))]
    made = mail(problem, over=False, sender="a@b.example", recipients="c@d.example")
    texts.append(made.as_string())
    assert not [text for text in texts if "secret-of-the-test" in text]
    assert "<!channel>" not in slack_message(problem, over=False)["text"]
    assert "Bcc" not in made
    assert "[api key] & more." in made.get_content()
