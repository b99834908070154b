"""What answers and metrics say of limits."""

from __future__ import annotations

import pytest
from limited_worker import Worker, direct, group, headers_of, key_row, model_row, policy_row, release, settle

from hookway_sdk import LimitExceeded
from hookway_sdk.testing.exchanges import make_exchange, make_principal


async def test_an_admitted_request_says_what_is_left_in_whole_seconds() -> None:
    worker = Worker(key_row(rpm=10, tpm=1000, concurrency=3))
    worker.clock.advance(0.5)
    assert headers_of(await worker.admit(tokens=100)) == {
        "limit-requests": "10",
        "remaining-requests": "9",
        "reset-requests": "60s",
        "limit-tokens": "1000",
        "remaining-tokens": "900",
        "reset-tokens": "60s",
        "limit-concurrent": "3",
        "remaining-concurrent": "2",
    }


async def test_only_what_is_limited_is_told() -> None:
    assert headers_of(await Worker(key_row(concurrency=3)).admit()) == {
        "limit-concurrent": "3",
        "remaining-concurrent": "2",
    }
    assert headers_of(await Worker().admit()) == {}


async def test_long_windows_are_told_in_seconds_too() -> None:
    assert headers_of(await Worker(key_row(rpd=5)).admit())["reset-requests"] == "86400s"


@pytest.mark.parametrize(
    ("key", "model", "policy", "limit"),
    [(10, 5, 20, "5"), (5, 10, 20, "5"), (10, 20, 5, "5"), (3, 2, 1, "1")],
)
async def test_of_several_layers_the_one_with_the_least_share_left_is_told(
    key: int, model: int, policy: int, limit: str
) -> None:
    worker = Worker(key_row(rpm=key), model_row(rpm=model), policy_row(limits={"rpm": policy}))
    told = headers_of(await worker.admit())
    assert told["limit-requests"] == limit
    assert told["remaining-requests"] == str(int(limit) - 1)


async def test_of_several_windows_the_one_with_the_least_share_left_is_told() -> None:
    worker = Worker(key_row(rps=2, rpd=100))
    assert headers_of(await worker.admit())["limit-requests"] == "2"
    for _ in range(97):
        worker.clock.advance(1.1)
        await worker.admit()
    worker.clock.advance(1.1)
    told = headers_of(await worker.admit())
    assert told["limit-requests"] == "100"
    assert told["remaining-requests"] == "1"


async def test_a_settlement_corrects_what_is_left_of_tokens() -> None:
    worker = Worker(key_row(rpm=5, tpm=1000, concurrency=1))
    for before, actual, after in ((100, 50, 950), (100, 400, 550), (10, 900, 0)):
        exchange = await worker.admit(tokens=before)
        settle(exchange, actual)
        assert headers_of(exchange)["remaining-tokens"] == str(after)


async def test_a_settlement_corrects_the_window_that_was_told() -> None:
    worker = Worker(key_row(tpm=1000, tpd=200))
    exchange = await worker.admit(tokens=100)
    settle(exchange, 10)
    told = headers_of(exchange)
    assert (told["limit-tokens"], told["remaining-tokens"]) == ("200", "190")


async def test_a_release_corrects_everything() -> None:
    worker = Worker(key_row(rpm=5, tpm=1000, concurrency=1))
    exchange = await worker.admit(tokens=100)
    release(exchange)
    told = headers_of(exchange)
    assert (told["remaining-requests"], told["remaining-tokens"]) == ("5", "1000")
    assert told["remaining-concurrent"] == "1"


async def test_a_refusal_says_what_is_left_and_when_to_come_back() -> None:
    worker = Worker(key_row(rpm=1, tpm=1000, concurrency=3))
    settle(await worker.admit(tokens=10), 10)
    worker.clock.advance(20.5)
    exchange = worker.exchange(tokens=5)
    with pytest.raises(LimitExceeded) as caught:
        await worker.plugin.admit_request(exchange)
    told = headers_of(exchange)
    assert (told["limit-requests"], told["remaining-requests"]) == ("1", "0")
    assert told["reset-requests"] == f"{caught.value.retry_after}s" == "41s"
    assert told["remaining-tokens"] == "990"
    assert told["remaining-concurrent"] == "3"


async def test_what_others_wrote_stays_and_an_older_figure_goes() -> None:
    worker = Worker(key_row(rpm=5, tpm=50))
    exchange = worker.exchange()
    exchange.reply_headers = [("x-other", "1"), ("X-RateLimit-Remaining-Requests", "77")]
    await worker.plugin.admit_request(exchange)
    settle(exchange, 20)
    headers = exchange.answer_headers()
    lines = {name.lower(): value for name, value in headers}
    assert len(lines) == len(headers)
    assert lines["x-other"] == "1"
    assert lines["x-ratelimit-remaining-requests"] == "4"
    assert lines["x-ratelimit-remaining-tokens"] == "30"


async def test_headers_can_be_switched_off() -> None:
    worker = Worker(key_row(rpm=1, tpm=10), headers=False)
    exchange = await worker.admit()
    settle(exchange, 5)
    assert exchange.answer_headers() == []
    refused = worker.exchange()
    with pytest.raises(LimitExceeded):
        await worker.plugin.admit_request(refused)
    assert refused.answer_headers() == []


async def test_attempts_write_no_headers() -> None:
    worker = Worker(model_row("gpt", rpm=1, tpm=100))
    exchange = await worker.admit(model=group())
    settle(await worker.attempt(exchange), 5)
    with pytest.raises(LimitExceeded):
        await worker.attempt(exchange)
    assert exchange.answer_headers() == []


async def test_the_last_instance_tells_what_is_left() -> None:
    first, second = Worker(key_row(rpm=5)), Worker(key_row(rpm=7))
    exchange = await first.admit()
    exchange.snapshot = second.snapshot
    await second.plugin.admit_request(exchange)
    assert headers_of(exchange)["limit-requests"] == "7"


# ── metrics ─────────────────────────────────────────────────────────────────────────────────


async def test_refusals_are_counted_by_what_refused() -> None:
    worker = Worker(
        key_row(concurrency=0), key_row("key-2"), model_row("gpt", tpm=0), policy_row(limits={"rps": 0})
    )
    await worker.refused()
    await worker.refused("key-2")
    await worker.refused("key-2", "claude")
    with pytest.raises(LimitExceeded):
        await worker.attempt(worker.exchange(model=group()))
    value = worker.services.metrics.value
    assert value("ratelimit_rejections_total", "concurrency", "api_key", "") == 1
    assert value("ratelimit_rejections_total", "tokens", "model", "") == 2
    assert value("ratelimit_rejections_total", "requests", "policy", "id-of-cap") == 1


async def test_what_is_left_of_a_keys_minute_is_shown_by_model() -> None:
    worker = Worker(key_row(rpm=10, tpm=1000), model_row("gpt", rpm=3))
    settle(await worker.admit(tokens=100), 40)
    value = worker.services.metrics.value
    assert value("ratelimit_remaining_requests", "id-of-key-1", "gpt") == 9
    assert value("ratelimit_remaining_tokens", "id-of-key-1", "gpt") == 960
    await worker.admit(model=direct("gpt-*", requested="gpt-5"), tokens=100)
    assert value("ratelimit_remaining_requests", "id-of-key-1", "gpt-*") == 8
    assert value("ratelimit_remaining_tokens", "id-of-key-1", "gpt-*") == 860


async def test_nothing_is_shown_of_other_windows_layers_and_endpoints() -> None:
    worker = Worker(key_row(rps=10, tpd=1000), model_row("gpt", rpm=3, tpm=50), key_row("key-2", rpm=3))
    settle(await worker.admit(), 5)
    settle(await worker.admit("key-2"), 5)
    exchange = make_exchange(snapshot=worker.snapshot, principal=make_principal("id-of-key-2"))
    del exchange.model
    await worker.plugin.admit_request(exchange)
    families = {one.name: one for one in worker.services.metrics.families()}
    assert list(families["ratelimit_remaining_requests"].values) == [("id-of-key-2", "gpt")]
    assert not families["ratelimit_remaining_tokens"].values
