"""What the core makes of a failed attempt, and how long it waits (aisix-ops 3.2.4, aisix-proxy 6.3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookway.judging import JITTER, LONGEST_BACKOFF, backoff, is_retryable, judge_failure
from hookway.models import CompiledModel
from hookway_sdk import (
    Attempt,
    BudgetExceeded,
    ConfigBroken,
    ContentBlocked,
    Decision,
    GatewayError,
    InvalidRequest,
    InvalidUpstreamConfig,
    InvalidUpstreamCredential,
    LimitExceeded,
    Next,
    PermissionDenied,
    PluginFailed,
    ProviderUnavailable,
    Retry,
    Stop,
    StreamAborted,
    TransportFailed,
    UpstreamInBand,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUndecodable,
)
from hookway_sdk.testing import ScriptedRandom, make_candidate, make_model


def model(*statuses: int, retry_on_429: bool = False) -> CompiledModel:
    return CompiledModel(
        make_model(), (), retry_on_429=retry_on_429, fallback_on_statuses=frozenset(statuses)
    )


def judged(
    error: GatewayError,
    of: CompiledModel | None = None,
    *,
    tries: int = 0,
    budget: int = 1,
    explicit_timeout: bool = True,
    elsewhere: tuple[int, ...] = (),
) -> Decision:
    attempt = Attempt(0, "initial", make_candidate(), 0.0)
    attempt.error = error
    return judge_failure(
        attempt,
        of or model(),
        tries=tries,
        budget=budget,
        explicit_timeout=explicit_timeout,
        elsewhere=elsewhere,
        random=ScriptedRandom([0.5]),
    )


def in_band(status: int | None) -> UpstreamInBand:
    return UpstreamInBand("broken", upstream_status=status)


# ── what may be tried again ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (TransportFailed("refused"), True),
        (UpstreamTimeout(100), True),
        (UpstreamUndecodable("no json"), True),
        (StreamAborted(), True),
        (in_band(None), True),
        (in_band(500), True),
        (in_band(529), True),
        (in_band(400), False),
        (in_band(429), False),
        *((UpstreamRefused(status), True) for status in (500, 501, 502, 503, 504, 529, 599)),
        *((UpstreamRefused(status), False) for status in (400, 401, 403, 404, 408, 409, 413, 422, 429, 499)),
        *((UpstreamRefused(status), False) for status in (301, 302, 304)),
        (InvalidUpstreamConfig("no base"), False),
        (InvalidUpstreamCredential("odd"), False),
        (ConfigBroken("off"), False),
        (ProviderUnavailable("none"), False),
        (LimitExceeded("requests"), False),
        (BudgetExceeded("spent"), False),
        (InvalidRequest("bad"), False),
        (ContentBlocked("g"), False),
        (PermissionDenied("no"), False),
        (PluginFailed("p", "attempt"), False),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_what_is_retryable(error: GatewayError, retryable: bool) -> None:
    assert is_retryable(error, model()) is retryable


@pytest.mark.parametrize("error", [UpstreamRefused(429), in_band(429)], ids=["status", "in band"])
def test_a_429_is_retryable_where_the_group_says_so(error: GatewayError) -> None:
    assert not is_retryable(error, model())
    assert is_retryable(error, model(retry_on_429=True))
    assert is_retryable(error, model(429))


@pytest.mark.parametrize("status", [400, 401, 404, 408, 409, 429])
def test_statuses_that_the_group_names_are_retryable_and_no_others(status: int) -> None:
    assert is_retryable(UpstreamRefused(status), model(status))
    assert is_retryable(in_band(status), model(status))
    assert not is_retryable(UpstreamRefused(status), model(418))
    assert not is_retryable(in_band(status), model(418))


# ── what is decided ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "error", [UpstreamRefused(503), TransportFailed("reset"), StreamAborted(), in_band(None)]
)
def test_a_retryable_failure_is_tried_again_here_until_the_budget_is_used(error: GatewayError) -> None:
    assert isinstance(judged(error, tries=0, budget=2), Retry)
    assert isinstance(judged(error, tries=1, budget=2), Retry)
    assert judged(error, tries=2, budget=2) == Next()
    assert judged(error, tries=0, budget=0) == Next()


@pytest.mark.parametrize(
    "error", [UpstreamRefused(400), UpstreamRefused(429), in_band(401), InvalidRequest("x")]
)
def test_a_fault_of_the_request_ends_everything(error: GatewayError) -> None:
    assert judged(error, budget=9) == Stop()


def test_a_timeout_is_tried_again_here_only_if_its_deadline_was_chosen() -> None:
    late = UpstreamTimeout(100)
    assert judged(late, budget=2, explicit_timeout=False) == Next()
    assert isinstance(judged(late, budget=2, explicit_timeout=True), Retry)
    assert judged(late, budget=0, explicit_timeout=True) == Next()


@pytest.mark.parametrize(
    "error",
    [
        LimitExceeded("requests"),
        ProviderUnavailable("no plugin"),
        ConfigBroken("its plugin is off"),
        # Native: the contract stops here; a target that its operator broke says nothing of the others.
        InvalidUpstreamConfig("no api_base"),
        InvalidUpstreamCredential("line break"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_target_that_cannot_be_asked_is_left_for_the_next_without_delay(error: GatewayError) -> None:
    assert judged(error, budget=9) == Next()


# ── how long ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("nth", "base"), [(1, 0.25), (2, 0.5), (3, 1.0), (4, 2.0), (5, 2.0), (60, 2.0)])
def test_the_wait_doubles_up_to_two_seconds(nth: int, base: float) -> None:
    assert backoff(nth, None, ScriptedRandom([0.0])) == base
    assert backoff(nth, None, ScriptedRandom([0.5])) == base + 0.125


@pytest.mark.parametrize("seconds", [1, 2, 5])
def test_a_short_wish_of_the_provider_is_followed(seconds: int) -> None:
    assert backoff(1, seconds, ScriptedRandom([0.0])) == float(seconds)


@pytest.mark.parametrize("seconds", [0, -1, 6, 3600])
def test_a_wish_that_is_none_or_too_long_is_not(seconds: int) -> None:
    assert backoff(1, seconds, ScriptedRandom([0.0])) == 0.25


def test_a_decision_carries_the_wait() -> None:
    assert judged(UpstreamRefused(503, retry_after=3), tries=0) == Retry(3.125)
    assert judged(UpstreamRefused(503), tries=2, budget=3) == Retry(1.125)


@given(st.integers(1, 100), st.none() | st.integers(-5, 10_000), st.floats(0, 1, exclude_max=True))
def test_the_wait_is_bounded(nth: int, wish: int | None, chance: float) -> None:
    assert 0.25 <= backoff(nth, wish, ScriptedRandom([chance])) <= max(5, LONGEST_BACKOFF) + JITTER


# ── faults of the account ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [401, 402, 403, 404, 429])
def test_another_target_is_tried_after_a_status_that_concerns_the_account(status: int) -> None:
    assert judged(UpstreamRefused(status), elsewhere=(401, 402, 403, 404, 429)) == Next()
    assert judged(in_band(status), elsewhere=(401, 402, 403, 404, 429)) == Next()
    assert judged(UpstreamRefused(status)) == Stop()


def test_a_fault_of_the_request_stops_whatever_is_left() -> None:
    assert judged(UpstreamRefused(400), elsewhere=(401, 429)) == Stop()


def test_a_status_that_a_group_retries_is_retried_first() -> None:
    group = model(retry_on_429=True)
    assert isinstance(judged(UpstreamRefused(429), group, elsewhere=(429,)), Retry)
    assert judged(UpstreamRefused(429), group, tries=1, elsewhere=(429,)) == Next()
