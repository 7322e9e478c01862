"""Filter expressions: literals as Klaviyo's grammar wants them, encoded so that nothing changes on the way."""

from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_pipeline.klaviyo.catalogue import filters
from klaviyo_pipeline.klaviyo.catalogue.model import FilterBy
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.client.client import target
from klaviyo_pipeline.klaviyo.windows import TimeSlice
from klaviyo_pipeline.sandbox.api.contracts import Filterable
from klaviyo_pipeline.sandbox.api.filters import parse_filter


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("email", '"email"'),
        ('a "quoted" \\ one', '"a \\"quoted\\" \\\\ one"'),
        ("blåbær", '"blåbær"'),
        (True, "true"),
        (False, "false"),
        (3, "3"),
        (1.5, "1.5"),
        (("a", "b"), '["a","b"]'),
        ((), "[]"),
        (datetime(2026, 9, 1, 2, 3, 4, tzinfo=UTC), "2026-09-01T02:03:04Z"),
        (datetime(2026, 9, 1, tzinfo=timezone(timedelta(hours=2))), "2026-08-31T22:00:00Z"),
    ],
)
def test_literal_when_written_then_has_the_grammar_of_its_type(value: object, text: str) -> None:
    assert filters.literal(value) == text  # type: ignore[arg-type]


def test_conditions_when_several_then_are_joined_by_commas() -> None:
    first = filters.condition(filters.EQUALS, "archived", False)
    second = filters.condition(filters.ANY, "id", ["x", "y"])
    assert filters.all_of([first, second]) == 'equals(archived,false),any(id,["x","y"])'
    assert filters.all_of([]) is None


def test_path_segment_when_an_id_holds_a_slash_or_question_mark_then_stays_one_segment() -> None:
    assert filters.path_segment("a/../b?c#d") == "a%2F..%2Fb%3Fc%23d"


@given(st.text(max_size=40), st.text(alphabet="abc[]=&+ %", max_size=10))
def test_target_when_any_text_is_a_parameter_then_comes_out_the_same(value: str, name: str) -> None:
    found = target("/api/x", {f"n{name}": value, "left out": None})
    assert parse_qsl(urlsplit(found).query, keep_blank_values=True) == [(f"n{name}", value)]


def test_target_when_a_filter_holds_a_plus_or_space_then_none_stands_bare() -> None:
    found = target("/api/x", {"filter": "equals(name,'a+b c')"})
    assert "+" not in found
    assert " " not in found


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20), max_size=5))
def test_any_of_texts_when_read_by_the_sandbox_then_is_the_same_list(values: list[str]) -> None:
    expression = filters.condition(filters.ANY, "id", values)
    if values:
        (condition,) = parse_filter(expression, {"id": Filterable("str", ("any", "equals"))})
        assert list(condition.value) == values


BOTH, AFTER_AND_BEFORE, AFTER_ONLY = ("greater-or-equal", "less-than"), ("greater-than", "less-than"), ("greater-than",)


@pytest.mark.parametrize(
    ("source", "filter_by", "field", "operators"),
    [
        ("events", None, "datetime", BOTH),
        ("templates", None, "updated", BOTH),
        ("templates", FilterBy.CREATED, "created", BOTH),
        ("campaigns", None, "updated_at", BOTH),
        ("campaigns", FilterBy.CREATED, "created_at", BOTH),
        ("list_profiles", None, "joined_group_at", BOTH),
        ("profiles", None, "updated", AFTER_AND_BEFORE),
        ("profiles", FilterBy.CREATED, "created", AFTER_AND_BEFORE),
        ("lists", None, "updated", AFTER_ONLY),
        ("lists", FilterBy.CREATED, "created", AFTER_ONLY),
    ],
)
def test_time_conditions_when_a_field_lacks_an_operator_then_ask_for_more_never_for_less(
    source: str, filter_by: FilterBy | None, field: str, operators: tuple[str, ...]
) -> None:
    time_field = SOURCES[source].time_field(filter_by)
    assert time_field is not None
    day = TimeSlice(datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 9, 2, tzinfo=UTC))
    times = {
        "greater-or-equal": "2026-09-01T00:00:00Z",
        "greater-than": "2026-08-31T23:59:59Z",
        "less-than": "2026-09-02T00:00:00Z",
    }
    assert time_field.conditions(day) == [f"{operator}({field},{times[operator]})" for operator in operators]
    assert time_field.conditions(TimeSlice(None, None)) == []
