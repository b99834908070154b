"""What a provider promises about traffic it relays: bytes stay, usage is read, nonsense is survived."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from hookway_sdk.envelope import Envelope, close_envelope, open_envelope, read
from hookway_sdk.errors import StreamAborted, UpstreamError
from hookway_sdk.frames import Frame
from hookway_sdk.kinds.provider import AnswerFacts
from hookway_sdk.streams import StreamReader
from hookway_sdk.testing.contracts.garbage import GARBAGE, damaged
from hookway_sdk.testing.contracts.provider_trial import (
    UPSTREAM_MODEL,
    ProviderTrial,
    assert_counts,
    same_usage,
)

_ODD_MEMBERS = b'{"x_unknown":  {"b" :1.0,"a":[1e2, -0.0,"\\u00e9\\/"] },"x_big":12345678901234567890123}'
_OTHER_TEXTS = (b"", b"x", b"\\u00e9\\\\", "größe: [DONE] {}".encode())
_CHUNKS = (1, 2, 3, 7, 64)


class RelayPromises(ProviderTrial):
    """Promises about relayed requests, answers and streams."""

    def test_it_is_shown_traffic_of_every_wire(self) -> None:
        for what, given in (
            ("requests", self.requests),
            ("answers", self.answers),
            ("streams", self.streams),
        ):
            strangers = set(given) - set(self.plugin.wires)
            assert not strangers, f"`{what}` of wires that it does not speak: {strangers}"
        missing = [wire for wire in self.plugin.wires if not self.requests.get(wire)]
        assert not missing, f"give the contract `requests` of {', '.join(missing)}"
        silent = [wire for wire in self.plugin.wires if wire not in self.answers and wire not in self.streams]
        assert not silent, f"give the contract `answers` or `streams` of {', '.join(silent)}"

    # ── requests ────────────────────────────────────────────────────────────────────────────

    def _relayed(self, provider: Any, wire: str, body: bytes, stream: bool) -> tuple[Envelope, Envelope]:
        before = {**open_envelope(body), **open_envelope(_ODD_MEMBERS)}
        after = provider.relay_request(dict(before), self.deployment(), wire, stream)
        return before, after

    async def test_a_relayed_request_keeps_every_byte_it_need_not_change(self) -> None:
        async with self.running() as provider:
            for wire, bodies in self.requests.items():
                for body in bodies:
                    for stream in (False, True):
                        before, after = self._relayed(provider, wire, body, stream)
                        allowed = {"model", "stream", *self.further}
                        changed = {
                            name
                            for name in before.keys() | after.keys()
                            if bytes(before.get(name, b"")) != bytes(after.get(name, b""))
                        }
                        assert changed <= allowed, f"{sorted(changed - allowed)} changed on the way"
                        open_envelope(close_envelope(after))

    async def test_a_relayed_request_names_the_upstreams_model(self) -> None:
        async with self.running() as provider:
            for wire, bodies in self.requests.items():
                for body in bodies:
                    _, after = self._relayed(provider, wire, body, False)
                    if self.model_in_body:
                        name = read(after.get("model"))
                        assert name == UPSTREAM_MODEL, f"the request is for model {name!r}"
                    else:
                        assert "model" not in after, "the model stands in the URL and in the body"

    async def test_relaying_twice_changes_nothing_more(self) -> None:
        async with self.running() as provider:
            for wire, bodies in self.requests.items():
                for stream in (False, True):
                    _, once = self._relayed(provider, wire, bodies[0], stream)
                    twice = provider.relay_request(dict(once), self.deployment(), wire, stream)
                    assert close_envelope(twice) == close_envelope(once), "a retry sends something else"

    # ── finished answers ────────────────────────────────────────────────────────────────────

    async def test_usage_of_finished_answers_is_read(self) -> None:
        async with self.running() as provider:
            for wire, one in self.recorded(self.answers):
                facts = provider.facts(open_envelope(one.body), wire)
                assert isinstance(facts, AnswerFacts), f"facts answers {facts!r}"
                assert same_usage(facts.usage, one.usage), f"it reads {facts.usage}, not {one.usage}"

    async def test_answers_that_are_damaged_give_counts_or_an_upstream_error(self) -> None:
        async with self.running() as provider:
            for wire, one in self.recorded(self.answers):
                for body in damaged(one.body):
                    try:
                        facts = provider.facts(open_envelope(body), wire)
                    except UpstreamError:
                        continue
                    assert_counts(facts.usage)

    async def test_answers_that_are_nonsense_give_counts_or_an_upstream_error(self) -> None:
        async with self.running() as provider:
            for wire in self.plugin.wires:
                for body in (*GARBAGE, b'{"usage":{', b'{"error":{"message":"no"}}'):
                    try:
                        envelope = open_envelope(body)
                    except ValueError:
                        continue  # the core refuses it before a provider sees it
                    try:
                        facts = provider.facts(envelope, wire)
                    except UpstreamError:
                        continue
                    assert_counts(facts.usage)

    # ── streams ─────────────────────────────────────────────────────────────────────────────

    async def test_usage_of_streams_is_read(self) -> None:
        async with self.running() as provider:
            for wire, one in self.recorded(self.streams):
                usage = self.read_whole(provider, wire, one.body, True)
                assert same_usage(usage, one.usage), f"it reads {usage}, not {one.usage}"

    async def test_the_end_of_a_stream_is_noticed(self) -> None:
        async with self.running() as provider:
            for wire, one in self.recorded(self.streams):
                reader: StreamReader = provider.reader(self.deployment(), wire)
                frames = self.frames(provider, one.body)
                for frame in frames:
                    reader.observe(frame)
                reader.close()
                assert reader.done or not self.has_end_marker, "the end marker was not seen"
                assert reader.stop_reason, "the stop reason was not seen"

    async def test_a_stream_that_is_cut_is_aborted(self) -> None:
        if not self.has_end_marker:
            pytest.skip("nothing tells a cut stream from a whole one")
        async with self.running() as provider:
            for wire, one in self.recorded(self.streams):
                reader: StreamReader = provider.reader(self.deployment(), wire)
                for frame in self.frames(provider, one.body)[:1]:
                    reader.observe(frame)
                with pytest.raises(StreamAborted):
                    reader.close()

    async def test_a_stream_reads_the_same_wherever_its_bytes_are_split(self) -> None:
        async with self.running() as provider:
            for _, one in self.recorded(self.streams):
                whole = [(frame.data, frame.event) for frame in self.frames(provider, one.body)]
                for size in _CHUNKS:
                    pieces = [(frame.data, frame.event) for frame in self.frames(provider, one.body, size)]
                    assert pieces == whole, f"chunks of {size} bytes make other frames"

    async def test_frames_that_are_damaged_give_counts_or_an_upstream_error(self) -> None:
        async with self.running() as provider:
            for wire, one in self.recorded(self.streams):
                for frame in self.frames(provider, one.body):
                    if not frame.data.startswith(b"{"):
                        continue
                    for data in damaged(frame.data, most=400):
                        self._observe_alone(provider, wire, Frame(data, frame.event))

    async def test_frames_that_are_nonsense_give_counts_or_an_upstream_error(self) -> None:
        async with self.running() as provider:
            for wire, one in self.recorded(self.streams):
                events = {"", "error", "odd", *(frame.event for frame in self.frames(provider, one.body))}
                for event in sorted(events):
                    for data in GARBAGE:
                        self._observe_alone(provider, wire, Frame(data, event))

    def _observe_alone(self, provider: Any, wire: str, frame: Frame) -> None:
        reader: StreamReader = provider.reader(self.deployment(), wire)
        try:
            reader.observe(frame)
            reader.close()
        except UpstreamError:
            pass
        assert_counts(reader.usage)

    async def test_what_is_called_free_text_teaches_nothing(self) -> None:
        async with self.running() as provider:
            for wire, one in self.recorded(self.streams):
                seen: list[Frame] = []
                for frame in self.frames(provider, one.body):
                    reader = self._observed(provider, wire, [*seen, frame])
                    spans = reader.free_text(frame)
                    for text in _OTHER_TEXTS if spans else ():
                        other = Frame(replaced(frame.data, spans, text), frame.event, frame.id)
                        again = self._observed(provider, wire, [*seen, other])
                        assert noted(again) == noted(reader), f"it notes something of the text {text!r}"
                        skipped = self._observed(provider, wire, seen)
                        assert noted(skipped) == noted(reader), "a frame with free text teaches something"
                    seen.append(frame)

    def _observed(self, provider: Any, wire: str, frames: Sequence[Frame]) -> StreamReader:
        reader: StreamReader = provider.reader(self.deployment(), wire)
        for frame in frames:
            reader.observe(frame)
        return reader

    async def test_readers_do_not_share_what_they_saw(self) -> None:
        async with self.running() as provider:
            for wire, one in self.recorded(self.streams):
                self.read_whole(provider, wire, one.body, True)
                fresh: StreamReader = provider.reader(self.deployment(), wire)
                assert fresh.usage.total_tokens == 0, "a new reader begins with another stream's usage"
                assert not fresh.done, "a new reader is at its end"


def noted(reader: StreamReader) -> tuple[Any, ...]:
    """Return everything that a reader notes."""
    return (reader.usage, reader.upstream_id, reader.upstream_model, reader.stop_reason, reader.done)


def replaced(data: bytes, spans: Sequence[tuple[int, int]], text: bytes) -> bytes:
    """Return a frame's data with another text in its spans, each the inside of a JSON string."""
    for begin, end in reversed(spans):
        assert data[begin - 1 : begin] == data[end : end + 1] == b'"', "free text is no string's inside"
        data = data[:begin] + text + data[end:]
    return data
