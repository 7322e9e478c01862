"""What happens once a run: warnings, and the question for the account."""

from __future__ import annotations

from typing import Any

import pytest

from klaviyo_pipeline.klaviyo.endpoints import account
from klaviyo_pipeline.orchestration import once_per_run


class Client:
    """Stands for the client of an account."""

    def __init__(self, name: str) -> None:
        self.account = name


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The accounts that Klaviyo was asked for, in order; its answers are numbered."""
    asked: list[str] = []

    def read(client: Any) -> str:
        asked.append(client.account)
        return f"answer {len(asked)}"

    monkeypatch.setattr(account, "read_account", read)
    monkeypatch.setattr(once_per_run, "_known", {})
    return asked


def ask(run: str, name: str = "a") -> Any:
    return once_per_run.account_of_run(run, Client(name))  # type: ignore[arg-type]


def test_account_when_asked_for_again_then_each_run_and_each_account_has_its_own_answer(asked: list[str]) -> None:
    assert [ask("run1"), ask("run1", "b"), ask("run2"), ask("run1"), ask("run1", "b"), ask("run2")] == [
        "answer 1", "answer 2", "answer 3", "answer 1", "answer 2", "answer 3",
    ]  # fmt: skip
    assert asked == ["a", "b", "a"]


def test_account_when_klaviyo_does_not_answer_then_is_asked_for_again(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as failing:
        failing.setattr(account, "read_account", lambda _client: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            ask("run")
    assert (ask("run"), asked) == ("answer 1", ["a"])


def test_notice_when_given_again_in_the_run_then_is_not_new(asked: list[str]) -> None:
    asked_for = (("run1", "x"), ("run1", "x"), ("run1", "y"), ("run2", "x"))
    assert [once_per_run.first_time(*each) for each in asked_for] == [True, False, True, True]


def test_runs_when_there_were_many_then_the_latest_are_remembered_and_the_memory_does_not_grow(
    asked: list[str],
) -> None:
    for run in range(1000):
        ask(f"run{run}")
    assert len(once_per_run._known) == 100
    assert (ask("run999"), ask("run900"), len(asked)) == ("answer 1000", "answer 901", 1000)
    assert (ask("run0"), len(once_per_run._known)) == ("answer 1001", 100)
