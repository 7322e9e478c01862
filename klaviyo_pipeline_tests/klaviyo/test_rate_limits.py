"""Just under the rate limit: never above it in any stretch of time, and hardly below it."""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_pipeline.klaviyo.catalogue.model import EXTRA_LARGE, LARGE, MEDIUM, SMALL, Tier
from klaviyo_pipeline.klaviyo.client.rate_limits import MOST_WINDOWS, EndpointLimit, RateLimits, limits_of_account
from klaviyo_pipeline.sandbox.api.errors import ApiError
from klaviyo_pipeline.sandbox.api.limits import RateLimits as KlaviyosLimits
from klaviyo_pipeline_tests.klaviyo.pacing import Clock, allowed, most_in_any_stretch, sent_by_turns
from klaviyo_pipeline_tests.soaking import examples

TIERS = st.sampled_from([SMALL, MEDIUM, LARGE, EXTRA_LARGE, Tier(1, 15)])
SHARES = st.sampled_from([0.05, 0.25, 0.5, 0.9, 1.0])


@examples(40)
@given(tier=TIERS, share=SHARES, gaps=st.lists(st.floats(0, 3), max_size=60))
def test_requests_when_sent_at_any_moments_then_neither_window_ever_holds_more_than_its_share(
    tier: Tier, share: float, gaps: list[float]
) -> None:
    clock = Clock()
    limit = EndpointLimit(tier, share, clock)
    for gap in [*gaps, *[0.0] * 150, 61.0, *[0.0] * 100]:
        clock.now += gap
        clock.send(limit)
    assert most_in_any_stretch(clock.sent, 1.0) <= allowed(tier.burst, share)
    assert most_in_any_stretch(clock.sent, 60.0) <= allowed(tier.steady, share)


@pytest.mark.parametrize("tier", [SMALL, MEDIUM, LARGE, EXTRA_LARGE])
@pytest.mark.parametrize("share", [0.5, 0.9, 1.0])
def test_requests_when_always_wanted_then_at_least_95_percent_of_the_share_is_used(tier: Tier, share: float) -> None:
    clock = Clock()
    limit, begin, minutes = EndpointLimit(tier, share, clock), clock.now, 5
    while clock.now < begin + minutes * 60:
        clock.send(limit)
    assert len(clock.sent) >= 0.95 * minutes * share * tier.steady


@dataclass
class Klaviyo:
    """Klaviyo's own two fixed windows, as the sandbox keeps them, on the same clock."""

    clock: Clock
    tier: Tier

    def __post_init__(self) -> None:
        self.limits = KlaviyosLimits(self.clock)

    def answer(self) -> Mapping[str, str] | float:
        """Headers of an answer, or the seconds of a 429's Retry-After."""
        try:
            headers = self.limits.spend("get_events", (self.tier.burst, self.tier.steady))
        except ApiError as error:
            return float(dict(error.headers)[b"retry-after"])
        names = {b"ratelimit-" + name.encode(): f"RateLimit-{name.title()}" for name in ("limit", "remaining", "reset")}
        return {names[name]: value.decode() for name, value in headers}


def run_against(klaviyo: Klaviyo, limit: EndpointLimit, minutes: float, others_a_minute: float = 0) -> tuple[int, int]:
    """Send for some minutes, beside other integrations; says how many were answered and how many refused."""
    clock, answered, refused = klaviyo.clock, 0, 0
    begin, others_at = clock.now, clock.now
    while clock.now < begin + minutes * 60:
        clock.send(limit)
        while others_a_minute and others_at < clock.now:
            klaviyo.answer()
            others_at += 60 / others_a_minute
        answer = klaviyo.answer()
        clock.now += 0.001
        if isinstance(answer, float):
            refused += 1
            limit.throttled(answer)
        else:
            answered += 1
            limit.observe(answer)
    return answered, refused


@pytest.mark.parametrize("tier", [SMALL, MEDIUM, LARGE, EXTRA_LARGE])
def test_requests_when_klaviyo_counts_in_fixed_windows_then_none_is_refused_and_the_share_is_used(tier: Tier) -> None:
    clock = Clock()
    answered, refused = run_against(Klaviyo(clock, tier), EndpointLimit(tier, 0.9, clock), 4)
    assert refused == 0
    assert answered >= 0.95 * 4 * 0.9 * tier.steady


def test_requests_when_the_catalogue_promises_too_much_then_the_first_header_corrects_it() -> None:
    clock = Clock()
    limit = EndpointLimit(LARGE, 1.0, clock)
    _answered, refused = run_against(Klaviyo(clock, MEDIUM), limit, 3)
    assert refused == 0
    assert most_in_any_stretch(clock.sent[1:], 1.0) <= MEDIUM.burst
    assert most_in_any_stretch(clock.sent, 60.0) <= MEDIUM.steady


def test_requests_when_the_catalogue_promises_too_little_then_headers_raise_the_limit() -> None:
    clock = Clock()
    limit = EndpointLimit(MEDIUM, 0.9, clock)
    answered, _refused = run_against(Klaviyo(clock, LARGE), limit, 3)
    assert answered >= 0.95 * 3 * 0.9 * LARGE.steady


def test_requests_when_others_use_a_third_of_the_quota_then_few_are_refused() -> None:
    clock = Clock()
    limit = EndpointLimit(LARGE, 0.9, clock)
    answered, refused = run_against(Klaviyo(clock, LARGE), limit, 5, others_a_minute=LARGE.steady / 3)
    assert answered >= 0.8 * 5 * LARGE.steady * 2 / 3
    assert refused <= 0.02 * answered


def test_remaining_when_others_used_most_of_the_burst_then_only_the_rest_is_sent() -> None:
    clock = Clock()
    limit = EndpointLimit(LARGE, 1.0, clock)
    clock.send(limit)
    limit.observe({"RateLimit-Limit": "75, 75;w=1, 750;w=60", "RateLimit-Remaining": "4", "RateLimit-Reset": "1"})
    at_once = 1
    while limit.reserve() == 0.0:
        at_once += 1
    assert at_once == 1 + 4
    clock.now += 1.1  # the window that was reported on is over
    at_once = 0
    while limit.reserve() == 0.0:
        at_once += 1
    assert at_once >= 70


@pytest.mark.parametrize(
    "headers",
    [
        {"RateLimit-Limit": ""},
        {"RateLimit-Limit": "many", "RateLimit-Remaining": "3"},
        {"RateLimit-Limit": "75, 75;w=one", "RateLimit-Remaining": "3"},
        {"RateLimit-Limit": "75, 75;w=0, 0;w=60", "RateLimit-Remaining": "3"},
        {"RateLimit-Limit": "75, 75;w=-1, -5;w=60"},
        {"RateLimit-Limit": ";;,,;w=", "RateLimit-Remaining": "x"},
        {"RateLimit-Limit": "0, 0;w=1"},
        {"RateLimit-Limit": "nan;w=nan", "RateLimit-Remaining": "nan"},
        {"RateLimit-Limit": "75, 75;w=inf", "RateLimit-Remaining": "3"},
        {"RateLimit-Limit": "1, 1;w=1e300", "RateLimit-Remaining": "0", "RateLimit-Reset": "1e300"},
        {"RateLimit-Limit": f"{10**30}, {10**30};w=1, {10**30};w=86400", "RateLimit-Remaining": f"{10**30}"},
        {"RateLimit-Limit": "9" * 5000 + ";w=1"},
        {"RateLimit-Limit": "1, 1;w=" + "9" * 5000},
    ],
)
def test_headers_when_malformed_then_the_limits_stay_as_they_were(headers: dict[str, str]) -> None:
    clock = Clock()
    limit = EndpointLimit(MEDIUM, 1.0, clock)
    limit.observe(headers)
    assert limit.requests_per_minute == MEDIUM.steady
    while clock.now < 5_000.3 + 120:
        clock.send(limit)
    assert most_in_any_stretch(clock.sent, 1.0) == MEDIUM.burst
    assert most_in_any_stretch(clock.sent, 60.0) == MEDIUM.steady


@given(st.lists(st.fixed_dictionaries({}, optional={
    "RateLimit-Limit": st.text(max_size=20) | st.text("0123456789,;w= .-", max_size=25),
    "RateLimit-Remaining": st.text(max_size=5) | st.integers(-10, 10**6).map(str),
    "RateLimit-Reset": st.text(max_size=5) | st.floats().map(str),
}), max_size=5))  # fmt: skip
def test_headers_when_anything_at_all_then_requests_go_on_within_a_few_windows(headers: list[dict[str, str]]) -> None:
    clock = Clock()
    limit = EndpointLimit(MEDIUM, 1.0, clock)
    for each in headers:
        limit.observe(each)
    for _ in range(3):
        assert limit.reserve() < 10**6
        limit.reserve()


def test_remaining_when_unreadable_then_the_stated_quotas_still_count() -> None:
    limit = EndpointLimit(MEDIUM, 1.0, Clock())
    limit.observe({"RateLimit-Limit": "75, 75;w=1, 750;w=60", "RateLimit-Remaining": "lots"})
    assert limit.requests_per_minute == 750


def test_a_daily_window_when_stated_then_is_kept_too() -> None:
    clock = Clock()
    limit = EndpointLimit(Tier(1, 2), 1.0, clock)
    limit.observe({"RateLimit-Limit": "1, 1;w=1, 2;w=60, 5;w=86400"})
    for _ in range(5):
        clock.send(limit)
    assert clock.now < 5_000.3 + 300
    assert clock.send(limit) >= 5_000.3 + 86_400


def test_a_window_when_later_answers_do_not_state_it_then_is_forgotten() -> None:
    limit = EndpointLimit(MEDIUM, 1.0, Clock())
    limit.observe({"RateLimit-Limit": "1, 1;w=1, 1;w=86400"})
    limit.observe({"RateLimit-Limit": "10, 10;w=1, 150;w=60"})
    assert limit.stated == {1.0: 10, 60.0: 150}
    assert sent_by_turns([limit]) == MEDIUM.burst


def test_windows_when_thousands_are_stated_then_few_are_kept() -> None:
    limit = EndpointLimit(MEDIUM, 1.0, Clock())
    limit.observe({"RateLimit-Limit": ",".join(f"{i};w={i}" for i in range(1, 5000))})
    assert len(limit.stated) <= MOST_WINDOWS + 2
    for i in range(1000):
        limit.observe({"RateLimit-Limit": f"5;w={1 + i / 1000}"})
    assert len(limit.stated) <= MOST_WINDOWS + 2


def test_requests_when_a_huge_quota_a_day_is_stated_then_few_of_them_are_remembered() -> None:
    clock = Clock()
    limit = EndpointLimit(MEDIUM, 1.0, clock)
    limit.observe({"RateLimit-Limit": f"1000, 1000;w=1, 1000;w=60, {10**30};w=86400"})
    for _ in range(5000):
        clock.now += 0.1
        limit.reserve()
    assert len(limit._known.sent) <= 1000


@pytest.mark.parametrize("headers", [
    {"RateLimit-Limit": "75, 75;w=1, 750;w=60", "RateLimit-Remaining": "0", "RateLimit-Reset": "inf"},
    {"RateLimit-Limit": "75, 75;w=1, 750;w=60", "RateLimit-Remaining": "-999999", "RateLimit-Reset": "1e9"},
])  # fmt: skip
def test_remaining_when_it_is_said_to_hold_for_ever_then_holds_for_its_window(headers: dict[str, str]) -> None:
    clock = Clock()
    limit = EndpointLimit(LARGE, 1.0, clock)
    limit.observe(headers)
    clock.now += 1.1
    assert sent_by_turns([limit]) == 75


def test_endpoints_when_different_then_have_limits_of_their_own() -> None:
    limits = RateLimits(1.0, Clock())
    assert limits.of("events", MEDIUM) is limits.of("events", MEDIUM)
    assert sent_by_turns([limits.of("events", MEDIUM), limits.of("lists", LARGE)]) == MEDIUM.burst + LARGE.burst


def test_account_when_two_clients_have_it_then_they_share_its_limits() -> None:
    first, second = (limits_of_account("same", 0.5).of("lists", SMALL) for _client in range(2))
    another = limits_of_account("another", 0.5).of("lists", SMALL)

    assert first is second
    assert another is not first


def test_account_when_its_clients_use_different_shares_then_together_they_stay_below_the_largest() -> None:
    clock = Clock()
    limits = RateLimits(0.5, clock)
    half, most = limits.of("lists", LARGE), limits.with_share(0.9).of("lists", LARGE)

    assert sent_by_turns([half]) == int(LARGE.burst * 0.5)
    assert sent_by_turns([most]) == int(LARGE.burst * 0.9) - int(LARGE.burst * 0.5)
    assert sent_by_turns([half, most]) == 0
    clock.now += 1.1
    assert sent_by_turns([most, half]) == int(LARGE.burst * 0.9)


def test_account_when_one_share_is_told_to_wait_then_the_others_wait_too() -> None:
    clock = Clock()
    limits = RateLimits(0.5, clock)
    half, most = limits.of("lists", LARGE), limits.with_share(0.9).of("lists", LARGE)
    half.throttled(20.0)

    assert most.reserve() == pytest.approx(20.0)
    most.observe({"RateLimit-Limit": "3, 3;w=1, 60;w=60"})
    assert half.stated == most.stated == {1.0: 3, 60.0: 60}


def test_waiting_when_it_is_given_up_then_the_error_passes_and_nothing_is_used_up() -> None:
    clock = Clock()
    limit = EndpointLimit(Tier(1, 15), 1.0, clock)
    clock.send(limit)

    def give_up(_seconds: float) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        limit.acquire(give_up)
    clock.now += 1.1
    assert limit.reserve() == 0.0


def test_limit_when_no_answer_states_one_then_nothing_is_waited_for_until_a_429() -> None:
    clock = Clock()
    limit = EndpointLimit(SMALL, 1.0, clock)
    limit.observe({"RateLimit-Remaining": "0"})
    assert sent_by_turns([limit]) == 1000
    limit.throttled(1.0)
    clock.now += 61
    limit.observe({})
    assert sent_by_turns([limit]) <= SMALL.burst, "who has enforced a limit once has one"


def test_limit_when_stated_once_then_an_answer_without_headers_does_not_lift_it() -> None:
    limit = EndpointLimit(SMALL, 1.0, Clock())
    limit.observe({"RateLimit-Limit": "3, 3;w=1, 60;w=60", "RateLimit-Remaining": "3"})
    limit.observe({})
    assert sent_by_turns([limit]) == SMALL.burst


def test_limit_when_a_sandbox_with_limits_off_states_its_own_then_nothing_is_waited_for() -> None:
    clock = Clock()
    limit, limits = EndpointLimit(SMALL, 0.9, clock), KlaviyosLimits(clock, enforced=False)
    names = {b"ratelimit-limit": "RateLimit-Limit", b"ratelimit-remaining": "RateLimit-Remaining"}
    began = clock.now
    for _ in range(5_000):
        clock.send(limit)
        limit.observe({names[name]: value.decode() for name, value in limits.spend("x", (3, 60)) if name in names})
    assert clock.now == began


def test_limit_when_nothing_has_been_answered_yet_then_the_catalogues_holds() -> None:
    assert sent_by_turns([EndpointLimit(SMALL, 1.0, Clock())]) == SMALL.burst
