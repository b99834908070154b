"""What a provider promises about traffic it translates."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest

from hookway_sdk.envelope import open_envelope, read
from hookway_sdk.errors import GatewayError, InvalidRequest, UpstreamError
from hookway_sdk.frames import Frame
from hookway_sdk.messages import (
    ChatAnswer,
    ChatRequest,
    Encoded,
    StreamEvent,
    StreamStart,
    StreamStop,
    TextDelta,
    TextPart,
)
from hookway_sdk.streams import StreamReader
from hookway_sdk.testing.contracts.garbage import GARBAGE, damaged
from hookway_sdk.testing.contracts.one_of_each import (
    FOREIGN_WORD,
    plain_chat,
    resolves,
    rich_chat,
    tool_chat,
)
from hookway_sdk.testing.contracts.provider_trial import (
    CREDENTIAL,
    UPSTREAM_MODEL,
    Answered,
    ProviderTrial,
    assert_counts,
    same_usage,
)


class ChatPromises(ProviderTrial):
    """Promises about canonical requests, answers and events, in the first of its wires."""

    def chats(self) -> Sequence[ChatRequest]:
        """Return canonical requests to encode; add those that matter to the wire."""
        return (plain_chat(), tool_chat(), rich_chat())

    def _need_translation(self) -> None:
        if not self.translates:
            pytest.skip("it only relays")

    def _first(self, kind: Any) -> list[Answered]:
        return list(kind.get(self.plugin.wires[0], ()))

    def _encode(self, provider: Any, request: ChatRequest) -> Encoded | None:
        """Encode, or return ``None`` where the wire cannot say the request at all."""
        try:
            encoded: Encoded = provider.encode(request, self.deployment())
        except InvalidRequest:
            return None
        return encoded

    # ── requests ────────────────────────────────────────────────────────────────────────────

    async def test_who_only_relays_refuses_to_translate(self) -> None:
        if self.translates:
            pytest.skip("it translates")
        async with self.running() as provider:
            with pytest.raises(InvalidRequest):
                provider.encode(plain_chat(), self.deployment())

    async def test_a_plain_chat_is_said_in_full(self) -> None:
        self._need_translation()
        async with self.running() as provider:
            encoded = self._encode(provider, plain_chat())
            assert encoded is not None, "a system and a user message cannot be said"
            assert not encoded.dropped, f"a plain chat loses {encoded.dropped}"
            for message in plain_chat().messages:
                assert isinstance(message.parts[0], TextPart)
                assert message.parts[0].text.encode() in encoded.body, "a message's text is not sent"

    async def test_encoded_requests_are_for_the_upstreams_model(self) -> None:
        self._need_translation()
        async with self.running() as provider:
            encoded = self._encode(provider, plain_chat())
            assert encoded is not None
            body = open_envelope(encoded.body)
            if self.model_in_body:
                name = read(body.get("model"))
                assert name == UPSTREAM_MODEL, f"the request is for model {name!r}"
            assert b"an-alias" not in encoded.body, "the client's name of the model is sent"

    async def test_what_is_dropped_is_listed_by_pointers_that_lead_somewhere(self) -> None:
        self._need_translation()
        async with self.running() as provider:
            for request in self.chats():
                encoded = self._encode(provider, request)
                if encoded is None:
                    continue
                assert isinstance(encoded.dropped, tuple)
                assert len(set(encoded.dropped)) == len(encoded.dropped), "a pointer is listed twice"
                lost = [pointer for pointer in encoded.dropped if not resolves(pointer, request)]
                assert not lost, f"these pointers lead nowhere in the request: {lost}"

    async def test_extras_of_another_wire_are_dropped_and_listed(self) -> None:
        self._need_translation()
        async with self.running() as provider:
            encoded = self._encode(provider, rich_chat())
            if encoded is None:
                pytest.skip("the rich chat cannot be said at all")
            assert FOREIGN_WORD.encode() not in encoded.body, "a member of another wire is sent"
            listed = "\n".join(encoded.dropped)
            assert "/extra" in listed, f"extras of another wire vanish without a word: {encoded.dropped}"

    async def test_encoding_leaves_the_request_as_it_was(self) -> None:
        self._need_translation()
        async with self.running() as provider:
            for request in self.chats():
                before = copy.deepcopy(request)
                first = self._encode(provider, request)
                assert request == before, "the request has changed; the next candidate gets it too"
                assert self._encode(provider, request) == first, "a retry sends something else"

    async def test_a_request_is_a_json_object_without_the_credential(self) -> None:
        self._need_translation()
        async with self.running() as provider:
            for request in self.chats():
                encoded = self._encode(provider, request)
                if encoded is not None:
                    open_envelope(encoded.body)
                    assert CREDENTIAL.encode() not in encoded.body, "the credential stands in the body"

    # ── finished answers ────────────────────────────────────────────────────────────────────

    async def test_recorded_answers_are_decoded(self) -> None:
        self._need_translation()
        assert self._first(self.answers), f"give the contract `answers` of {self.plugin.wires[0]}"
        async with self.running() as provider:
            for one in self._first(self.answers):
                answer = provider.decode(one.body, self.deployment())
                assert isinstance(answer, ChatAnswer), f"decode answers {answer!r}"
                assert same_usage(answer.usage, one.usage), f"it reads {answer.usage}, not {one.usage}"
                parts = [part for choice in answer.choices for part in choice.message.parts]
                text = "".join(part.text for part in parts if isinstance(part, TextPart))
                assert text == one.text, f"it reads {text!r}, not {one.text!r}"

    async def test_answers_that_make_no_sense_are_upstream_errors(self) -> None:
        self._need_translation()
        async with self.running() as provider:
            for body in GARBAGE:
                self._decode_alone(provider, body)
            for one in self._first(self.answers):
                for body in damaged(one.body):
                    self._decode_alone(provider, body)

    def _decode_alone(self, provider: Any, body: bytes) -> None:
        try:
            answer: ChatAnswer = provider.decode(body, self.deployment())
        except UpstreamError:
            return
        assert_counts(answer.usage)

    # ── streams ─────────────────────────────────────────────────────────────────────────────

    def _events(self, provider: Any, frames: Sequence[Frame]) -> tuple[list[StreamEvent], StreamReader]:
        reader: StreamReader = provider.reader(self.deployment(), self.plugin.wires[0])
        events = [event for frame in frames for event in reader.decode(frame)]
        return [*events, *reader.close()], reader

    async def test_streams_are_decoded_from_their_start_to_their_stop(self) -> None:
        self._need_translation()
        async with self.running() as provider:
            for one in self._first(self.streams):
                events, _ = self._events(provider, self.frames(provider, one.body))
                starts = [event for event in events if isinstance(event, StreamStart)]
                assert len(starts) == 1, f"{len(starts)} events begin the stream"
                assert events[0] is starts[0], "something comes before the start"
                stops = [event.choice for event in events if isinstance(event, StreamStop)]
                assert stops, "no event says that the choice is complete"
                assert len(set(stops)) == len(stops), "a choice is complete twice"
                text = "".join(event.text for event in events if isinstance(event, TextDelta))
                assert text == one.text, f"it reads {text!r}, not {one.text!r}"

    async def test_decoding_notes_what_observing_does(self) -> None:
        self._need_translation()
        async with self.running() as provider:
            for one in self._first(self.streams):
                frames = self.frames(provider, one.body)
                _, decoded = self._events(provider, frames)
                observed: StreamReader = provider.reader(self.deployment(), self.plugin.wires[0])
                for frame in frames:
                    observed.observe(frame)
                observed.close()
                for name in ("usage", "upstream_id", "upstream_model", "stop_reason", "done"):
                    mine, other = getattr(decoded, name), getattr(observed, name)
                    assert mine == other, f"{name} is {mine!r} decoded and {other!r} observed"

    async def test_frames_that_make_no_sense_are_upstream_errors(self) -> None:
        self._need_translation()
        async with self.running() as provider:
            for one in self._first(self.streams):
                frames = self.frames(provider, one.body)
                for frame in frames:
                    for data in damaged(frame.data, most=400) if frame.data.startswith(b"{") else ():
                        self._decode_frame_alone(provider, Frame(data, frame.event))
                for data in GARBAGE:
                    for event in {"", *(frame.event for frame in frames)}:
                        self._decode_frame_alone(provider, Frame(data, event))

    def _decode_frame_alone(self, provider: Any, frame: Frame) -> None:
        reader: StreamReader = provider.reader(self.deployment(), self.plugin.wires[0])
        try:
            reader.decode(frame)
            reader.close()
        except GatewayError as error:
            assert isinstance(error, UpstreamError), f"it raises {error!r}"  # noqa: PT017
        assert_counts(reader.usage)
