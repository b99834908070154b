"""What a ``guardrail_`` plugin promises that judges in this process."""

from __future__ import annotations

import copy
import inspect
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, get_args

import pytest

from hookway_sdk import walker
from hookway_sdk.kinds.guardrail import Buffer, End, Guardrail, Window
from hookway_sdk.resources import Scope
from hookway_sdk.testing.contracts.garbage import ODD_TEXTS
from hookway_sdk.testing.contracts.plugin import PluginContract
from hookway_sdk.texts import Block, Channel, Direction, Mask, Text, TextSlot, Verdict, apply_mask

_LONG = 100_000


def make_text(
    text: str, direction: Direction = "input", channel: Channel = "content", role: str = "user"
) -> Text:
    """Make a text to be judged."""
    return Text.of(TextSlot("/messages/0/content", text, channel, role), direction)


def assert_verdict(verdict: Verdict | None, text: str) -> None:
    """Check that a verdict is one, and that what it masks lies in the text."""
    assert verdict is None or isinstance(verdict, Block | Mask), f"{verdict!r} is no verdict"
    if isinstance(verdict, Mask):
        assert isinstance(verdict.spans, tuple)
        try:
            apply_mask(text, verdict.spans)
        except ValueError as error:
            raise AssertionError(f"a mask does not fit its text: {error}") from error


def assert_declares_its_row(contract: PluginContract) -> None:
    """Check that rows of the plugin's own kind exist once it is enabled."""
    kind = contract.token().removeprefix("guardrail_")
    found = contract.registry().variants
    assert ("guardrails", kind) in found, f"rows of kind '{kind}' are unknown; it registers {list(found)}"


class GuardrailContract(PluginContract):
    """Promises of a local guardrail.

    Attributes:
        passes: texts it has no objection to.
        blocks: texts it refuses.
        masks: texts it masks, and what becomes of them.
        bad_rows: rows of its own that pass their schema and cannot be used.
        judges_whole_texts: a text is judged by all of it (a share, a length), so that an example among
            other words may be judged otherwise.
        seconds: how long it may take over a text of 100,000 characters.
    """

    plugin: ClassVar[type[Guardrail[Any]]]
    passes: ClassVar[Sequence[str]] = ()
    blocks: ClassVar[Sequence[str]] = ()
    masks: ClassVar[Mapping[str, str]] = {}
    bad_rows: ClassVar[Sequence[Mapping[str, Any]]] = ()
    judges_whole_texts: ClassVar[bool] = False
    seconds: ClassVar[float] = 5.0

    def check(self, guardrail: Any, text: str) -> Verdict | None:
        """Judge one text and check the verdict's form."""
        verdict: Verdict | None = guardrail.check(make_text(text))
        assert_verdict(verdict, text)
        return verdict

    def examples(self) -> list[str]:
        """Return every text of the examples."""
        return [*self.passes, *self.blocks, *self.masks]

    def test_it_is_shown_what_it_lets_pass_and_what_not(self) -> None:
        assert self.passes, "give the contract texts that pass: `passes`"
        assert self.blocks or self.masks, "give the contract texts that do not pass: `blocks` or `masks`"

    def test_its_rows_are_known(self) -> None:
        assert_declares_its_row(self)

    def test_it_lets_pass_what_it_should(self) -> None:
        for text in self.passes:
            verdict = self.check(self.make(), text)
            assert verdict is None, f"it objects to {text!r}"

    def test_it_blocks_what_it_should(self) -> None:
        for text in self.blocks:
            verdict = self.check(self.make(), text)
            assert isinstance(verdict, Block), f"it does not block {text!r}"

    def test_it_masks_what_it_should(self) -> None:
        for text, masked in self.masks.items():
            verdict = self.check(self.make(), text)
            assert isinstance(verdict, Mask), f"it does not mask {text!r}"
            made = apply_mask(text, verdict.spans)
            assert made == masked, f"{text!r} becomes {made!r}, not {masked!r}"

    def test_what_it_masked_needs_no_second_mask(self) -> None:
        for masked in self.masks.values():
            verdict = self.check(self.make(), masked)
            assert verdict is None or (
                isinstance(verdict, Mask) and apply_mask(masked, verdict.spans) == masked
            ), f"it objects to its own work, {masked!r}"

    def test_it_counts_characters_and_not_bytes(self) -> None:
        if self.judges_whole_texts:
            pytest.skip("texts are judged by all of them")
        for before in ("\U0001f600 \u00e9 ", "\u65e5\u672c\u8a9e ", "e\u0301 "):
            for text, masked in self.masks.items():
                verdict = self.check(self.make(), before + text)
                assert isinstance(verdict, Mask), f"it does not mask {before + text!r}"
                made = apply_mask(before + text, verdict.spans)
                assert made == before + masked, f"{before + text!r} becomes {made!r}"

    def test_odd_texts_get_a_verdict(self) -> None:
        guardrail = self.make()
        for text in ODD_TEXTS:
            self.check(guardrail, text)

    def test_it_has_nothing_against_an_empty_text(self) -> None:
        assert self.check(self.make(), "") is None, "it objects to an empty text"

    def test_equal_texts_get_equal_verdicts(self) -> None:
        first, second = self.make(), self.make()
        for text in [*self.examples(), *ODD_TEXTS]:
            verdict = self.check(first, text)
            assert self.check(first, text) == verdict, f"another verdict the second time: {text[:80]!r}"
            assert self.check(second, text) == verdict, f"another instance judges otherwise: {text[:80]!r}"

    def test_it_remembers_nothing(self) -> None:
        guardrail = self.make()
        outside = ("services", "resource")
        before = {name: _copied(value) for name, value in vars(guardrail).items() if name not in outside}
        for text in self.examples():
            self.check(guardrail, text)
        after = {name: value for name, value in vars(guardrail).items() if name not in outside}
        assert after.keys() == before.keys(), "it keeps something new in self; services.state is the place"
        changed = [name for name in before if not _same(before[name], after[name])]
        assert not changed, f"it keeps something in {changed}; services.state is the place"

    def test_it_judges_every_channel_and_both_directions(self) -> None:
        guardrail = self.make()
        directions: tuple[Direction, ...] = get_args(Direction)
        channels: tuple[Channel, ...] = get_args(Channel)
        for text in self.examples():
            for direction in directions:
                for channel in channels:
                    assert_verdict(guardrail.check(make_text(text, direction, channel, "")), text)

    def test_a_reason_does_not_repeat_the_text(self) -> None:
        for text in [*self.blocks, *self.masks]:
            verdict = self.check(self.make(), text)
            reason = verdict.reason if verdict is not None else ""
            assert text not in reason, f"the reason holds the text: {reason!r}"

    def test_a_long_text_takes_bounded_time(self) -> None:
        guardrail = self.make()
        for piece in ["a", " ", "a ", "aA1!", *self.examples()]:
            text = (piece * (_LONG // max(1, len(piece)) + 1))[:_LONG]
            started = time.process_time()
            self.check(guardrail, text)
            took = time.process_time() - started
            assert took < self.seconds, f"{_LONG} characters of {piece[:20]!r} took {took:.1f} s"

    def test_its_way_with_streams_makes_sense(self) -> None:
        stream = self.plugin.stream
        assert isinstance(stream, End | Window | Buffer), f"{stream!r} is no way with streams"
        if isinstance(stream, Window):
            assert 0 <= stream.overlap < stream.size, "windows have to be longer than their overlap"
        elif isinstance(stream, Buffer):
            assert stream.on_overflow in ("close", "open"), f"on_overflow is '{stream.on_overflow}'"
        assert isinstance(stream, Window) or stream.cap > 0, "a cap of nothing holds nothing"

    def test_it_finds_on_a_stream_what_two_windows_share(self) -> None:
        stream = self.plugin.stream
        if not isinstance(stream, Window) or self.judges_whole_texts:
            pytest.skip("it does not judge windows of a stream")
        guardrail = self.make()
        step = stream.size - stream.overlap
        for example in [*self.blocks, *self.masks]:
            for cut in range(len(example) + 1):
                text = "." * (stream.size - 1 - cut) + " " + example + " " + "." * step
                windows = [text[at : at + stream.size] for at in range(0, len(text), step)]
                found = [self.check(guardrail, window) for window in windows]
                assert any(found), f"{example!r} is missed where windows meet; it is longer than the overlap"

    def test_a_row_that_cannot_be_used_is_refused_with_a_reason(self) -> None:
        if not self.bad_rows:
            pytest.skip("no `bad_rows` are given")
        for bad in self.bad_rows:
            row: Any = walker.convert(dict(bad), self.plugin.Row)
            with pytest.raises(ValueError, match=r"\w"):
                self.plugin(self.token(), row, self.resource(row), self.services())

    def test_it_says_plainly_whom_it_acts_for(self) -> None:
        answer = self.make().applies(Scope("id-of-a-model", "id-of-a-key", ""))
        assert isinstance(answer, bool), f"applies answers {answer!r}"

    def test_it_judges_without_waiting(self) -> None:
        assert not inspect.iscoroutinefunction(self.plugin.check), "use RemoteGuardrail for what has to wait"
        services = self.services()
        guardrail = self.make(services)
        for text in self.examples():
            answer = guardrail.check(make_text(text))
            assert not inspect.isawaitable(answer)
        assert not services.http.calls, "a local guardrail asks nobody"


def _copied(value: Any) -> Any:
    return copy.deepcopy(value) if isinstance(value, dict | list | set | bytearray) else value


def _same(before: Any, after: Any) -> bool:
    return before is after or (type(before) is type(after) and bool(before == after))
