"""What a ``dialect_`` or ``op_`` plugin promises.

The promises stand in two files: endpoints, requests and errors here, answers and streams in
``dialect_answers``.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest

from hookway_sdk.endpoint import BodyKind, Endpoint, Sample
from hookway_sdk.envelope import close_envelope, open_envelope
from hookway_sdk.errors import InvalidRequest
from hookway_sdk.messages import ChatRequest
from hookway_sdk.phases import DEFAULT_ORDER
from hookway_sdk.testing.contracts.dialect_answers import AnswerPromises
from hookway_sdk.testing.contracts.garbage import GARBAGE, damaged
from hookway_sdk.testing.contracts.one_of_each import OPERATOR_ONLY, one_of_each_error
from hookway_sdk.views import RequestView

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_PLACEHOLDER = re.compile(r"\{\{[a-z0-9_ -]+\}\}")
_ODD_MEMBERS = b',"x_unknown":  {"b" :1.0,"a":[1e2, -0.0,"\\u00e9\\/"] }}'


class DialectContract(AnswerPromises):
    """Promises of a dialect's endpoints; ``dialect_trial`` says what a subclass may give."""

    # ── endpoints ───────────────────────────────────────────────────────────────────────────

    async def test_it_has_endpoints_and_no_path_twice(self) -> None:
        async with self.running() as dialect:
            paths = [(endpoint.method, endpoint.path) for endpoint in dialect.endpoints()]
            assert paths, "it has no endpoints"
            assert len(set(paths)) == len(paths), f"a path stands twice in {paths}"

    async def test_its_endpoints_are_well_formed(self) -> None:
        async with self.running() as dialect:
            for endpoint in dialect.endpoints():
                assert isinstance(endpoint, Endpoint)
                assert endpoint.method in _METHODS, f"'{endpoint.method}' is no method in capitals"
                assert endpoint.path.startswith("/"), f"'{endpoint.path}' does not begin with a slash"
                assert "?" not in endpoint.path, f"'{endpoint.path}' holds a query"
                assert endpoint.protocol, f"{endpoint.path}: `protocol` is empty, the metrics' label"
                assert isinstance(endpoint.body, BodyKind)
                assert set(endpoint.order) <= set(DEFAULT_ORDER), f"{endpoint.path} runs unknown phases"
                assert len(set(endpoint.order)) == len(endpoint.order), f"{endpoint.path} runs a phase twice"

    async def test_endpoints_with_an_upstream_show_what_can_be_sent(self) -> None:
        async with self.running() as dialect:
            for endpoint in dialect.endpoints():
                if endpoint.wire and endpoint.body is BodyKind.BUFFERED:
                    assert endpoint.samples(), f"{endpoint.path} has no samples for the matrix"

    # ── requests ────────────────────────────────────────────────────────────────────────────

    async def test_samples_are_requests(self) -> None:
        async with self.running() as dialect:
            for endpoint, sample in self.samples(dialect):
                view = self.parse(endpoint, sample)
                assert isinstance(view, RequestView), f"{endpoint.path}: parse answers {view!r}"
                assert view.stream == sample.stream, f"{endpoint.path}: `stream` is {view.stream}"
                assert view.model == sample.body.get("model", view.model), f"{endpoint.path}: another model"
                assert view.size() > 0, f"{endpoint.path}: a request of no size is never limited"

    async def test_every_text_of_a_sample_is_seen(self) -> None:
        async with self.running() as dialect:
            for endpoint, sample in self.samples(dialect):
                slots = {slot.pointer: slot.text for slot in self.parse(endpoint, sample).texts()}
                missing = [pointer for pointer in sample.slots if pointer not in slots]
                assert not missing, f"{endpoint.path}: texts() lacks {missing}"
                seen = "\n".join(slots[pointer] for pointer in sample.slots)
                words = set(_PLACEHOLDER.findall(json.dumps(sample.body)))
                hidden = sorted(word for word in words if word not in seen)
                assert not hidden, f"{endpoint.path}: guardrails never see {hidden}"
                mute = [pointer for pointer in sample.slots if not _PLACEHOLDER.search(slots[pointer])]
                assert not mute, f"{endpoint.path}: no placeholder stands at {mute}"

    async def test_samples_of_chats_have_texts(self) -> None:
        async with self.running() as dialect:
            for endpoint, sample in self.samples(dialect):
                if self.is_chat(endpoint):
                    assert sample.slots, f"{endpoint.path}: a sample without texts proves nothing"

    async def test_a_masked_text_is_what_is_sent_on(self) -> None:
        async with self.running() as dialect:
            for endpoint, sample in self.samples(dialect):
                view = self.parse(endpoint, sample)
                self._mask(view, sample)
                sent = close_envelope(view.sealed()).decode()
                left = _PLACEHOLDER.findall(sent)
                assert not left, f"{endpoint.path}: {left} is sent although it was masked"
                for number in range(len(sample.slots)):
                    assert f"masked {number}." in sent, f"{endpoint.path}: {sample.slots[number]} is lost"

    async def test_a_masked_text_is_what_is_translated(self) -> None:
        async with self.running() as dialect:
            for endpoint, sample in self.samples(dialect):
                if not self.is_chat(endpoint):
                    continue
                view = self.parse(endpoint, sample)
                self._mask(view, sample)
                said = _said(view.canonical())
                left = _PLACEHOLDER.findall(said)
                assert not left, f"{endpoint.path}: {left} is translated although it was masked"
                assert "masked" in said, f"{endpoint.path}: the canonical form has none of the texts"

    def _mask(self, view: RequestView, sample: Sample) -> None:
        slots = {slot.pointer: slot for slot in view.texts()}
        for number, pointer in enumerate(sample.slots):
            slots[pointer].replace(f"masked {number}.")

    async def test_reading_texts_changes_no_value(self) -> None:
        async with self.running() as dialect:
            for endpoint, sample in self.samples(dialect):
                view = self.parse(endpoint, sample)
                view.texts()
                sent = msgspec.json.decode(close_envelope(view.sealed()))
                assert sent == sample.body, f"{endpoint.path}: what is sent on is not what came in"

    async def test_an_untouched_request_keeps_its_bytes(self) -> None:
        async with self.running() as dialect:
            for endpoint, sample in self.samples(dialect):
                body = self.encoded(sample)[:-1] + _ODD_MEMBERS
                sent = self.parse_bytes(endpoint, body).sealed()
                before = open_envelope(body)
                changed = [name for name in before if bytes(sent.get(name, b"")) != bytes(before[name])]
                assert not changed, f"{endpoint.path}: {changed} changed although nobody read them"

    async def test_unknown_members_survive_an_inspection(self) -> None:
        async with self.running() as dialect:
            for endpoint, sample in self.samples(dialect):
                body = self.encoded(sample)[:-1] + _ODD_MEMBERS
                view = self.parse_bytes(endpoint, body)
                view.texts()
                sent = msgspec.json.decode(close_envelope(view.sealed()))
                assert sent == msgspec.json.decode(body), f"{endpoint.path}: a member was lost or changed"

    async def test_of_a_member_that_stands_twice_the_last_counts(self) -> None:
        async with self.running() as dialect:
            for endpoint, sample in self.samples(dialect):
                if "model" not in sample.body:
                    continue
                body = b'{"model":"smuggled",' + self.encoded(sample)[1:]
                view = self.parse_bytes(endpoint, body)
                assert view.model == sample.body["model"], f"{endpoint.path}: the first one counts"
                sent = close_envelope(view.sealed())
                assert b"smuggled" not in sent, f"{endpoint.path}: both are sent on"

    async def test_garbage_is_refused_as_invalid(self) -> None:
        async with self.running() as dialect:
            for endpoint in self.with_bodies(dialect):
                for body in GARBAGE:
                    if b"{" not in body[:1] or body == b"{":
                        with pytest.raises(InvalidRequest):
                            self.parse_bytes(endpoint, body)
                    else:
                        self._survives(endpoint, body)

    async def test_damaged_requests_are_read_or_refused_as_invalid(self) -> None:
        async with self.running() as dialect:
            for endpoint, sample in self.samples(dialect):
                for body in damaged(self.encoded(sample), most=self.most_damaged):
                    self._survives(endpoint, body)

    def _survives(self, endpoint: Endpoint, body: bytes) -> None:
        """Take every way a request can go; only ``InvalidRequest`` may come of it."""
        try:
            view = self.parse_bytes(endpoint, body)
            assert isinstance(view.model, str), f"{endpoint.path}: model is {view.model!r}"
            assert isinstance(view.stream, bool), f"{endpoint.path}: stream is {view.stream!r}"
            view.size()
            for slot in view.texts():
                assert isinstance(slot.text, str), f"{endpoint.path}: {slot.pointer} is no text"
            close_envelope(view.sealed())
            if self.is_chat(endpoint):
                assert isinstance(view.canonical(), ChatRequest)
        except InvalidRequest:
            return

    # ── errors ──────────────────────────────────────────────────────────────────────────────

    async def test_every_error_has_an_envelope(self) -> None:
        async with self.running() as dialect:
            for endpoint in dialect.endpoints():
                for error in one_of_each_error():
                    name = f"{endpoint.path}: {type(error).__name__}"
                    body = endpoint.error_body(error, "request-1")
                    try:
                        value: Any = msgspec.json.decode(body)
                    except msgspec.DecodeError as problem:
                        raise AssertionError(f"{name} is no JSON: {body[:200]!r}") from problem
                    assert isinstance(value, dict), f"{name} is {value!r}"
                    said = json.dumps(value, ensure_ascii=False)
                    sentence = json.dumps(error.message, ensure_ascii=False)[1:-1]
                    assert sentence in said, f"{name} does not say '{error.message}'"

    async def test_what_is_for_operators_stays_with_them(self) -> None:
        async with self.running() as dialect:
            for endpoint in dialect.endpoints():
                for error in one_of_each_error():
                    body = endpoint.error_body(error, "request-1")
                    assert OPERATOR_ONLY.encode() not in body, f"{type(error).__name__} shows its detail"

    async def test_errors_with_odd_sentences_have_an_envelope(self) -> None:
        async with self.running() as dialect:
            for endpoint in dialect.endpoints():
                for text in ('"quoted"\n\r\t\\', "\u2028\x00\U0001f600", "", "half \ud800", "x" * 5_000):
                    body = endpoint.error_body(InvalidRequest(text), "request-1")
                    assert isinstance(msgspec.json.decode(body), dict), f"{text!r} breaks the envelope"


def _said(request: ChatRequest) -> str:
    return json.dumps(msgspec.to_builtins(request, enc_hook=lambda raw: bytes(raw).decode()))
