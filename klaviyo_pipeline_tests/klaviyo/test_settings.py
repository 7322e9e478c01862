"""The client's settings: each has bounds, and a value outside them is refused by name."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.client.settings import INTEGER_SETTINGS, SETTINGS, ClientSettings, check_setting

NUMBERS = sorted(SETTINGS)


@pytest.mark.parametrize("name", NUMBERS)
def test_setting_when_at_its_bounds_or_default_then_is_taken(name: str) -> None:
    setting = SETTINGS[name]
    for value in (setting.minimum, setting.maximum, setting.default):
        check_setting(name, value)
        assert getattr(ClientSettings(**{name: value}), name) == value


@pytest.mark.parametrize("name", NUMBERS)
def test_setting_when_just_outside_its_bounds_then_message_names_it_its_value_and_the_bounds(name: str) -> None:
    setting = SETTINGS[name]
    step = 1 if name in INTEGER_SETTINGS else 0.001
    for value in (setting.minimum - step, setting.maximum + step):
        with pytest.raises(ConfigurationError) as refused:
            ClientSettings(**{name: value})
        message = str(refused.value)
        for part in (name, f"{value:g}", f"from {setting.minimum:g} to {setting.maximum:g}", f"{setting.default:g}"):
            assert part in message


@pytest.mark.parametrize(
    ("name", "minimum", "maximum", "default"),
    [
        ("retry_limit", 1, 7, 5),
        ("initial_retry_wait_s", 1, 10, 1),
        ("max_retry_wait_s", 30, 1800, 300),
        ("connect_timeout_s", 30, 1800, 300),
        ("read_timeout_s", 30, 1800, 300),
        ("write_timeout_s", 30, 1800, 300),
    ],
)
def test_setting_when_compared_with_the_reference_then_bounds_are_the_same(
    name: str, minimum: float, maximum: float, default: float
) -> None:
    setting = SETTINGS[name]
    assert (setting.minimum, setting.maximum, setting.default) == (minimum, maximum, default)
    assert getattr(ClientSettings(), name) == default


@pytest.mark.parametrize("value", [True, "5", None, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", NUMBERS)
def test_setting_when_it_is_no_number_in_bounds_then_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=name):
        check_setting(name, value)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", sorted(INTEGER_SETTINGS))
def test_whole_setting_when_it_has_a_fraction_then_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{name}.*whole number"):
        check_setting(name, 2.5)


@pytest.mark.parametrize("name", sorted(INTEGER_SETTINGS))
def test_whole_setting_when_written_as_a_float_then_becomes_an_integer(name: str) -> None:
    assert type(getattr(ClientSettings(**{name: 3.0}), name)) is int


@given(name=st.sampled_from(NUMBERS), value=st.one_of(st.integers(), st.floats()))
def test_setting_when_any_number_then_taken_if_and_only_if_in_bounds(name: str, value: float) -> None:
    setting = SETTINGS[name]
    whole = name not in INTEGER_SETTINGS or (math.isfinite(value) and float(value).is_integer())
    if whole and setting.minimum <= value <= setting.maximum:
        check_setting(name, value)
    else:
        with pytest.raises(ConfigurationError, match=name):
            check_setting(name, value)
