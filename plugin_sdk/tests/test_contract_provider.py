"""The contract of providers holds for honest ones, and can be broken."""

from __future__ import annotations

import random
from typing import Any

import msgspec
from breaking import Case, broken, each_case, failure, promises, shown
from reference_wire import (
    DONE,
    WIRE,
    PlainLocal,
    PlainProvider,
    PlainReader,
    RelayOnly,
    event,
    usage_of,
)

from hookway_sdk import (
    AnswerFacts,
    ChatAnswer,
    Encoded,
    Frame,
    LocalAnswer,
    StreamStart,
    UpstreamRefused,
    UpstreamTarget,
    Usage,
    raw,
    read,
)
from hookway_sdk.kinds.provider import Framer
from hookway_sdk.testing import PluginContract, ProviderContract
from hookway_sdk.testing.contracts.provider_trial import Answered

_HEAD = {"id": "a-1", "model": "upstream-model-1"}
_ANSWER = {**_HEAD, "text": "4", "stop": "stop", "usage": {"in": 9, "out": 1}}
_STREAM = (
    event(_HEAD) + event({"text": "4"}) + event({"stop": "stop"}) + event({"usage": {"in": 9, "out": 1}})
)


class TestProvider(ProviderContract):
    plugin = PlainProvider
    name = "provider_plain"
    requests = {WIRE: [b'{"model": "an-alias", "messages" : [{"role":"user","content":"2 + 2"}]}']}  # noqa: RUF012
    answers = {WIRE: [Answered(msgspec.json.encode(_ANSWER), Usage(9, 1), "4")]}  # noqa: RUF012
    streams = {WIRE: [Answered(_STREAM + DONE, Usage(9, 1), "4")]}  # noqa: RUF012
    errors = (
        (429, b'{"error":{"message":"slow down"}}', "slow down"),
        (500, b'{"error":{"message":"db-7 is down"}}', "db-7 is down"),
    )


class TestLocalProvider(TestProvider):
    plugin = PlainLocal


class TestProviderThatRelays(TestProvider):
    plugin = RelayOnly
    translates = False


def _like(method: str, change: Any) -> Any:
    """Return a provider whose method gives something else."""

    def changed(self: Any, *given: Any) -> Any:
        return change(getattr(PlainProvider, method)(self, *given), *given)

    return broken(TestProvider, **{method: changed})


def _doing(method: str, do: Any) -> Any:
    return broken(TestProvider, **{method: lambda self, *given: do(*given)})


def _target(url: str, *headers: tuple[str, str]) -> Any:
    def target(deployment: Any, wire: str, stream: bool) -> UpstreamTarget:
        facts = {"secret": deployment.key.secret.reveal(), "model": deployment.model}
        filled = tuple((name, value.format(**facts)) for name, value in headers)
        return UpstreamTarget(url.format(base=deployment.key.api_base, **facts), filled)

    return _doing("target", target)


_GOOD = (("authorization", "Bearer {secret}"), ("content-type", "application/json"))


def _drop_unknown(request: Any, *_: Any) -> Any:
    return {name: value for name, value in request.items() if not name.startswith("x_")}


def _reencode(request: Any, *_: Any) -> Any:
    return {name: raw(read(value)) for name, value in request.items()}


def _append(request: Any, *_: Any) -> Any:
    return {**request, "stream_options": raw([*(read(request.get("stream_options")) or []), 1])}


def _unread(answer: Any, wire: str) -> Any:
    return AnswerFacts(Usage())


def _reading(**members: Any) -> Any:
    return broken(TestProvider, reading=type("BrokenReader", (PlainReader,), members))


def _observe_trustingly(self: Any, frame: Any) -> None:
    if frame.data == b"[DONE]":
        self.done = True
    elif "usage" in frame.fields:
        counts = read(frame.fields["usage"])
        self.usage.input_tokens = int(counts["in"])


def _observe_without_checks(self: Any, frame: Any) -> None:
    if frame.data == b"[DONE]":
        self.done = True
        return
    self.events(msgspec.json.decode(frame.data))


_shared = Usage()


def _share_usage(self: Any) -> None:
    PlainReader.__init__(self)
    self.usage = _shared


def _free_everywhere(self: Any, frame: Any) -> Any:
    """Call the first value of a frame free text, an id's as well."""
    begin = frame.data.find(b'":"') + 3
    return [(begin, frame.data.index(b'"', begin))] if begin > 2 else ()


class _Lines(Framer):
    """Takes each chunk for whole lines."""

    def feed(self, chunk: bytes) -> list[Frame]:
        return [Frame(line[6:]) for line in chunk.split(b"\n\n") if line.startswith(b"data: ")]


def _encode(**members: Any) -> Any:
    def encoded(answer: Encoded, request: Any, deployment: Any) -> Encoded:
        return msgspec.structs.replace(answer, **members)

    return _like("encode", encoded)


def _send_extras(encoded: Any, request: Any, deployment: Any) -> Any:
    return msgspec.structs.replace(encoded, body=encoded.body + b"".join(map(bytes, request.extra.values())))


def _change_the_request(encoded: Any, request: Any, deployment: Any) -> Any:
    request.model = deployment.model
    return encoded


def _send_randomly(encoded: Any, *_: Any) -> Any:
    return msgspec.structs.replace(encoded, headers=(("x-nonce", str(random.random())),))


def _crash_on_lists(body: bytes, deployment: Any) -> Any:
    fields = msgspec.json.decode(body)
    return ChatAnswer(usage=usage_of(fields.get("usage")))


def _start_twice(self: Any, frame: Any) -> Any:
    return [StreamStart(), *PlainReader.decode(self, frame)]


def _decode_only(self: Any, frame: Any) -> None:
    PlainReader.decode(self, frame)
    self.upstream_id = "seen by observe alone"


def _decode_without_checks(self: Any, frame: Any) -> Any:
    if frame.data == b"[DONE]":
        self.done = True
        return []
    return self.events(msgspec.json.decode(frame.data))


def _error(make: Any) -> Any:
    return _doing("error", make)


async def _sign_badly(self: Any, deployment: Any, target: Any, body: bytes) -> Any:
    return [("X-Signature", "a\nb")]


async def _answer_error(self: Any, deployment: Any, body: bytes, stream: bool) -> Any:
    return LocalAnswer(b'{"error":{"message":"no"}}')


CASES: list[Case] = [
    ("test_it_names_what_it_serves_and_speaks", broken(TestProvider, adapters=())),
    ("test_it_names_what_it_serves_and_speaks", broken(TestProvider, wires=(WIRE, WIRE))),
    ("test_it_names_what_it_serves_and_speaks", broken(TestProvider, wires=("plain",))),
    ("test_a_plain_deployment_has_an_address", _target("/v1/chat", *_GOOD)),
    ("test_a_plain_deployment_has_an_address", _target("{base}/chat", ("Authorization", "x"))),
    ("test_a_plain_deployment_has_an_address", _target("{base}/chat", _GOOD[0])),
    ("test_the_credential_stands_in_a_header_and_nowhere_else", _target("{base}?key={secret}", *_GOOD)),
    ("test_the_credential_stands_in_a_header_and_nowhere_else", _target("{base}", _GOOD[1])),
    ("test_a_credential_cannot_break_out_of_its_header", _target("{base}/chat", *_GOOD)),
    ("test_settings_that_make_no_address_are_refused_as_such", _target("{base}/chat", *_GOOD)),
    ("test_an_odd_model_name_does_not_change_the_host", _target("http://{model}.example/", *_GOOD)),
    ("test_an_odd_model_name_does_not_change_the_host", _target("{base}/chat/{model}", *_GOOD)),
    ("test_signing_adds_headers_or_nothing", broken(TestProvider, sign=_sign_badly)),
    (
        "test_any_error_answer_is_read_as_an_upstream_error",
        _error(lambda s, h, body: msgspec.json.decode(body)),
    ),
    ("test_any_error_answer_is_read_as_an_upstream_error", _error(lambda s, h, body: None)),
    ("test_the_status_of_an_error_answer_is_kept", _error(lambda s, h, body: UpstreamRefused(500))),
    ("test_recorded_error_answers_keep_their_sentence", _error(lambda s, h, body: UpstreamRefused(s))),
    (
        "test_what_a_failing_provider_says_is_for_operators",
        _error(lambda s, h, body: _told(UpstreamRefused(s), body.decode())),
    ),
    (
        "test_a_long_error_answer_makes_a_short_message",
        _error(lambda s, h, body: UpstreamRefused(s, body.decode())),
    ),
    (
        "test_retry_after_is_read_and_nonsense_is_not",
        _error(lambda s, h, body: UpstreamRefused(s, retry_after=int(float(h["retry-after"])))),
    ),
    ("test_retry_after_is_read_and_nonsense_is_not", _error(lambda s, h, body: UpstreamRefused(s))),
    (
        "test_what_it_answers_by_itself_is_read_like_an_upstream",
        broken(TestLocalProvider, answer=_answer_error),
    ),
    ("test_it_is_shown_traffic_of_every_wire", shown(TestProvider, requests={})),
    ("test_it_is_shown_traffic_of_every_wire", shown(TestProvider, answers={}, streams={})),
    ("test_it_is_shown_traffic_of_every_wire", shown(TestProvider, answers={"other.wire": []})),
    (
        "test_a_relayed_request_keeps_every_byte_it_need_not_change",
        _like("relay_request", _drop_unknown),
    ),
    ("test_a_relayed_request_keeps_every_byte_it_need_not_change", _like("relay_request", _reencode)),
    (
        "test_a_relayed_request_names_the_upstreams_model",
        _doing("relay_request", lambda request, *_: request),
    ),
    (
        "test_a_relayed_request_names_the_upstreams_model",
        shown(TestProvider, model_in_body=False),
    ),
    ("test_relaying_twice_changes_nothing_more", _like("relay_request", _append)),
    ("test_usage_of_finished_answers_is_read", _doing("facts", _unread)),
    (
        "test_answers_that_are_damaged_give_counts_or_an_upstream_error",
        _doing("facts", lambda answer, wire: AnswerFacts(Usage(read(answer["usage"])["in"]))),
    ),
    (
        "test_answers_that_are_nonsense_give_counts_or_an_upstream_error",
        _doing("facts", lambda answer, wire: AnswerFacts(usage_of(read(answer["usage"])))),
    ),
    ("test_usage_of_streams_is_read", _reading(events=lambda self, fields: [])),
    ("test_the_end_of_a_stream_is_noticed", _reading(events=lambda self, fields: [])),
    ("test_a_stream_that_is_cut_is_aborted", _reading(close=lambda self: ())),
    (
        "test_a_stream_reads_the_same_wherever_its_bytes_are_split",
        broken(TestProvider, framer=lambda self: _Lines()),
    ),
    (
        "test_frames_that_are_damaged_give_counts_or_an_upstream_error",
        _reading(observe=_observe_trustingly, close=lambda self: ()),
    ),
    (
        "test_frames_that_are_nonsense_give_counts_or_an_upstream_error",
        _reading(observe=_observe_without_checks),
    ),
    ("test_readers_do_not_share_what_they_saw", _reading(__init__=_share_usage)),
    ("test_what_is_called_free_text_teaches_nothing", _reading(free_text=_free_everywhere)),
    ("test_what_is_called_free_text_teaches_nothing", _reading(free_text=lambda self, frame: [(1, 2)])),
    ("test_who_only_relays_refuses_to_translate", shown(TestProvider, translates=False)),
    ("test_a_plain_chat_is_said_in_full", _encode(dropped=("/messages/0",))),
    ("test_a_plain_chat_is_said_in_full", _encode(body=b'{"messages":[]}')),
    (
        "test_a_plain_chat_is_said_in_full",
        broken(TestProvider, encode=RelayOnly.encode),
    ),
    ("test_encoded_requests_are_for_the_upstreams_model", _encode(body=b'{"model":"an-alias"}')),
    (
        "test_what_is_dropped_is_listed_by_pointers_that_lead_somewhere",
        _encode(dropped=("/sampling/no_such_field",)),
    ),
    (
        "test_what_is_dropped_is_listed_by_pointers_that_lead_somewhere",
        _encode(dropped=("/sampling", "/sampling")),
    ),
    ("test_extras_of_another_wire_are_dropped_and_listed", _like("encode", _send_extras)),
    ("test_extras_of_another_wire_are_dropped_and_listed", _encode(dropped=())),
    ("test_encoding_leaves_the_request_as_it_was", _like("encode", _change_the_request)),
    ("test_encoding_leaves_the_request_as_it_was", _like("encode", _send_randomly)),
    (
        "test_a_request_is_a_json_object_without_the_credential",
        _encode(body=b"model=a&messages=b"),
    ),
    (
        "test_a_request_is_a_json_object_without_the_credential",
        _like(
            "encode",
            lambda encoded, request, deployment: Encoded(
                body=msgspec.json.encode({"key": deployment.key.secret.reveal()})
            ),
        ),
    ),
    ("test_recorded_answers_are_decoded", shown(TestProvider, answers={})),
    ("test_recorded_answers_are_decoded", _doing("decode", lambda body, deployment: ChatAnswer())),
    ("test_answers_that_make_no_sense_are_upstream_errors", _doing("decode", _crash_on_lists)),
    ("test_streams_are_decoded_from_their_start_to_their_stop", _reading(decode=_start_twice)),
    ("test_streams_are_decoded_from_their_start_to_their_stop", _reading(events=lambda self, fields: [])),
    ("test_decoding_notes_what_observing_does", _reading(observe=_decode_only)),
    ("test_frames_that_make_no_sense_are_upstream_errors", _reading(decode=_decode_without_checks)),
]


def _told(error: Any, message: str) -> Any:
    error.message = message
    return error


@each_case(CASES)
def test_a_broken_provider_fails(promise: str, contract: type[PluginContract]) -> None:
    assert failure(contract, promise) is not None


def test_every_promise_can_be_broken() -> None:
    assert promises(ProviderContract, PluginContract) == {promise for promise, _ in CASES}
