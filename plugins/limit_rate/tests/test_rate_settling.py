"""What is reserved, charged, given back and renewed."""

from __future__ import annotations

import pytest
from limited_worker import Worker, group, key_row, model_row, refusal_of, release, settle

from hookway_sdk import LimitExceeded, Usage
from hookway_sdk.state import Peek, WindowResult


async def used(worker: Worker) -> int:
    """Return how many tokens the key's minute counts."""
    (window,) = await worker.state.apply([Peek("{id-of-key-1}:tpm", 1000, 60.0)])
    assert isinstance(window, WindowResult)
    return window.used


async def test_the_estimate_of_a_request_is_reserved() -> None:
    worker = Worker(key_row(tpm=1000))
    await worker.admit(tokens=300)
    assert await used(worker) == 300


async def test_a_request_of_nothing_reserves_one_token() -> None:
    worker = Worker(key_row(tpm=1000))
    await worker.admit(tokens=0)
    assert await used(worker) == 1


@pytest.mark.parametrize(
    ("setting", "most", "reserved"),
    [(0, 500, 100), (200, None, 300), (200, 50, 150), (200, 500, 300), (200, 0, 300)],
)
async def test_an_answer_is_reserved_up_to_the_setting(setting: int, most: int | None, reserved: int) -> None:
    worker = Worker(key_row(tpm=1000), reserve_output=setting)
    await worker.admit(tokens=100, most=most)
    assert await used(worker) == reserved


async def test_an_estimate_above_the_limit_is_admitted_into_an_empty_window_only() -> None:
    worker = Worker(key_row(tpm=1000))
    exchange = await worker.admit(tokens=5000)
    settle(exchange, 1)
    error = await worker.refused(tokens=5000)
    assert error.dimension == "tokens"
    assert error.retry_after is not None
    worker.clock.advance(error.retry_after + 1)
    assert await worker.fits(tokens=5000)


async def test_the_exact_usage_replaces_the_estimate() -> None:
    worker = Worker(key_row(tpm=1000))
    settle(await worker.admit(tokens=300), 100)
    assert await used(worker) == 100
    settle(await worker.admit(tokens=300), 700)
    assert await used(worker) == 800


async def test_input_and_output_count_together() -> None:
    worker = Worker(key_row(tpm=1000))
    exchange = await worker.admit()
    exchange.reservations[0].settle(Usage(100, 50, cached_input_tokens=90, reasoning_tokens=40))
    assert await used(worker) == 150


async def test_a_usage_above_the_limit_is_charged_in_full() -> None:
    worker = Worker(key_row(tpm=1000, tpd=5000))
    settle(await worker.admit(), 4000)
    assert not await worker.fits()
    worker.clock.advance(61.1)
    assert await used(worker) == 0
    settle(await worker.admit(), 1000)
    worker.clock.advance(61.1)
    assert not await worker.fits(), "the day counts both"


async def test_what_a_long_stream_used_counts_from_its_end() -> None:
    worker = Worker(key_row(tpm=1000))
    exchange = await worker.admit(tokens=10)
    worker.clock.advance(600)
    settle(exchange, 1010)
    assert not await worker.fits(), "nobody could have counted it before"
    worker.clock.advance(61.1)
    assert await worker.fits()


async def test_a_request_is_counted_once_however_often_it_is_settled() -> None:
    worker = Worker(key_row(rpm=5, tpm=1000, concurrency=1))
    exchange = await worker.admit(tokens=10)
    settle(exchange, 400)
    settle(exchange, 400)
    release(exchange)
    assert await used(worker) == 400
    other = await worker.admit()
    release(other)
    settle(other, 100)
    release(other)
    assert await used(worker) == 400


async def test_a_released_request_gives_everything_back() -> None:
    worker = Worker(key_row(rpm=1, tpm=1000, concurrency=1))
    release(await worker.admit(tokens=999))
    assert await used(worker) == 0


async def test_a_release_long_after_takes_nothing_from_others() -> None:
    worker = Worker(key_row(rpm=1))
    early = await worker.admit()
    worker.clock.advance(61.1)
    await worker.admit()
    release(early)
    assert not await worker.fits()


async def test_a_slot_is_kept_until_the_end() -> None:
    worker = Worker(key_row(concurrency=2))
    first, second = await worker.admit(), await worker.admit()
    assert (await worker.refused()).retry_after is None
    settle(first)
    third = await worker.admit()
    assert not await worker.fits()
    release(second)
    settle(third)
    assert await worker.fits()


async def test_a_request_and_its_attempts_hold_slots_of_their_own() -> None:
    worker = Worker(key_row(concurrency=1), model_row("gpt", concurrency=2))
    exchange = await worker.admit(model=group())
    first = await worker.attempt(exchange)
    second = await worker.attempt(exchange, index=1)
    with pytest.raises(LimitExceeded, match="concurrency limit exceeded"):
        await worker.attempt(exchange, index=2)
    release(first)
    third = await worker.attempt(exchange, index=3)
    settle(second)
    settle(third)
    settle(exchange)
    assert not any(meter.live for meter in worker.plugin._slots)  # type: ignore[attr-defined]


async def test_a_slot_that_nobody_renews_ends_by_itself() -> None:
    worker = Worker(key_row(concurrency=1), lease_ttl="30s")
    await worker.admit()
    worker.clock.advance(29)
    assert not await worker.fits()
    worker.clock.advance(1.1)
    assert await worker.fits()


async def test_slots_of_running_requests_are_renewed_and_those_of_ended_ones_are_not() -> None:
    worker = Worker(key_row(concurrency=2), lease_ttl=30.0)
    await worker.plugin.start()
    ((seconds, _),) = worker.services.tasks.periodic.values()
    assert seconds == 10.0
    long, short = await worker.admit(), await worker.admit()
    for _ in range(9):
        worker.clock.advance(seconds)
        await worker.services.tasks.run_every()
        assert not await worker.fits()
    settle(short)
    await worker.services.tasks.run_every()
    assert await worker.fits()
    settle(long)
    for _ in range(2):
        await worker.admit()
    assert not await worker.fits()


async def test_an_attempts_slot_is_renewed_too() -> None:
    worker = Worker(model_row("gpt", concurrency=1), lease_ttl=30.0)
    await worker.plugin.start()
    exchange = await worker.admit(model=group())
    await worker.attempt(exchange)
    for _ in range(5):
        worker.clock.advance(20)
        await worker.services.tasks.run_every()
    with pytest.raises(LimitExceeded):
        await worker.attempt(exchange, index=1)


# ── the ways to count ───────────────────────────────────────────────────────────────────────


async def test_a_sliding_window_never_lets_twice_the_limit_pass_around_a_boundary() -> None:
    worker = Worker(key_row(rpm=5))
    worker.clock.advance(60 - worker.clock.now() % 60 - 1)
    for _ in range(5):
        await worker.admit()
    worker.clock.advance(1.5)
    assert not await worker.fits()
    assert (await worker.refused()).retry_after == 60


async def test_an_aligned_window_begins_anew_with_the_wall_clocks_minute() -> None:
    worker = Worker(key_row(rpm=5), window="aligned")
    worker.clock.advance(60 - worker.clock.now() % 60 - 1)
    for _ in range(5):
        await worker.admit()
    assert (await worker.refused()).retry_after == 2 or (await worker.refused()).retry_after == 1
    worker.clock.advance(1.5)
    for _ in range(5):
        await worker.admit()


async def test_with_overshoot_tokens_are_charged_afterwards_and_the_last_request_may_pass() -> None:
    worker = Worker(key_row(tpm=1000), overshoot=True, reserve_output=500)
    exchanges = [await worker.admit(tokens=900) for _ in range(3)]
    for exchange in exchanges:
        settle(exchange, 500)
    assert not await worker.fits()
    assert (await refusal_of(worker, worker.exchange())).dimension == "tokens"
    worker.clock.advance(61.1)
    settle(await worker.admit(), 1000)
    settle(await worker.admit(), 1)  # at the limit is not above it
    assert not await worker.fits()
