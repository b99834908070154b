"""The contract of limits and budgets holds for honest ones, and can be broken."""

from __future__ import annotations

from typing import Any

from breaking import Case, broken, each_case, failure, promises, shown
from reference_plugins import FewDollars, FewTokens, TwoAtATime

from hookway_sdk import Exchange, Limit, LimitExceeded, Reservation, SnapshotView, Usage
from hookway_sdk.state import Hit
from hookway_sdk.testing import LimitContract, PluginContract, make_exchange, make_principal


class TestLimit(LimitContract):
    plugin = FewTokens
    name = "limit_few_tokens"
    capacity = 3
    dimension = "tokens"
    used_up_by = Usage(200, 100)
    used_nothing_by = Usage()

    def other(self, snapshot: SnapshotView) -> Exchange:
        return make_exchange(principal=make_principal("key-2"), snapshot=snapshot)

    def unlimited(self, snapshot: SnapshotView) -> Exchange:
        return make_exchange(principal=make_principal("free"), snapshot=snapshot)


class TestBudget(LimitContract):
    plugin = FewDollars
    name = "budget_few_dollars"
    capacity = 3
    used_up_by = Usage(200, 100)
    used_nothing_by = Usage()


class TestLimitOfTargets(LimitContract):
    plugin = TwoAtATime
    name = "limit_two_at_a_time"
    capacity = 2
    dimension = "concurrency"
    used_nothing_by = Usage(10**6, 10**6)


class _Idle(Reservation):
    """Neither counts nor gives back."""

    def settle(self, usage: Usage) -> None: ...

    def release(self) -> None: ...


async def _admit_all(self: Any, exchange: Any) -> None: ...


async def _never_give_back(self: Any, exchange: Any) -> None:
    await FewTokens.admit_request(self, exchange)
    exchange.reservations[:] = [_Idle()]


async def _one_pot_for_all(self: Any, exchange: Any) -> None:
    exchange.principal = make_principal("everybody")
    await FewTokens.admit_request(self, exchange)


async def _count_here(self: Any, exchange: Any) -> None:
    self.count = getattr(self, "count", 0) + 1
    if self.count > 3:
        raise LimitExceeded("tokens")


async def _count_refusals(self: Any, exchange: Any) -> None:
    try:
        await FewTokens.admit_request(self, exchange)
    except LimitExceeded:
        self.services.state.post((Hit(f"tokens:{exchange.principal.key_id}", 300, 60.0, 100),))
        raise


async def _let_through_when_dead(self: Any, exchange: Any) -> None:
    try:
        await FewTokens.admit_request(self, exchange)
    except LimitExceeded:
        raise
    except Exception:
        return


class _Picky(_Idle):
    def settle(self, usage: Usage) -> None:
        if usage.total_tokens > 1_000:
            raise ValueError("more than was reserved")


async def _reserve_pickily(self: Any, exchange: Any) -> None:
    exchange.reserve(_Picky())


def _refuse_requests(self: Any) -> None:
    raise LimitExceeded("requests")


def _refuse_in_fractions(self: Any) -> None:
    raise LimitExceeded("tokens", retry_after=0.5)


def _refuse_as_forbidden(self: Any) -> None:
    raise LimitExceeded("tokens", status=403)


def _limit(admit: Any) -> Any:
    return broken(TestLimit, admit_request=admit)


CASES: list[Case] = [
    ("test_it_is_shown_a_limit", shown(TestLimit, capacity=0)),
    ("test_it_is_shown_a_limit", broken(TestLimit, admit_request=Limit.admit_request)),
    ("test_it_admits_as_many_as_fit_and_refuses_the_next", _limit(_admit_all)),
    ("test_it_admits_as_many_as_fit_and_refuses_the_next", shown(TestLimit, capacity=4)),
    ("test_it_admits_as_many_as_fit_and_refuses_the_next", broken(TestLimit, refuse=_refuse_requests)),
    ("test_it_admits_as_many_as_fit_and_refuses_the_next", broken(TestLimit, refuse=_refuse_as_forbidden)),
    (
        "test_it_admits_as_many_as_fit_and_refuses_the_next",
        broken(TestBudget, admit_request=FewTokens.admit_request, refuse=_refuse_requests),
    ),
    (
        "test_a_refusal_says_when_to_come_back_in_whole_seconds_or_not_at_all",
        broken(TestLimit, refuse=_refuse_in_fractions),
    ),
    ("test_what_is_released_can_be_had_again", _limit(_never_give_back)),
    ("test_a_refusal_leaves_nothing_behind", _limit(_count_refusals)),
    ("test_what_was_used_stays_counted", _limit(_admit_all)),
    ("test_what_was_not_used_is_given_back", _limit(_never_give_back)),
    ("test_any_usage_can_be_settled", _limit(_reserve_pickily)),
    ("test_callers_do_not_use_up_each_others_limits", _limit(_one_pot_for_all)),
    ("test_who_has_no_limit_is_not_refused", _limit(_one_pot_for_all)),
    ("test_counts_outlive_a_reload", _limit(_count_here)),
    ("test_a_dead_store_lets_nobody_through_unless_that_is_said", _limit(_let_through_when_dead)),
    ("test_a_dead_store_lets_nobody_through_unless_that_is_said", shown(TestLimit, outlives_store=True)),
]


@each_case(CASES)
def test_a_broken_limit_fails(promise: str, contract: type[PluginContract]) -> None:
    assert failure(contract, promise) is not None


def test_every_promise_can_be_broken() -> None:
    assert promises(LimitContract, PluginContract) == {promise for promise, _ in CASES}
