"""Whatever is asked is answered with 200 or an error of Klaviyo's, never with an exception."""

import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from klaviyo_pipeline.sandbox.api.contracts import Filterable
from klaviyo_pipeline.sandbox.api.errors import ApiError
from klaviyo_pipeline.sandbox.api.filters import parse_filter
from klaviyo_pipeline_tests.sandbox.client import Client
from klaviyo_pipeline_tests.soaking import examples

FIELDS = {"name": Filterable("str", ("any", "equals")), "created": Filterable("time", ("less-than",))}
PIECES = st.sampled_from(
    [*"()[],'\"\\ ", "and", "any", "equals", "less-than", "has", "name", "created", "2026-01-01", "é", "x"]
)
patient = examples(150, settings(derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]))


@patient
@given(st.lists(PIECES, max_size=14).map("".join))
def test_any_filter_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ApiError):
        parse_filter(text, FIELDS)


@patient
@given(st.text(st.characters(codec="utf-8", exclude_characters="'\\\x00"), max_size=20))
def test_any_quoted_text_is_read_as_it_is(text: str) -> None:
    assert parse_filter(f"equals(name,'{text}')", FIELDS)[0].value == text


@pytest.mark.parametrize(
    "parameter",
    ["filter", "sort", "page[size]", "page[cursor]", "include", "fields[profile]", "additional-fields[profile]"],
)
@patient
@given(value=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#&?"), max_size=16))
def test_any_parameter_is_answered(client: Client, parameter: str, value: str) -> None:
    assert client.get(f"/api/profiles?{parameter}={value}").status in (200, 400)
