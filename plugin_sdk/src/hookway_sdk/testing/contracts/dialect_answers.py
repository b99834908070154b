"""What a dialect promises about answers: finished ones, and streams."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from hookway_sdk.endpoint import Endpoint, Sample
from hookway_sdk.envelope import close_envelope, open_envelope
from hookway_sdk.errors import UpstreamError
from hookway_sdk.frames import Frame
from hookway_sdk.messages import StreamEvent, StreamUsage
from hookway_sdk.streams import StreamWriter
from hookway_sdk.testing.contracts.dialect_trial import ALIAS, DialectTrial
from hookway_sdk.testing.contracts.garbage import GARBAGE, damaged
from hookway_sdk.testing.contracts.one_of_each import (
    OPERATOR_ONLY,
    event_streams,
    one_of_each_error,
    plain_answer,
    plain_events,
    rich_answer,
)
from hookway_sdk.testing.contracts.sse import frames_of
from hookway_sdk.usage import Usage

_ODD_MEMBER = b',"x_unknown":  {"b" :1.0,"a":[1e2, -0.0,"\\u00e9\\/"] }}'
_TEXTS = (b"one-word", b"\\u00e9 another")
_WORD = "four"


class AnswerPromises(DialectTrial):
    """Promises about finished and streamed answers."""

    def _answers(self, dialect: Any) -> Iterator[tuple[Endpoint, Sample, bytes]]:
        """Yield samples whose scripted upstream gives a finished answer, with that answer."""
        for endpoint, sample in self.samples(dialect):
            if not sample.stream and isinstance(sample.upstream, dict):
                yield endpoint, sample, msgspec.json.encode(sample.upstream)

    def _streams(self, dialect: Any) -> Iterator[tuple[Endpoint, Sample]]:
        return ((endpoint, sample) for endpoint, sample in self.samples(dialect) if sample.stream)

    # ── finished answers ────────────────────────────────────────────────────────────────────

    async def test_a_relayed_answer_shows_the_clients_name_of_the_model(self) -> None:
        async with self.running() as dialect:
            for endpoint, sample, body in self._answers(dialect):
                before = open_envelope(body[:-1] + _ODD_MEMBER)
                after = endpoint.relay_answer(dict(before), self.exchange(endpoint, sample))
                sent = close_envelope(after)
                if "model" in before:
                    assert ALIAS.encode() in sent, f"{endpoint.path}: the client's name is missing"
                    upstream = bytes(before["model"])
                    assert upstream not in sent, f"{endpoint.path}: the upstream's name shows"
                changed = [
                    name
                    for name in before
                    if name != "model" and bytes(after.get(name, b"")) != bytes(before[name])
                ]
                assert not changed, f"{endpoint.path}: {changed} changed on the way"

    async def test_a_canonical_answer_is_written(self) -> None:
        async with self.running() as dialect:
            for endpoint, sample in self.samples(dialect):
                if not self.is_chat(endpoint):
                    continue
                exchange = self.exchange(endpoint, sample)
                for answer in (plain_answer(_WORD), rich_answer()):
                    value = msgspec.json.decode(endpoint.encode_answer(answer, exchange))
                    assert isinstance(value, dict), f"{endpoint.path}: an answer is {value!r}"
                plain = endpoint.encode_answer(plain_answer(_WORD), exchange).decode()
                assert _WORD in plain, f"{endpoint.path}: the answer's text is missing"
                assert ALIAS in plain, f"{endpoint.path}: the client's name of the model is missing"
                assert "upstream-model" not in plain, f"{endpoint.path}: the upstream's name shows"

    async def test_the_texts_of_an_answer_are_seen_and_can_be_masked(self) -> None:
        async with self.running() as dialect:
            for endpoint, sample in self.samples(dialect):
                if not self.is_chat(endpoint):
                    continue
                exchange = self.exchange(endpoint, sample)
                body = endpoint.encode_answer(plain_answer(_WORD), exchange)
                view = endpoint.view_answer(body, exchange)
                slots = [slot for slot in view.texts() if _WORD in slot.text]
                assert slots, f"{endpoint.path}: guardrails never see the answer's text"
                assert msgspec.json.decode(view.body()) == msgspec.json.decode(body), (
                    f"{endpoint.path}: reading an answer changes it"
                )
                for slot in slots:
                    slot.replace("masked")
                masked = view.body()
                assert _WORD.encode() not in masked, f"{endpoint.path}: the text is delivered all the same"
                assert b"masked" in masked, f"{endpoint.path}: the mask is lost"

    async def test_answers_that_make_no_sense_cannot_be_inspected(self) -> None:
        async with self.running() as dialect:
            for endpoint, sample, body in self._answers(dialect):
                exchange = self.exchange(endpoint, sample)
                for odd in (*GARBAGE, *damaged(body, most=self.most_damaged)):
                    try:
                        view = endpoint.view_answer(odd, exchange)
                        assert all(isinstance(slot.text, str) for slot in view.texts())
                        view.body()
                    except UpstreamError:
                        continue

    # ── streams ─────────────────────────────────────────────────────────────────────────────

    def _write(self, writer: StreamWriter, events: Sequence[StreamEvent]) -> bytes:
        usage = Usage()
        for event in events:
            if isinstance(event, StreamUsage):
                usage.observe(event.usage)
        return b"".join([*(writer.write(event) for event in events), writer.end(usage)])

    def _assert_events(self, endpoint: Endpoint, stream: bytes) -> list[Frame]:
        """Check that a stream is whole events, each a JSON object or the end marker."""
        frames = self.cut(stream)
        for frame in frames:
            if frame.data != self.end_marker:
                try:
                    value: Any = msgspec.json.decode(frame.data)
                except msgspec.DecodeError as error:
                    raise AssertionError(f"{endpoint.path}: an event is {frame.data[:200]!r}") from error
                assert isinstance(value, dict), f"{endpoint.path}: an event is {value!r}"
        return frames

    async def test_any_events_make_a_valid_stream(self) -> None:
        async with self.running() as dialect:
            for endpoint, sample in self._streams(dialect):
                if not self.is_chat(endpoint):
                    continue
                for events in event_streams():
                    writer = endpoint.writer(self.exchange(endpoint, sample))
                    self._assert_events(endpoint, self._write(writer, events))

    async def test_a_written_stream_says_what_the_events_say(self) -> None:
        async with self.running() as dialect:
            for endpoint, sample in self._streams(dialect):
                if not self.is_chat(endpoint):
                    continue
                writer = endpoint.writer(self.exchange(endpoint, sample))
                stream = self._write(writer, plain_events(_WORD))
                frames = self._assert_events(endpoint, stream)
                texts = [text for frame in frames for text in _strings(frame, self.end_marker)]
                assert _follows(_WORD, texts), f"{endpoint.path}: the text is missing from {texts}"
                assert ALIAS in texts, f"{endpoint.path}: the client's name of the model is missing"
                assert b"upstream-model" not in stream, f"{endpoint.path}: the upstream's name shows"

    async def test_writers_do_not_share_what_they_wrote(self) -> None:
        async with self.running() as dialect:
            for endpoint, sample in self._streams(dialect):
                if self.is_chat(endpoint):
                    exchange = self.exchange(endpoint, sample)
                    first = self._write(endpoint.writer(exchange), plain_events(_WORD))
                    again = self._write(endpoint.writer(exchange), plain_events(_WORD))
                    assert again == first, f"{endpoint.path}: the same events made another stream"

    async def test_a_stream_that_fails_ends_in_a_valid_way(self) -> None:
        async with self.running() as dialect:
            for endpoint, sample in self._streams(dialect):
                if not self.is_chat(endpoint):
                    continue
                for error in one_of_each_error():
                    for begun in ([], plain_events(_WORD)[:3]):
                        writer = endpoint.writer(self.exchange(endpoint, sample))
                        before = b"".join(writer.write(event) for event in begun)
                        stream = before + writer.fail(error)
                        frames = self._assert_events(endpoint, stream)
                        said = len(frames) > len(self.cut(before))
                        assert said, f"{endpoint.path}: nothing says that it failed"
                        assert OPERATOR_ONLY.encode() not in stream, "an error shows its detail"

    async def test_a_failed_stream_does_not_look_complete(self) -> None:
        async with self.running() as dialect:
            for endpoint, sample in self._streams(dialect):
                if not self.is_chat(endpoint):
                    continue
                whole = self._write(endpoint.writer(self.exchange(endpoint, sample)), plain_events(_WORD))
                writer = endpoint.writer(self.exchange(endpoint, sample))
                failed = b"".join(writer.write(event) for event in plain_events(_WORD)[:3])
                failed += writer.fail(UpstreamError("the provider failed"))
                last = self.cut(whole)[-1]
                ends = [frame.data for frame in self.cut(failed)]
                assert last.data not in ends, f"{endpoint.path}: a client takes it for a whole answer"

    async def test_relayed_frames_keep_their_values(self) -> None:
        async with self.running() as dialect:
            for endpoint, sample in self._streams(dialect):
                writer = endpoint.writer(self.exchange(endpoint, sample))
                for frame in frames_of(sample.upstream or ()):
                    if not frame.data.startswith(b"{"):
                        self._assert_relays(endpoint, writer, frame, lambda data: data)
                        continue
                    odd = Frame(frame.data[:-1] + _ODD_MEMBER, frame.event, frame.id)
                    self._assert_relays(endpoint, writer, odd, _without_model)

    def _assert_relays(
        self, endpoint: Endpoint, writer: StreamWriter, frame: Frame, values: Callable[[bytes], Any]
    ) -> None:
        sent = writer.relay(frame)
        if not sent:
            return
        (only,) = self.cut(sent)
        assert values(only.data) == values(frame.data), f"{endpoint.path}: a frame changed on the way"
        assert only.event == frame.event, f"{endpoint.path}: an event lost its name"
        if "model" in (frame.fields if frame.data.startswith(b"{") else ()):
            assert ALIAS.encode() in only.data, f"{endpoint.path}: the upstream's name of the model shows"

    async def test_a_writer_that_copies_text_does_nothing_else_with_it(self) -> None:
        async with self.running() as dialect:
            for endpoint, sample in self._streams(dialect):
                writer, other = (endpoint.writer(self.exchange(endpoint, sample)) for _ in range(2))
                for frame in frames_of(sample.upstream or ()) if writer.copies_text else ():
                    if frame.data.startswith(b"{"):
                        first, again = (
                            other.relay(Frame(frame.data[:-1] + b',"x":"%b"}' % text, frame.event, frame.id))
                            for text in _TEXTS
                        )
                        assert first.replace(*_TEXTS) == again, f"{endpoint.path}: text changes on the way"
                    assert other.relay(frame) == writer.relay(frame), f"{endpoint.path}: text stays behind"

    async def test_a_relayed_stream_ends_once_whoever_forgets_the_end(self) -> None:
        async with self.running() as dialect:
            for endpoint, sample in self._streams(dialect):
                frames = frames_of(sample.upstream or ())
                if not frames or frames[-1].data != self.end_marker:
                    continue
                whole = self._relayed(endpoint.writer(self.exchange(endpoint, sample)), frames)
                assert self.cut(whole)[-1].data == self.end_marker, f"{endpoint.path}: no end marker"
                assert whole.count(self.end_marker) == 1, f"{endpoint.path}: more than one end marker"
                cut_short = self._relayed(endpoint.writer(self.exchange(endpoint, sample)), frames[:-1])
                assert cut_short == whole, f"{endpoint.path}: an upstream's missing end marker stays missing"

    def _relayed(self, writer: StreamWriter, frames: Sequence[Frame]) -> bytes:
        return b"".join([*(writer.relay(frame) for frame in frames), writer.end_relay()])

    async def test_relayed_text_arrives(self) -> None:
        async with self.running() as dialect:
            for endpoint, sample in self._streams(dialect):
                frames = frames_of(sample.upstream or ())
                writer = endpoint.writer(self.exchange(endpoint, sample))
                sent = [writer.relay(frame) for frame in frames]
                hidden = sum(not piece for piece in sent)
                assert not frames or hidden < len(frames), f"{endpoint.path}: every frame is hidden"


def _without_model(data: bytes) -> Any:
    """Return a frame's values without the name of the model, and the unknown member's bytes."""
    return _pruned(msgspec.json.decode(data)), bytes(open_envelope(data).get("x_unknown", b""))


def _pruned(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _pruned(item) for name, item in value.items() if name != "model"}
    return [_pruned(item) for item in value] if isinstance(value, list) else value


def _strings(frame: Frame, end_marker: bytes) -> Iterator[str]:
    if frame.data != end_marker:
        yield from _strings_in(msgspec.json.decode(frame.data))


def _strings_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings_in(item)


def _follows(word: str, texts: Sequence[str]) -> bool:
    """Say whether a word's letters come one after the other, each as a text or all as one."""
    rest = word
    for text in texts:
        if text and rest.startswith(text):
            rest = rest[len(text) :]
    return not rest
