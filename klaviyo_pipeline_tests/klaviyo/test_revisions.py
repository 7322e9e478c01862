"""Which revision is sent for a configured one, and which one answers."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue.revisions import (
    DEFAULT_REVISION,
    REVISIONS,
    check_revision,
    expected_answer,
    sunset_of,
)
from klaviyo_pipeline.sandbox.api import revisions as sandbox_revisions

TODAY = date(2026, 11, 23)
NAMES = [revision.name for revision in REVISIONS]


@pytest.mark.parametrize("blank", [None, "", "   ", "\n"])
def test_revision_when_blank_then_is_ours(blank: str | None) -> None:
    assert check_revision(blank, TODAY) == DEFAULT_REVISION == "2026-07-15"


@pytest.mark.parametrize("name", NAMES)
def test_revision_when_known_then_is_sent_as_it_is(name: str) -> None:
    assert check_revision(f" {name} ", TODAY) == name


@pytest.mark.parametrize(
    "text", ["2026-7-15", "20260715", "2026-07-15T00:00:00", "2026-W29-3", "15.07.2026", "latest", "2026-02-30", "v3"]
)
def test_revision_when_malformed_then_message_shows_it_and_the_form(text: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        check_revision(text, TODAY)
    assert text in str(refused.value)
    assert "YYYY-MM-DD" in str(refused.value)


def test_revision_when_in_the_future_then_message_names_the_newest() -> None:
    assert check_revision("2026-10-15", TODAY) == "2026-10-15"
    with pytest.raises(ConfigurationError, match=r"2026-11-24.*future.*2026-10-15"):
        check_revision("2026-11-24", TODAY)


def test_revision_when_older_than_all_then_message_names_the_oldest() -> None:
    with pytest.raises(ConfigurationError, match=r"2022-10-16.*2022-10-17"):
        check_revision("2022-10-16", TODAY)


@pytest.mark.parametrize(
    ("day", "older"),
    [
        ("2026-10-14", "2026-07-15"),
        ("2026-07-16", "2026-07-15"),
        ("2024-12-31", "2024-10-15"),
        ("2022-10-18", NAMES[0]),
    ],
)
def test_revision_when_between_two_then_is_the_older(day: str, older: str) -> None:
    assert check_revision(day, TODAY) == older


@given(st.dates(min_value=date(2022, 10, 17), max_value=date(2026, 10, 15)))
def test_revision_when_any_day_of_the_known_past_then_is_the_latest_not_after_it(day: date) -> None:
    chosen = check_revision(day.isoformat(), TODAY)
    assert chosen in NAMES
    assert chosen <= day.isoformat()
    assert not any(chosen < name <= day.isoformat() for name in NAMES)


@pytest.mark.parametrize("retired", [name for name in NAMES if name <= "2024-10-15"])
def test_answer_when_revision_is_retired_then_is_the_oldest_living(retired: str) -> None:
    assert expected_answer(retired, TODAY) == "2025-01-15"


@pytest.mark.parametrize("living", [name for name in NAMES if name > "2024-10-15"])
def test_answer_when_revision_lives_then_is_itself(living: str) -> None:
    assert expected_answer(living, TODAY) == living


def test_answer_when_asked_for_today_then_agrees_with_the_sandbox() -> None:
    assert [name for name in NAMES if expected_answer(name, TODAY) == name] == list(sandbox_revisions.LIVING)
    assert {expected_answer(name, TODAY) for name in sandbox_revisions.RETIRED} == {sandbox_revisions.OLDEST}


def test_sunset_when_two_years_after_release_then_retires_on_that_very_day() -> None:
    revision = next(each for each in REVISIONS if each.name == "2025-01-15")
    assert sunset_of("2025-01-15") == revision.sunset == date(2027, 1, 15)
    assert not revision.is_retired(date(2027, 1, 14))
    assert revision.is_retired(date(2027, 1, 15))
    assert expected_answer("2025-01-15", date(2027, 1, 15)) == "2025-04-15"


def test_sunset_when_revision_is_released_after_this_program_then_is_two_years_after_it_too() -> None:
    assert sunset_of("2027-01-15") == date(2029, 1, 15)
    assert sunset_of("2028-02-29") == date(2030, 3, 1)
    assert expected_answer("2027-01-15", date(2027, 2, 1)) == "2027-01-15"
