"""What unit tests of plugins stand on: services that remember, exchanges and snapshots of one's own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

import hookway_sdk.testing
from hookway_sdk import (
    Charge,
    ChatAnswer,
    ChatRequest,
    Compiled,
    ConfigError,
    InvalidRequest,
    PermissionDenied,
    ProviderUnavailable,
    RequestEnded,
    RequestView,
    Tokens,
    TransportFailed,
    UpstreamTooLarge,
)
from hookway_sdk.scalars import LooseText, VariableText
from hookway_sdk.state import Get, Set
from hookway_sdk.testing import (
    FakeClock,
    HmacSecrets,
    HttpCall,
    HttpReply,
    ListedCompiler,
    PlainRequest,
    ScriptedDocuments,
    ScriptedRandom,
    make_candidate,
    make_deployment,
    make_exchange,
    make_principal,
    make_provider_key,
    make_request,
    make_resource,
    make_services,
    make_snapshot,
)
from hookway_sdk.testing.contracts.sse import SseFramer, cut, frames_of

# ── names ───────────────────────────────────────────────────────────────────────────────────


def test_every_name_of_the_kit_is_there() -> None:
    missing = [name for name in hookway_sdk.testing.__all__ if not hasattr(hookway_sdk.testing, name)]
    assert missing == []
    assert hookway_sdk.testing.__all__ == sorted(hookway_sdk.testing.__all__)
    assert set(dir(hookway_sdk.testing)) >= set(hookway_sdk.testing.__all__)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        hookway_sdk.testing.no_such_name  # noqa: B018


def test_importing_the_kit_loads_no_test_runner() -> None:
    code = (
        "import sys, hookway_sdk, hookway_sdk.testing as t; t.make_services(); "
        "print(sorted({'pytest', 'hypothesis', 'aiohttp', 'hookway'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ── services ────────────────────────────────────────────────────────────────────────────────


def test_log_lines_are_kept_with_level_and_fields() -> None:
    services = make_services()
    services.log.info("started", port=1)
    services.log.warning("slow", seconds=2.5)
    services.log.debug("detail")
    services.log.error("failed")
    assert services.log.events() == ["started", "slow", "detail", "failed"]
    assert services.log.events("warning") == ["slow"]
    assert services.log.lines[0].fields == {"port": 1}


def test_metrics_are_kept_by_labels() -> None:
    services = make_services()
    hits = services.metrics.counter("hits_total", "Hits", ["model"])
    hits.add(1.0, "a")
    hits.add(2.0, "a")
    services.metrics.gauge("held", "Held").set(5.0)
    services.metrics.histogram("seconds", "Time", ["model"]).observe(0.5, "a")
    assert services.metrics.value("hits_total", "a") == 3.0
    assert services.metrics.value("hits_total", "b") == 0.0
    assert services.metrics.value("held") == 5.0
    assert services.metrics.observed("seconds", "a") == [0.5]


def test_metrics_refuse_what_a_gateway_would_not_take() -> None:
    metrics = make_services().metrics
    hits = metrics.counter("hits_total", "Hits", ["model"])
    assert metrics.counter("hits_total", "Hits", ["model"]) is hits
    with pytest.raises(ValueError, match="_total"):
        metrics.counter("hits", "Hits")
    with pytest.raises(ValueError, match="was declared"):
        metrics.counter("hits_total", "Hits", ["other"])
    with pytest.raises(ValueError, match="labels"):
        hits.add(1.0)
    with pytest.raises(ValueError, match="go down"):
        hits.add(-1.0, "a")
    with pytest.raises(ValueError, match="counter, not a gauge"):
        hits.set(1.0, "a")


async def test_background_work_waits_for_the_test() -> None:
    services = make_services()
    done: list[str] = []

    async def work() -> None:
        done.append("work")

    services.tasks.start("once", work)
    services.tasks.every("often", 1.0, work)
    services.tasks.on_tick(lambda: done.append("tick"))
    assert done == []
    await services.tasks.run("once")
    await services.tasks.run_every("often", times=2)
    await services.tasks.run_every()
    services.tasks.run_ticks(2)
    assert done == ["work"] * 4 + ["tick"] * 2
    with pytest.raises(ValueError, match="runs already"):
        services.tasks.start("often", work)
    with pytest.raises(ValueError, match="every 0"):
        services.tasks.every("never", 0, work)


async def test_http_refuses_unless_it_is_answered() -> None:
    services = make_services()
    with pytest.raises(TransportFailed):
        await services.http.request("GET", "http://127.0.0.1:9/")
    assert [call.url for call in services.http.calls] == ["http://127.0.0.1:9/"]


async def test_http_is_answered_by_a_function_that_may_wait_or_raise() -> None:
    async def answer(call: HttpCall) -> HttpReply:
        if call.caller_supplied:
            raise PermissionDenied("not public")
        return HttpReply.of({"got": call.json(), "key": call.header("X-KEY")})

    services = make_services(http=answer)
    reply = await services.http.request("POST", "http://a/", headers=[("x-key", "k")], body=b"[1]")
    assert msgspec.json.decode(reply.body) == {"got": [1], "key": "k"}
    assert (reply.status, reply.header("Content-Type"), reply.header("x-other")) == (
        200,
        "application/json",
        "",
    )
    with pytest.raises(PermissionDenied):
        await services.http.request("GET", "http://a/", caller_supplied=True)
    with pytest.raises(UpstreamTooLarge):
        await services.http.request("POST", "http://a/", body=b"[1]", limit=3)


async def test_nested_calls_are_kept_and_answered_by_a_function() -> None:
    request = ChatRequest(model="judge", messages=())
    silent = make_services()
    with pytest.raises(ProviderUnavailable):
        await silent.call("judge", request, parent=None)
    services = make_services(call=lambda call: ChatAnswer(model=call.model))
    exchange = make_exchange()
    answer = await services.call("judge", request, parent=exchange, charge=Charge.GATEWAY)
    assert answer.model == "judge"
    assert services.call.calls[0].parent is exchange
    assert services.call.calls[0].charge is Charge.GATEWAY


async def test_state_is_the_plugins_own_and_can_be_handed_on() -> None:
    services = make_services("limit_a")
    await services.state.apply((Set("k", b"v", 60.0),))
    next_one = make_services("limit_a", state=services.state, clock=services.clock)
    (found,) = await next_one.state.apply((Get("k"),))
    assert found.value == b"v"  # type: ignore[attr-defined]
    services.clock.advance(61)
    (found,) = await next_one.state.apply((Get("k"),))
    assert found.value is None  # type: ignore[attr-defined]


def test_time_stands_still_and_chance_is_the_same_in_every_run() -> None:
    assert make_services().clock.now() == make_services().clock.now()
    assert make_services().random.random() == make_services().random.random()
    loaded = make_services(random=ScriptedRandom([0.25]), clock=FakeClock(5.0))
    assert (loaded.random.random(), loaded.clock.now()) == (0.25, 5.0)


def test_secrets_are_verified_by_purpose_and_after_a_rotation() -> None:
    secrets = HmacSecrets(b"new", previous=b"old")
    mac = HmacSecrets(b"old").sign("ids", b"data")
    assert secrets.verify("ids", b"data", mac)
    assert secrets.verify("ids", b"data", secrets.sign("ids", b"data"))
    assert not secrets.verify("other", b"data", mac)
    assert not secrets.verify("ids", b"Data", mac)
    assert not HmacSecrets(b"new").verify("ids", b"data", mac)


def test_the_state_directory_is_made_on_first_use_and_goes_with_the_services(tmp_path: Path) -> None:
    services = make_services()
    assert services.directories == []
    made = services.state_dir()
    assert made.is_dir()
    assert services.state_dir() == made == services.directories[0]
    del services
    assert not made.exists()
    given = make_services(state_dir=tmp_path / "mine")
    assert given.state_dir() == tmp_path / "mine"
    assert (tmp_path / "mine").is_dir()


def test_events_are_kept() -> None:
    services = make_services()
    services.emit(RequestEnded(request_id="a"))
    assert [event.request_id for event in services.emitted] == ["a"]  # type: ignore[union-attr]


def test_services_of_others_have_to_be_given_and_asking_is_noted() -> None:
    class Words:
        async def count(self, model: str, text: str) -> int:
            return len(text.split())

        def count_now(self, model: str, text: str) -> int | None:
            return len(text.split())

    words = Words()
    services = make_services(provided={Tokens: words})
    assert services.get(Tokens) is words
    assert services.asked == {Tokens}
    with pytest.raises(LookupError, match="needs"):
        make_services().get(Tokens)


def test_documents_are_strict_json_with_variables() -> None:
    documents = ScriptedDocuments(environment={"PORT": "8080", "HOST": "here"})
    document = documents.parse(
        b'{"port": "${PORT}", "at": ["http://${HOST}/", 1]}', file="a.json", interpolate=True
    )
    assert document.value == {"port": "8080", "at": ["http://here/", 1]}
    assert isinstance(document.value["port"], LooseText)
    assert isinstance(document.value["at"][0], VariableText)
    assert document.places[()].file == "a.json"
    assert documents.parse(b'"${PORT}"', file="a.json").value == "${PORT}"


@pytest.mark.parametrize("text", [b'{"a": 1, "a": 2}', b"{", b'{"a": NaN}', b"\xff", b'"${UNSET}"'])
def test_a_document_that_cannot_be_read_is_a_problem_with_a_place(text: bytes) -> None:
    with pytest.raises(ConfigError) as caught:
        ScriptedDocuments().parse(text, file="a.json", interpolate=True)
    assert str(caught.value.problems[0].place) == "a.json:1"


def test_documents_take_another_parser() -> None:
    documents = ScriptedDocuments(parser=lambda text: dict([text.decode().split(": ")]))
    assert documents.parse(b"a: b", file="a.yaml").value == {"a": "b"}


# ── exchanges ───────────────────────────────────────────────────────────────────────────────


def test_an_exchange_comes_as_far_as_its_plan() -> None:
    exchange = make_exchange("one", "two", headers={"X-Tag": "a", "Authorization": "hush"})
    assert [slot.text for slot in exchange.request.texts()] == ["one", "two"]
    assert exchange.principal == make_principal()
    assert exchange.model.requested == exchange.request.model
    assert [candidate.name for candidate in exchange.plan.candidates] == ["target"]
    assert exchange.headers.get("x-tag") == "a"
    assert "authorization" not in exchange.headers


def test_exchanges_have_ids_of_their_own_unless_told() -> None:
    assert make_exchange().id != make_exchange().id
    assert make_exchange(id="a").id == "a"
    assert make_exchange(anonymous=True).principal is None


def test_targets_are_cut_to_size() -> None:
    key = make_provider_key(provider="acme", secret="hush")
    deployment = make_deployment("fast", model="m-1", key=key, capabilities=frozenset({"tools"}))
    candidate = make_candidate(deployment=deployment, weight=3, tags=("eu",))
    assert (candidate.name, candidate.weight, candidate.tags) == ("fast", 3, ("eu",))
    assert (deployment.provider, deployment.key.secret.reveal()) == ("acme", "hush")


def test_a_plain_request_is_masked_where_it_was_read() -> None:
    request = make_request(
        model="m",
        messages=[
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "pin 1234"}], "odd/~": ["deep"]},
        ],
        seed=7,
    )
    slots = {slot.pointer: slot for slot in request.texts()}
    assert list(slots) == ["/messages/0/content", "/messages/1/content/0/text", "/messages/1/odd~1~0/0"]
    assert (slots["/messages/0/content"].channel, slots["/messages/0/content"].role) == ("system", "system")
    slots["/messages/1/content/0/text"].replace("pin ****")
    assert b"1234" not in bytes(request.sealed()["messages"])
    assert bytes(request.sealed()["seed"]) == b"7"
    assert [message.role for message in request.canonical().messages] == ["system", "user"]
    assert request.edited


def test_an_untouched_plain_request_is_sent_as_it_came() -> None:
    request = make_request("a")
    assert request.sealed() is request.envelope
    assert isinstance(request, RequestView)


@pytest.mark.parametrize("body", [b'{"model":1}', b'{"messages":{}}', b'{"stream":"yes"}'])
def test_a_plain_request_of_a_wrong_shape_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        PlainRequest(hookway_sdk.open_envelope(body))


# ── snapshots ───────────────────────────────────────────────────────────────────────────────


def test_a_snapshot_finds_its_rows() -> None:
    one = make_resource("models", None, name="fast", id="id-1")
    two = make_resource("guardrails", None, name="quiet")
    snapshot = make_snapshot([one, two], models=[("slow", "b"), ("fast", "a")])
    assert snapshot.rows("models") == [one]
    assert snapshot.rows("api_keys") == ()
    assert snapshot.find("models", "fast") is snapshot.by_id("models", "id-1") is one
    assert snapshot.find("models", "quiet") is None
    assert snapshot.model_names() == [("fast", "a"), ("slow", "b")]
    assert make_resource("guardrails", None, name="quiet").id == two.id


def test_what_is_compiled_can_be_read_and_refused_rows_are_noted() -> None:
    key, other = Compiled[int]("test.number"), Compiled[int]("test.number")
    row = make_resource("models", None, name="fast")
    compiler = ListedCompiler(make_snapshot([row], compiled={}))
    compiler.put(key, 3)
    compiler.reject(row, "too fast")
    assert compiler.snapshot.compiled(key) == 3
    assert compiler.rejected == [(row, "too fast")]
    with pytest.raises(KeyError, match=r"test\.number"):
        compiler.snapshot.compiled(other)


# ── server-sent events ──────────────────────────────────────────────────────────────────────

EVENTS = b"id: 1\nevent: a\ndata: one\ndata: two\n\n: comment\r\n\r\ndata:three\rretry: 5\r\rdata\n\n"


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1_000])
def test_events_are_cut_wherever_bytes_are_split(size: int) -> None:
    framer = SseFramer()
    chunks = [EVENTS[at : at + size] for at in range(0, len(EVENTS), size)]
    frames = [frame for chunk in chunks for frame in framer.feed(chunk)] + framer.close()
    assert [(frame.event, frame.id, frame.data) for frame in frames] == [
        ("a", "1", b"one\ntwo"),
        ("", "", b"three"),
        ("", "", b""),
    ]
    assert framer.unfinished == b""


def test_a_stream_that_ends_within_an_event_is_noticed() -> None:
    with pytest.raises(AssertionError, match="ends within an event"):
        cut(b"data: one\n\ndata: two\n")


@pytest.mark.parametrize(
    "upstream",
    [
        b'data: {"a":1}\n\ndata: [DONE]\n\n',
        'data: {"a":1}\n\ndata: [DONE]\n\n',
        [{"a": 1}, "[DONE]"],
        [b'{"a":1}', b"[DONE]"],
        ['data: {"a":1}', "data: [DONE]\n\n"],
        [("", {"a": 1}), ("", "[DONE]")],
    ],
)
def test_samples_may_write_their_stream_in_several_ways(upstream: object) -> None:
    assert [frame.data for frame in frames_of(upstream)] == [b'{"a":1}', b"[DONE]"]
