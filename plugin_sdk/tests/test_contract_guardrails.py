"""The contracts of guardrails hold for honest ones, and can be broken."""

from __future__ import annotations

import re
import time
from typing import Any

import msgspec
from breaking import Case, broken, each_case, failure, promises, shown
from reference_plugins import Asked, Digits

from hookway_sdk import Block, Buffer, End, Mask, Span, Window
from hookway_sdk.testing import (
    GuardrailContract,
    HttpCall,
    HttpReply,
    PluginContract,
    RemoteGuardrailContract,
)


class TestGuardrail(GuardrailContract):
    plugin = Digits
    name = "guardrail_digits"
    row = {"word": "forbidden"}  # noqa: RUF012
    passes = ("a plain text", "year 123")
    blocks = ("this is forbidden here", "forbidden 1234")
    masks = {"pin 1234": "pin ****", "12345678": "********"}  # noqa: RUF012
    bad_rows = ({"word": "x", "pattern": "("},)


def _judge(judge: Any) -> Any:
    """Return a check that may answer something else than the reference, which it asks otherwise."""

    def check(self: Any, text: Any) -> Any:
        answer = judge(self, text)
        return Digits.check(self, text) if answer is ... else answer

    return check


def _check(judge: Any) -> Any:
    return broken(TestGuardrail, check=_judge(judge))


def _remember(self: Any, text: Any) -> Any:
    self.last = str(text)
    return ...


def _collect(self: Any, text: Any) -> Any:
    self.seen.append(str(text))
    return ...


def _prepare_list(self: Any) -> None:
    Digits.prepare(self)
    self.seen: list[str] = []


def _every_other(self: Any, text: Any) -> Any:
    self.__dict__["turn"] = not self.__dict__.get("turn", False)
    return Block("at last") if self.turn else None


def _spans_in_bytes(self: Any, text: Any) -> Any:
    spans = tuple(
        Span(*found.span(), "****")
        for found in re.finditer(rb"[0-9]{4}", text.encode(errors="replace"))
        if found.end() <= len(text)
    )
    return Mask(spans) if spans else None


def _masks_with_digits(self: Any, text: Any) -> Any:
    found = re.search(r"[0-9]{4}", text)
    return Mask((Span(*found.span(), "0000"),)) if found else None


def _slow(self: Any, text: Any) -> Any:
    started = time.process_time()
    while len(text) == 100_000 and time.process_time() < started + 0.3:
        pass
    return ...


async def _wait(self: Any, text: Any) -> Any:
    return None


def _ask(self: Any, text: Any) -> Any:
    self.services.http.calls.append(text)
    return ...


LOCAL: list[Case] = [
    ("test_it_is_shown_what_it_lets_pass_and_what_not", shown(TestGuardrail, passes=())),
    ("test_it_is_shown_what_it_lets_pass_and_what_not", shown(TestGuardrail, blocks=(), masks={})),
    ("test_its_rows_are_known", broken(TestGuardrail, register_resources=classmethod(lambda cls, reg: None))),
    ("test_it_lets_pass_what_it_should", _check(lambda self, text: Block("no"))),
    ("test_it_blocks_what_it_should", _check(lambda self, text: None)),
    ("test_it_masks_what_it_should", _check(lambda self, text: Block("no"))),
    ("test_it_masks_what_it_should", _check(lambda self, text: Mask((Span(0, len(text) + 1, "*"),)))),
    ("test_what_it_masked_needs_no_second_mask", _check(lambda self, text: Mask((Span(0, 1, "#"),)))),
    ("test_it_counts_characters_and_not_bytes", _check(_spans_in_bytes)),
    ("test_odd_texts_get_a_verdict", _check(lambda self, text: text.encode() and None)),
    ("test_odd_texts_get_a_verdict", _check(lambda self, text: "no")),
    ("test_it_has_nothing_against_an_empty_text", _check(lambda self, text: Block("empty"))),
    ("test_equal_texts_get_equal_verdicts", _check(_every_other)),
    ("test_equal_texts_get_equal_verdicts", _check(lambda self, text: Block(str(id(self))))),
    ("test_it_remembers_nothing", _check(_remember)),
    ("test_it_remembers_nothing", broken(TestGuardrail, prepare=_prepare_list, check=_judge(_collect))),
    (
        "test_it_judges_every_channel_and_both_directions",
        _check(lambda self, text: {"content": ...}[text.channel]),
    ),
    ("test_a_reason_does_not_repeat_the_text", _check(lambda self, text: Block(f"found {text}"))),
    ("test_a_long_text_takes_bounded_time", shown(_check(_slow), seconds=0.2)),
    ("test_its_way_with_streams_makes_sense", broken(TestGuardrail, stream="window")),
    ("test_its_way_with_streams_makes_sense", broken(TestGuardrail, stream=Window(10, 10))),
    ("test_its_way_with_streams_makes_sense", broken(TestGuardrail, stream=Buffer(10, "explode"))),
    ("test_its_way_with_streams_makes_sense", broken(TestGuardrail, stream=End(0))),
    (
        "test_it_finds_on_a_stream_what_two_windows_share",
        broken(TestGuardrail, stream=Window(size=200, overlap=3)),
    ),
    (
        "test_a_row_that_cannot_be_used_is_refused_with_a_reason",
        broken(TestGuardrail, prepare=lambda self: None),
    ),
    ("test_it_says_plainly_whom_it_acts_for", broken(TestGuardrail, applies=lambda self, scope: scope)),
    ("test_it_judges_without_waiting", broken(TestGuardrail, check=_wait)),
    ("test_it_judges_without_waiting", _check(_ask)),
]


class TestRemoteGuardrail(RemoteGuardrailContract):
    plugin = Asked
    name = "guardrail_asked"
    passes = ("a plain text", "another")
    blocks = ("this is forbidden",)
    masks = {"my secret": "***"}  # noqa: RUF012

    def answer(self, call: HttpCall) -> HttpReply:
        words = {"forbidden": "no", "secret": "mask"}
        return HttpReply.of(
            [next((word for key, word in words.items() if key in text), "ok") for text in call.json()]
        )


def _remote(check: Any) -> Any:
    return broken(TestRemoteGuardrail, check=check)


async def _pass_all(self: Any, texts: Any, exchange: Any) -> Any:
    await self.services.http.request(
        "POST", self.row.url, body=msgspec.json.encode([str(text) for text in texts])
    )
    return [None for _ in texts]


async def _block_all(self: Any, texts: Any, exchange: Any) -> Any:
    return [Block("no") for _ in texts]


async def _backwards(self: Any, texts: Any, exchange: Any) -> Any:
    return (await Asked.check(self, texts, exchange))[::-1]


async def _always_one(self: Any, texts: Any, exchange: Any) -> Any:
    return (await Asked.check(self, texts, exchange)) or [None]


async def _ascii_only(self: Any, texts: Any, exchange: Any) -> Any:
    for text in texts:
        text.encode("ascii")
    return await Asked.check(self, texts, exchange)


async def _fail_open(self: Any, texts: Any, exchange: Any) -> Any:
    try:
        return await Asked.check(self, texts, exchange)
    except Exception:
        return [None for _ in texts]


async def _ask_nobody(self: Any, texts: Any, exchange: Any) -> Any:
    raise ValueError("no")


async def _ignore_the_status(self: Any, texts: Any, exchange: Any) -> Any:
    answer = await self.services.http.request(
        "POST", self.row.url, body=msgspec.json.encode([str(text) for text in texts])
    )
    words = msgspec.json.decode(answer.body)
    return [Block(word) if word == "no" else None for word, _ in zip(words or ["ok"], texts, strict=False)]


REMOTE: list[Case] = [
    ("test_it_is_shown_what_it_lets_pass_and_what_not", shown(TestRemoteGuardrail, passes=())),
    ("test_it_is_shown_what_it_lets_pass_and_what_not", shown(TestRemoteGuardrail, blocks=(), masks={})),
    (
        "test_its_rows_are_known",
        broken(TestRemoteGuardrail, register_resources=classmethod(lambda cls, reg: None)),
    ),
    ("test_it_allows_itself_a_bounded_time", broken(TestRemoteGuardrail, timeout=0.0)),
    ("test_it_lets_pass_what_it_should", _remote(_block_all)),
    ("test_it_blocks_what_it_should", _remote(_pass_all)),
    ("test_it_masks_what_it_should", _remote(_pass_all)),
    (
        "test_it_masks_what_it_should",
        broken(TestRemoteGuardrail, verdict=lambda self, word, text: Mask((Span(0, 99, "*"),))),
    ),
    ("test_verdicts_come_in_the_order_of_the_texts", _remote(_backwards)),
    ("test_no_texts_get_no_verdicts", _remote(_always_one)),
    ("test_odd_texts_get_a_verdict", _remote(_ascii_only)),
    ("test_a_service_that_is_away_is_not_taken_for_consent", _remote(_fail_open)),
    ("test_a_service_that_is_away_is_not_taken_for_consent", _remote(_ask_nobody)),
    ("test_an_answer_that_makes_no_sense_is_not_taken_for_consent", _remote(_fail_open)),
    ("test_a_refused_credential_is_not_taken_for_consent", _remote(_ignore_the_status)),
    ("test_it_says_plainly_whom_it_acts_for", broken(TestRemoteGuardrail, applies=lambda self, scope: None)),
]


@each_case([*LOCAL, *REMOTE])
def test_a_broken_guardrail_fails(promise: str, contract: type[PluginContract]) -> None:
    assert failure(contract, promise) is not None


def test_every_promise_can_be_broken() -> None:
    assert promises(GuardrailContract, PluginContract) == {promise for promise, _ in LOCAL}
    assert promises(RemoteGuardrailContract, PluginContract) == {promise for promise, _ in REMOTE}


def test_a_service_nobody_plays_is_asked_for() -> None:
    assert isinstance(
        failure(
            shown(TestRemoteGuardrail, answer=RemoteGuardrailContract.answer),
            "test_it_lets_pass_what_it_should",
        ),
        NotImplementedError,
    )
