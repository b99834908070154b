"""The contract of dialects holds for an honest one, and can be broken."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
from breaking import Case, broken, each_case, failure, promises
from reference_wire import DONE, PlainChat, PlainDialect, PlainView, PlainWriter, event

from hookway_sdk import Sample, TextDelta, TextSlot, close_envelope, open_envelope, raw, read
from hookway_sdk.testing import DialectContract, PlainRequest, PluginContract


class TestDialect(DialectContract):
    plugin = PlainDialect
    name = "dialect_plain"


def _endpoint(**members: Any) -> Any:
    return broken(TestDialect, endpoint=type("BrokenChat", (PlainChat,), members))


def _view(**members: Any) -> Any:
    """Return a dialect whose requests have another view."""
    kind = type("BrokenView", (PlainRequest,), members)

    def parse(self: Any, body: bytes, exchange: Any) -> Any:
        return kind(PlainChat.parse(self, body, exchange).envelope)

    return _endpoint(parse=parse)


def _writer(**members: Any) -> Any:
    kind = type("BrokenWriter", (PlainWriter,), members)
    return _endpoint(writer=lambda self, exchange: kind(exchange))


def _relay_upper(self: Any, frame: Any) -> bytes:
    return PlainWriter.relay(self, frame).replace(b"one-word", b"One-word")


def _relay_numbered(self: Any, frame: Any) -> bytes:
    self.count = getattr(self, "count", 0) + 1
    return b": %d\n" % self.count + PlainWriter.relay(self, frame)


def _answer_view(**members: Any) -> Any:
    kind = type("BrokenAnswerView", (PlainView,), members)
    return _endpoint(view_answer=lambda self, body, exchange: kind(body))


def _parsed(change: Any) -> Any:
    def parse(self: Any, body: bytes, exchange: Any) -> Any:
        return change(PlainChat.parse(self, body, exchange))

    return _endpoint(parse=parse)


def _setting(**members: Any) -> Any:
    def change(view: Any) -> Any:
        for name, value in members.items():
            setattr(view, name, value)
        return view

    return _parsed(change)


def _samples(**members: Any) -> Any:
    def samples(self: Any) -> Any:
        return [msgspec.structs.replace(one, **members) for one in PlainChat.samples(self)]

    return _endpoint(samples=samples)


def _without_systems(self: Any) -> Any:
    return [slot for slot in PlainRequest.texts(self) if slot.role != "system"]


def _elsewhere(self: Any) -> Any:
    return [TextSlot(f"/body{slot.pointer}", slot.text, "content") for slot in PlainRequest.texts(self)]


def _copies(self: Any) -> Any:
    return [TextSlot(slot.pointer, slot.text, slot.channel, slot.role) for slot in PlainRequest.texts(self)]


def _forgetful_seal(self: Any) -> Any:
    sealed = PlainRequest.sealed(self)
    return {name: value for name, value in sealed.items() if not self.edited or name[0] != "x"}


def _seal_sorted(self: Any) -> Any:
    return {name: raw(read(value)) for name, value in PlainRequest.sealed(self).items()}


def _seal_plain(self: Any) -> Any:
    """Turn parts into plain strings."""
    sealed = dict(PlainRequest.sealed(self))
    if self.edited:
        messages = read(sealed["messages"])
        for message in messages:
            if isinstance(message["content"], list):
                message["content"] = "".join(part["text"] for part in message["content"])
        sealed["messages"] = raw(messages)
    return sealed


def _canonical_of_the_original(self: Any) -> Any:
    return PlainRequest(self.envelope).canonical()


def _first_counts(self: Any, body: bytes, exchange: Any) -> Any:
    view = PlainChat.parse(self, body, exchange)
    if b'"smuggled"' in body:
        view.model = "smuggled"
    return view


def _crash_on_garbage(self: Any, body: bytes, exchange: Any) -> Any:
    msgspec.json.decode(body)
    return PlainChat.parse(self, body, exchange)


def _take_anything(self: Any, body: bytes, exchange: Any) -> Any:
    return PlainChat.parse(self, body if body[:1] == b"{" else b"{}", exchange)


def _crash_on_odd_messages(self: Any, body: bytes, exchange: Any) -> Any:
    view = PlainChat.parse(self, body, exchange)
    len(read(view.envelope["messages"])[0]["content"])
    return view


def _html_error(self: Any, error: Any, request_id: str) -> bytes:
    return b"<h1>" + error.message.encode() + b"</h1>"


def _wordless_error(self: Any, error: Any, request_id: str) -> bytes:
    return b'{"error":"no"}'


def _frank_error(self: Any, error: Any, request_id: str) -> bytes:
    return msgspec.json.encode({"message": error.message, "detail": error.detail})


def _strict_error(self: Any, error: Any, request_id: str) -> bytes:
    return msgspec.json.encode({"error": error.message})


def _pass_answer(self: Any, answer: Any, exchange: Any) -> Any:
    return answer


def _rebuild_answer(self: Any, answer: Any, exchange: Any) -> Any:
    return {"model": raw(exchange.model.requested), "text": answer["text"]}


def _encode_with_upstreams_name(self: Any, answer: Any, exchange: Any) -> bytes:
    text = PlainChat.encode_answer(self, answer, exchange)
    return close_envelope({**open_envelope(text), "model": raw(answer.model)})


def _encode_nothing(self: Any, answer: Any, exchange: Any) -> bytes:
    return b"{}"


def _open_carelessly(self: Any, body: bytes) -> None:
    self.envelope = open_envelope(body)
    self.slot = TextSlot("/text", read(self.envelope["text"]), "content")


def _unescaped(self: Any, event_: Any) -> bytes:
    if isinstance(event_, TextDelta):
        return b'data: {"text":"' + event_.text.encode() + b'"}\n\n'
    return PlainWriter.write(self, event_)


def _unended(self: Any, usage: Any) -> bytes:
    return PlainWriter.end(self, usage)[:-1]


def _mute(self: Any, event_: Any) -> bytes:
    return b"" if isinstance(event_, TextDelta) else PlainWriter.write(self, event_)


def _with_upstreams_name(self: Any, event_: Any) -> bytes:
    self.name = getattr(event_, "model", self.name)
    return PlainWriter.write(self, event_)


_numbers = itertools.count()


def _numbered(self: Any, event_: Any) -> bytes:
    written = PlainWriter.write(self, event_)
    return written + event({"number": next(_numbers)}) if written else b""


def _relay_raw(self: Any, frame: Any) -> bytes:
    return b"data: " + frame.data + b"\n\n"


def _relay_known(self: Any, frame: Any) -> bytes:
    if frame.data == b"[DONE]":
        return DONE
    known = {name: value for name, value in frame.fields.items() if name != "x_unknown"}
    return PlainWriter.relay(self, type(frame)(close_envelope(known)))


CASES: list[Case] = [
    ("test_it_has_endpoints_and_no_path_twice", broken(TestDialect, endpoints=lambda self: [])),
    (
        "test_it_has_endpoints_and_no_path_twice",
        broken(TestDialect, endpoints=lambda self: [PlainChat(), PlainChat()]),
    ),
    ("test_its_endpoints_are_well_formed", _endpoint(path="plain")),
    ("test_its_endpoints_are_well_formed", _endpoint(method="post")),
    ("test_its_endpoints_are_well_formed", _endpoint(protocol="")),
    ("test_its_endpoints_are_well_formed", _endpoint(order=("authenticate", "authenticate"))),
    ("test_endpoints_with_an_upstream_show_what_can_be_sent", _endpoint(samples=lambda self: [])),
    ("test_samples_are_requests", _setting(stream=None)),
    ("test_samples_are_requests", _setting(model="another")),
    ("test_samples_are_requests", _view(size=lambda self: 0)),
    ("test_every_text_of_a_sample_is_seen", _view(texts=_without_systems)),
    ("test_every_text_of_a_sample_is_seen", _view(texts=_elsewhere)),
    ("test_every_text_of_a_sample_is_seen", _samples(slots=("/messages/0/content",))),
    (
        "test_every_text_of_a_sample_is_seen",
        _samples(body={"model": "m", "stream": False, "messages": [{"role": "user", "content": "no word"}]}),
    ),
    ("test_samples_of_chats_have_texts", _samples(slots=())),
    ("test_a_masked_text_is_what_is_sent_on", _view(texts=_copies)),
    ("test_a_masked_text_is_what_is_sent_on", _view(sealed=lambda self: self.envelope)),
    ("test_a_masked_text_is_what_is_translated", _view(canonical=_canonical_of_the_original)),
    ("test_reading_texts_changes_no_value", _view(sealed=_seal_plain)),
    ("test_an_untouched_request_keeps_its_bytes", _view(sealed=_seal_sorted)),
    ("test_unknown_members_survive_an_inspection", _view(sealed=_forgetful_seal)),
    ("test_of_a_member_that_stands_twice_the_last_counts", _endpoint(parse=_first_counts)),
    ("test_garbage_is_refused_as_invalid", _endpoint(parse=_crash_on_garbage)),
    ("test_garbage_is_refused_as_invalid", _endpoint(parse=_take_anything)),
    ("test_damaged_requests_are_read_or_refused_as_invalid", _endpoint(parse=_crash_on_odd_messages)),
    ("test_every_error_has_an_envelope", _endpoint(error_body=_html_error)),
    ("test_every_error_has_an_envelope", _endpoint(error_body=_wordless_error)),
    ("test_what_is_for_operators_stays_with_them", _endpoint(error_body=_frank_error)),
    ("test_errors_with_odd_sentences_have_an_envelope", _endpoint(error_body=_strict_error)),
    ("test_a_relayed_answer_shows_the_clients_name_of_the_model", _endpoint(relay_answer=_pass_answer)),
    ("test_a_relayed_answer_shows_the_clients_name_of_the_model", _endpoint(relay_answer=_rebuild_answer)),
    ("test_a_canonical_answer_is_written", _endpoint(encode_answer=_encode_with_upstreams_name)),
    ("test_a_canonical_answer_is_written", _endpoint(encode_answer=_encode_nothing)),
    ("test_the_texts_of_an_answer_are_seen_and_can_be_masked", _answer_view(texts=lambda self: [])),
    (
        "test_the_texts_of_an_answer_are_seen_and_can_be_masked",
        _answer_view(body=lambda self: close_envelope(self.envelope)),
    ),
    ("test_answers_that_make_no_sense_cannot_be_inspected", _answer_view(__init__=_open_carelessly)),
    ("test_any_events_make_a_valid_stream", _writer(write=_unescaped)),
    ("test_any_events_make_a_valid_stream", _writer(end=_unended)),
    ("test_a_written_stream_says_what_the_events_say", _writer(write=_mute)),
    ("test_a_written_stream_says_what_the_events_say", _writer(write=_with_upstreams_name)),
    ("test_writers_do_not_share_what_they_wrote", _writer(write=_numbered)),
    ("test_a_stream_that_fails_ends_in_a_valid_way", _writer(fail=lambda self, error: b"")),
    ("test_a_stream_that_fails_ends_in_a_valid_way", _writer(fail=lambda self, error: b"error\n\n\r")),
    (
        "test_a_stream_that_fails_ends_in_a_valid_way",
        _writer(fail=lambda self, error: event({"error": error.detail})),
    ),
    (
        "test_a_failed_stream_does_not_look_complete",
        _writer(fail=lambda self, error: PlainWriter.fail(self, error) + DONE),
    ),
    ("test_relayed_frames_keep_their_values", _writer(relay=_relay_known)),
    ("test_relayed_frames_keep_their_values", _writer(relay=_relay_raw)),
    (
        "test_a_relayed_stream_ends_once_whoever_forgets_the_end",
        _writer(end_relay=lambda self: DONE),
    ),
    (
        "test_a_relayed_stream_ends_once_whoever_forgets_the_end",
        _writer(end_relay=lambda self: b""),
    ),
    ("test_a_writer_that_copies_text_does_nothing_else_with_it", _writer(relay=_relay_upper)),
    ("test_a_writer_that_copies_text_does_nothing_else_with_it", _writer(relay=_relay_numbered)),
    ("test_relayed_text_arrives", _writer(relay=lambda self, frame: b"")),
]


@each_case(CASES)
def test_a_broken_dialect_fails(promise: str, contract: type[PluginContract]) -> None:
    assert failure(contract, promise) is not None


def test_every_promise_can_be_broken() -> None:
    assert promises(DialectContract, PluginContract) == {promise for promise, _ in CASES}


def test_a_dialect_without_canonical_form_is_tried_as_a_relay() -> None:
    def refuse(self: Any) -> Any:
        raise NotImplementedError

    contract = type("Relay", (TestDialect,), {"translates": False, "plugin": _view(canonical=refuse).plugin})
    assert failure(contract, "test_a_masked_text_is_what_is_translated") is None
    assert failure(contract, "test_damaged_requests_are_read_or_refused_as_invalid") is None


def test_samples_stay_as_the_endpoint_gives_them() -> None:
    assert all(isinstance(sample, Sample) for sample in PlainChat().samples())
