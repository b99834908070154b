"""The memory store keeps the contract of a store, stays within its bounds, and never waits."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable

import pytest

from hookway_sdk.clock import Clock
from hookway_sdk.errors import StateUnavailable
from hookway_sdk.memory_state import MemoryState
from hookway_sdk.state import (
    MAX_COUNT,
    MAX_KEY_LENGTH,
    MAX_VALUE_BYTES,
    Acquire,
    Adjust,
    CompareAndSet,
    Delete,
    Get,
    Hit,
    Increment,
    Op,
    Peek,
    Release,
    Renew,
    Set,
    Shape,
    State,
    ValueResult,
)
from hookway_sdk.testing.fake_clock import FakeClock, ScriptedRandom
from hookway_sdk.testing.state_contract import StateContract


class TestMemoryState(StateContract):
    def make_state(self, clock: Clock) -> State:
        return MemoryState(clock)

    async def lose_data(self, state: State) -> bool:
        assert isinstance(state, MemoryState)
        state.clear()
        return True


class TestScopeOfMemoryState(StateContract):
    """A scope keeps all the promises of the whole."""

    examples = 20

    def make_state(self, clock: Clock) -> State:
        return MemoryState(clock).scope("plugin")


# ── never waits ─────────────────────────────────────────────────────────────────────────────


def run_without_loop(state: MemoryState, *ops: Op) -> list[object]:
    """Drive a batch by hand: a coroutine that suspends would yield something first."""
    coroutine = state.apply(ops)
    try:
        coroutine.send(None)
    except StopIteration as done:
        return list(done.value)
    raise AssertionError("the memory store suspended")


def test_a_batch_never_suspends() -> None:
    state = MemoryState(FakeClock())

    results = run_without_loop(state, Hit("k", 1, 60), Set("v", b"1", 60), Get("v"))

    assert results[2] == ValueResult(True, b"1")


# ── bounds ──────────────────────────────────────────────────────────────────────────────────


def test_a_full_store_refuses_new_keys_and_serves_the_old_ones() -> None:
    state = MemoryState(FakeClock(), max_keys=3)
    for key in ("a", "b", "c"):
        run_without_loop(state, Hit(key, 5, 60))

    with pytest.raises(StateUnavailable, match=r"full \(3 keys"):
        run_without_loop(state, Hit("a", 5, 60), Hit("d", 5, 60))

    assert state.keys == 3
    (peeked,) = run_without_loop(state, Peek("a", 5, 60))
    assert getattr(peeked, "used", None) == 1
    (hit,) = run_without_loop(state, Hit("a", 5, 60))
    assert getattr(hit, "used", None) == 2


def test_a_full_store_has_room_again_when_something_ended() -> None:
    clock = FakeClock()
    state = MemoryState(clock, max_keys=300)
    for number in range(300):
        run_without_loop(state, Hit(f"k{number}", 5, 60))
    clock.advance(61)

    for number in range(300):
        run_without_loop(state, Acquire(f"k{number}", "holder", 1, 60))

    assert state.keys <= 300


def test_all_scopes_share_the_bound() -> None:
    state = MemoryState(FakeClock(), max_keys=2)
    state.scope("one").post((Set("a", b"", 60), Set("b", b"", 60)))

    with pytest.raises(StateUnavailable):
        run_without_loop(state, Set("c", b"", 60))


def test_values_are_bounded_by_their_bytes() -> None:
    clock = FakeClock()
    state = MemoryState(clock, max_value_bytes=100)
    run_without_loop(state, Set("a", b"x" * 60, 60))
    with pytest.raises(StateUnavailable, match="60 bytes"):
        run_without_loop(state, Set("b", b"x" * 41, 60))

    run_without_loop(state, Set("a", b"x" * 59, 60))
    run_without_loop(state, Set("b", b"x" * 41, 60))
    run_without_loop(state, Delete("a"))
    run_without_loop(state, Set("c", b"x" * 59, 60))

    clock.advance(61)
    run_without_loop(state, Set("d", b"x" * 100, 60))
    assert run_without_loop(state, Get("d")) == [ValueResult(True, b"x" * 100)]


def test_a_batch_that_finds_no_room_gives_its_own_room_back() -> None:
    state = MemoryState(FakeClock(), max_value_bytes=100)
    run_without_loop(state, Set("a", b"old", 60))

    with pytest.raises(StateUnavailable):
        run_without_loop(state, Set("a", b"x" * 50, 60), Delete("a"), Set("b", b"x" * 101, 60))

    assert run_without_loop(state, Get("a")) == [ValueResult(True, b"old")]
    run_without_loop(state, Set("b", b"x" * 97, 60))


def test_a_post_that_finds_no_room_is_counted_and_the_others_apply() -> None:
    state = MemoryState(FakeClock(), max_keys=1)

    state.post((Set("a", b"1", 60), Set("b", b"1", 60), Increment("a", 1, 60)))

    assert state.lost_posts == 1
    assert run_without_loop(state, Get("a")) == [ValueResult(True, b"2")]


def test_a_posted_increment_of_what_is_no_number_is_counted() -> None:
    state = MemoryState(FakeClock())

    state.post((Set("a", b"word", 60), Increment("a", 1, 60)))

    assert state.lost_posts == 1


@pytest.mark.parametrize(
    "op",
    [
        lambda number: Hit(f"k{number}", 5, 60),
        lambda number: Hit(f"k{number}", 5, 60, shape=Shape.ALIGNED),
        lambda number: Acquire(f"k{number}", "holder", 1, 60),
        lambda number: Set(f"k{number}", b"x", 60),
    ],
    ids=["sliding", "aligned", "lease", "value"],
)
def test_what_ended_is_found_on_the_way(op: Callable[[int], Op]) -> None:
    clock = FakeClock()
    state = MemoryState(clock)
    for number in range(5_000):
        run_without_loop(state, op(number))
    clock.advance(121)

    # A minute of traffic on one key, which makes no new ones.
    for _ in range(1_300):
        clock.advance(0.05)
        run_without_loop(state, Get("other"))

    assert state.keys == 0


def test_made_up_keys_do_not_pile_up() -> None:
    clock = FakeClock()
    state = MemoryState(clock)
    for number in range(20_000):
        run_without_loop(state, Hit(f"k{number}", 5, 1))
        clock.advance(0.01)

    # About 102 of them count at any time.
    assert state.keys < 400


def test_a_window_that_emptied_before_the_sweep_came_by_counts_afresh() -> None:
    clock = FakeClock()
    state = MemoryState(clock)
    for number in range(5_000):
        run_without_loop(state, Hit(f"other{number}", 9, 60))

    results: list[object] = []
    for seconds in (0, 10, 70, 20, 22):
        clock.advance(seconds)
        results = run_without_loop(state, Hit("k", 9, 60))

    assert getattr(results[0], "used", None) == 3


def test_values_set_and_deleted_over_and_over_do_not_pile_up() -> None:
    state = MemoryState(FakeClock())
    for number in range(2_000):
        run_without_loop(state, Set(f"k{number}", b"x", 60), Delete(f"k{number}"))

    assert state.keys < 100


def test_a_refused_batch_loses_no_entry_to_the_sweep() -> None:
    clock = FakeClock()
    state = MemoryState(clock)
    run_without_loop(state, Set("old", b"1", 60), Acquire("old", "x", 1, 60), Hit("old", 9, 60, 4))
    makes: list[Op] = [Set(f"k{number}", b"", 60) for number in range(100)]
    takes: list[Op] = [Delete("old"), Release("old", "x"), Adjust("old", 60, -4, clock.monotonic())]

    run_without_loop(state, *takes, *makes, Hit("never", 0, 60))
    clock.advance(1)

    assert run_without_loop(state, Get("old")) == [ValueResult(True, b"1")]
    (acquired, peeked) = run_without_loop(state, Acquire("old", "y", 9, 60), Peek("old", 9, 60))
    assert getattr(acquired, "used", None) == 2
    assert getattr(peeked, "used", None) == 4


def test_a_key_takes_little_memory_and_stays_out_of_the_garbage_collectors_way() -> None:
    clock = FakeClock()
    state = MemoryState(clock)
    gc.collect()
    tracked = len(gc.get_objects())
    blocks = sys.getallocatedblocks()

    for number in range(10_000):
        run_without_loop(state, Hit(f"k{number}", 5, 60))

    assert len(gc.get_objects()) - tracked < 200
    # The window, its key, and the number of its head.
    assert sys.getallocatedblocks() - blocks < 10_000 * 6


# ── what an operation may say ───────────────────────────────────────────────────────────────

TOO_LONG = "k" * (MAX_KEY_LENGTH + 1)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Hit("", 1, 60), "key has 0"),
        (lambda: Hit(TOO_LONG, 1, 60), "key has 513"),
        (lambda: Hit("k", -1, 60), "limit is -1"),
        (lambda: Hit("k", MAX_COUNT + 1, 60), "limit is"),
        (lambda: Hit("k", 1, 0), "window_seconds is 0"),
        (lambda: Hit("k", 1, -60), "window_seconds is -60"),
        (lambda: Hit("k", 1, float("nan")), "window_seconds is nan"),
        (lambda: Hit("k", 1, float("inf")), "window_seconds is inf"),
        (lambda: Hit("k", 1, 60, -1), "amount is -1"),
        (lambda: Peek("k", -1, 60), "limit is -1"),
        (lambda: Peek("k", 1, 0), "window_seconds is 0"),
        (lambda: Adjust("", 60, 1, 0.0), "key has 0"),
        (lambda: Adjust("k", 0, 1, 0.0), "window_seconds is 0"),
        (lambda: Adjust("k", 60, -MAX_COUNT - 1, 0.0), "delta is"),
        (lambda: Acquire("k", "", 1, 60), "holder has 0"),
        (lambda: Acquire("k", "x", -1, 60), "limit is -1"),
        (lambda: Acquire("k", "x", 1, 0), "ttl is 0"),
        (lambda: Acquire("k", "x", 1, -1), "ttl is -1"),
        (lambda: Renew("k", "x", -1), "ttl is -1"),
        (lambda: Release("k", TOO_LONG), "holder has 513"),
        (lambda: Release("", "x"), "key has 0"),
        (lambda: Get(""), "key has 0"),
        (lambda: Delete(TOO_LONG), "key has 513"),
        (lambda: Set("k", b"", -1), "ttl is -1"),
        (lambda: Set("k", b"x" * (MAX_VALUE_BYTES + 1), 1), "value has"),
        (lambda: Increment("k", MAX_COUNT + 1, 1), "delta is"),
        (lambda: Increment("k", 1, 0), "ttl is 0"),
        (lambda: CompareAndSet("k", None, b"x" * (MAX_VALUE_BYTES + 1), 1), "value has"),
        (lambda: CompareAndSet("k", None, b"", 0), "ttl is 0"),
    ],
)
def test_an_operation_out_of_range_is_refused_where_it_is_made(make: Callable[[], Op], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        make()


def test_only_an_admitted_hit_can_be_settled() -> None:
    state = MemoryState(FakeClock())
    hit = Hit("k", 0, 60)
    (refused,) = run_without_loop(state, hit)

    with pytest.raises(ValueError, match="not admitted"):
        hit.settle(refused, 1)  # type: ignore[arg-type]


def test_what_is_no_operation_is_refused_and_undoes_the_rest() -> None:
    state = MemoryState(FakeClock())

    with pytest.raises(TypeError, match="str is no operation"):
        run_without_loop(state, Set("k", b"1", 60), "GET k")  # type: ignore[arg-type]

    assert run_without_loop(state, Get("k")) == [ValueResult(True, None)]


def test_another_instance_is_another_epoch() -> None:
    clock = FakeClock()
    first = MemoryState(clock)
    clock.advance(1)

    assert MemoryState(clock).epoch != first.epoch


# ── the clock and the dice ──────────────────────────────────────────────────────────────────


def test_the_fake_clock_moves_both_clocks_and_jumps_with_one() -> None:
    clock = FakeClock(now=100.0, monotonic=5.0)
    clock.advance(2.5)
    clock.jump(-50)

    assert (clock.now(), clock.monotonic()) == (52.5, 7.5)
    with pytest.raises(ValueError, match="cannot advance by -1"):
        clock.advance(-1)


def test_scripted_random_gives_its_numbers_in_order_and_then_says_so() -> None:
    random = ScriptedRandom([0.5, 0.25, 0.75])

    assert (random.random(), random.uniform(10, 20), random.getrandbits(8)) == (0.5, 12.5, 192)
    with pytest.raises(LookupError, match="used up"):
        random.random()
    with pytest.raises(ValueError, match=r"1\.0 is not"):
        ScriptedRandom([1.0])
