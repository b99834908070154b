"""The push pipeline of a stream: what is committed when, how it ends, how a slow client slows it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from hookway.deadlines import DeadlineWheel
from hookway.framing import SseFramer
from hookway.live_exchange import LiveExchange
from hookway.produced_text import ProducedText
from hookway.streaming import KEEP_ALIVE, StreamPipe, events_of
from hookway.upstream.response import Headers, UpstreamResponse
from hookway_sdk import (
    Attempt,
    AudioPart,
    ChatAnswer,
    Choice,
    Exchange,
    Frame,
    GatewayError,
    ImagePart,
    Message,
    OpaquePart,
    Part,
    PluginFailed,
    ReasoningPart,
    RefusalPart,
    StreamAborted,
    StreamEvent,
    StreamReader,
    StreamStart,
    StreamStop,
    StreamUsage,
    StreamWriter,
    TextDelta,
    TextPart,
    ToolCallDelta,
    ToolCallPart,
    UpstreamInBand,
    UpstreamTimeout,
    Usage,
    WholePart,
    raw,
)
from hookway_sdk.messages import Citation, CitationDelta, LogprobsDelta, MediaSource, OpaqueDelta
from hookway_sdk.testing import make_candidate, make_exchange


class Client:
    """The client's side: what it got, and whether it is slow."""

    def __init__(self) -> None:
        self.begun = 0
        self.got = b""
        self.pause: Callable[[], None] | None = None
        self.resume: Callable[[], None] | None = None
        self.slow_after = 1 << 30

    def begin_stream(self, exchange: Exchange) -> None:
        self.begun += 1
        assert self.got == b""

    def write(self, data: bytes) -> None:
        assert self.begun == 1
        self.got += data
        if len(self.got) > self.slow_after and self.pause is not None:
            self.pause()

    def flow(self, pause: Callable[[], None] | None, resume: Callable[[], None] | None) -> None:
        self.pause, self.resume = pause, resume


class Reader(StreamReader):
    """Reads frames that are words: ``end``, ``error``, ``bug``, ``hide``, numbers of tokens, and texts."""

    needs_end = False

    def observe(self, frame: Frame) -> None:
        self.decode(frame)

    def decode(self, frame: Frame) -> Sequence[StreamEvent]:
        word = frame.data.decode()
        if word == "end":
            self.done = True
            self.stop_reason = "stop"
            return [StreamStop()]
        if word == "error":
            raise UpstreamInBand("the model broke")
        if word == "bug":
            raise ValueError("a bug in a provider")
        if word.isdigit():
            self.usage.observe(Usage(output_tokens=int(word)))
            self.upstream_id = "up-1"
        return [TextDelta(text=word)]

    def close(self) -> Sequence[StreamEvent]:
        if self.needs_end:
            raise StreamAborted("no end came")
        return [TextDelta(text="owed")]


class Writer(StreamWriter):
    """Writes what is easy to read."""

    broken = False

    def relay(self, frame: Frame) -> bytes:
        return b"" if frame.data == b"hide" else b"<%b>" % frame.data

    def end_relay(self) -> bytes:
        return b"</relay>"

    def write(self, event: StreamEvent) -> bytes:
        return f"[{event.text}]".encode() if isinstance(event, TextDelta) else b""

    def end(self, usage: Usage) -> bytes:
        return b"</end %d>" % usage.output_tokens

    def fail(self, error: GatewayError) -> bytes:
        if self.broken:
            raise ValueError("a bug in a dialect")
        return f"<!{error.type}>".encode()


class Source:
    """The connection under the response."""

    def __init__(self) -> None:
        self.paused = False
        self.aborted = False

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def abort(self) -> None:
        self.aborted = True


class Stream:
    """A pipe with a connection on one side and a client on the other."""

    def __init__(
        self,
        *,
        relay: bool = True,
        interval: float = 0.0,
        needs_end: bool = False,
        first_token: float | None = None,
    ) -> None:
        self.produced = ProducedText(Reader)
        self.client = Client()
        self.exchange = make_exchange()
        self.attempt = Attempt(0, "initial", make_candidate(), 100.0)
        self.reader = Reader()
        self.reader.needs_end = needs_end
        self.writer = Writer()
        self.source = Source()
        self.response = UpstreamResponse(200, Headers(()), "1.1", self.source)
        self.now = 100.0
        self.pipe = StreamPipe(
            cast("LiveExchange", self.exchange),
            self.attempt,
            self.client,
            self.reader,
            self.writer,
            SseFramer(),
            relay=relay,
            now=lambda: self.now,
            produced=self.produced,
        )
        self.wheel = DeadlineWheel(0.005)
        self.pipe.attach(self.response, self.wheel, interval, first_token)

    def send(self, *words: str) -> None:
        """Let the upstream send frames in one piece."""
        self.response.feed("".join(f"data: {word}\n\n" for word in words).encode())

    @property
    def outcome(self) -> Any:
        """``"running"``, ``"done"``, or the error of a stream that committed nothing."""
        if not self.pipe.finished.done():
            return "running"
        return self.pipe.finished.exception() or "done"


# ── commitment ──────────────────────────────────────────────────────────────────────────────


async def test_nothing_is_committed_before_the_first_frame_for_the_client() -> None:
    stream = Stream()
    stream.response.feed(b": hello\n\nevent: ping\n\nda")
    assert (stream.client.begun, stream.pipe.begun) == (0, False)
    stream.response.feed(b"ta: a\n\n")
    assert (stream.client.begun, stream.client.got) == (1, b"<a>")


async def test_a_hidden_frame_commits_nothing() -> None:
    stream = Stream()
    stream.send("hide")
    assert stream.client.begun == 0
    assert stream.attempt.first_byte == 100.0
    assert stream.exchange.first_byte == 0.0


async def test_frames_pass_as_they_come_and_the_end_is_the_wires_own() -> None:
    stream = Stream()
    stream.send("a")
    assert stream.client.got == b"<a>"
    stream.send("b", "7")
    stream.send("end")
    assert stream.client.got == b"<a><b><7><end></relay>"
    assert stream.outcome == "done"
    assert (stream.attempt.usage.output_tokens, stream.attempt.upstream_id) == (7, "up-1")
    assert stream.exchange.stop_reason == "stop"


async def test_a_translated_stream_is_written_from_events_and_ended_with_its_usage() -> None:
    stream = Stream(relay=False)
    stream.send("a", "7")
    stream.send("end")
    assert stream.client.got == b"[a][7]</end 7>"
    assert stream.outcome == "done"


@pytest.mark.parametrize(("relay", "got"), [(True, b"<a></relay>"), (False, b"[a][owed]</end 0>")])
async def test_a_wire_without_end_marker_ends_with_its_body(relay: bool, got: bytes) -> None:
    stream = Stream(relay=relay)
    stream.send("a")
    stream.response.finish()
    assert (stream.client.got, stream.outcome) == (got, "done")


async def test_the_last_frame_may_lack_its_blank_line() -> None:
    stream = Stream()
    stream.response.feed(b"data: a")
    stream.response.finish()
    assert stream.client.got == b"<a></relay>"


async def test_times_of_the_first_bytes_are_kept() -> None:
    stream = Stream()
    stream.send("hide")
    stream.now = 101.0
    stream.send("a")
    stream.now = 102.0
    stream.send("b")
    assert (stream.attempt.first_byte, stream.exchange.first_byte) == (100.0, 101.0)


# ── errors ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("words", "kind"),
    [(["error"], UpstreamInBand), (["a", "error"], UpstreamInBand), (["bug"], PluginFailed)],
)
async def test_an_error_before_the_head_is_the_attempts_and_commits_nothing(
    words: list[str], kind: type[GatewayError]
) -> None:
    stream = Stream()
    stream.send(*words)
    assert isinstance(stream.outcome, kind)
    assert (stream.client.begun, stream.exchange.error) == (0, None)
    assert stream.source.aborted


async def test_an_end_before_the_first_event_is_an_aborted_stream() -> None:
    for relay in (True, False):
        stream = Stream(relay=relay, needs_end=True)
        stream.response.finish()
        assert isinstance(stream.outcome, StreamAborted)
        assert stream.client.begun == 0


async def test_a_failure_of_the_connection_before_the_head_is_the_attempts() -> None:
    stream = Stream()
    late = UpstreamTimeout(100)
    stream.response.fail(late)
    assert stream.outcome is late
    assert stream.client.begun == 0


@pytest.mark.parametrize(("word", "kind"), [("error", "upstream_error"), ("bug", "internal_error")])
async def test_an_error_after_the_head_ends_the_stream_in_the_dialects_form(word: str, kind: str) -> None:
    stream = Stream()
    stream.send("a")
    stream.send("b", word, "never")
    assert stream.client.got == f"<a><b><!{kind}>".encode()
    assert stream.outcome == "done"
    assert stream.exchange.error is stream.attempt.error
    assert stream.attempt.error is not None
    assert stream.attempt.error.type == kind
    assert stream.source.aborted


async def test_a_bug_of_a_plugin_says_nothing_of_itself_to_the_client() -> None:
    stream = Stream()
    stream.send("bug")
    assert isinstance(stream.outcome, PluginFailed)
    assert "a bug" not in stream.outcome.message
    assert "a bug in a provider" in str(stream.outcome.detail)


async def test_a_cut_stream_ends_with_an_error_and_keeps_its_usage() -> None:
    stream = Stream()
    stream.send("7")
    stream.response.fail(StreamAborted())
    assert stream.client.got == b"<7><!stream_aborted>"
    assert stream.attempt.usage.output_tokens == 7


async def test_a_body_that_ends_without_the_wires_marker_is_cut() -> None:
    stream = Stream(needs_end=True)
    stream.send("a")
    stream.response.finish()
    assert stream.client.got == b"<a><!stream_aborted>"


async def test_an_oversized_frame_ends_the_stream() -> None:
    stream = Stream()
    stream.send("a")
    for _ in range(10):
        stream.response.feed(b"x" * (1 << 20))
    assert stream.client.got == b"<a><!upstream_decode_error>"
    assert stream.source.aborted


async def test_a_dialect_that_cannot_say_the_error_still_ends_the_request() -> None:
    loop, reported = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _, context: reported.append(context))
    stream = Stream()
    stream.writer.broken = True
    stream.send("a")
    stream.send("error")
    assert stream.outcome == "done"
    assert isinstance(stream.exchange.error, UpstreamInBand)
    assert [type(one["exception"]) for one in reported] == [ValueError]


# ── behind the end ──────────────────────────────────────────────────────────────────────────


async def test_nothing_behind_the_end_reaches_the_client() -> None:
    stream = Stream()
    stream.send("a")
    stream.send("end", "more", "error")
    assert (stream.client.got, stream.outcome) == (b"<a><end></relay>", "done")
    assert stream.exchange.error is None


async def test_an_upstream_that_goes_on_behind_its_end_is_cut_off() -> None:
    stream = Stream()
    stream.send("a", "end")
    stream.response.feed(b"\n")
    assert not stream.source.aborted
    stream.send("more")
    assert stream.source.aborted
    assert stream.client.got == b"<a><end></relay>"


async def test_a_connection_whose_stream_is_complete_is_kept() -> None:
    stream = Stream()
    stream.send("a", "end")
    stream.pipe.detach()
    stream.response.finish()
    assert not stream.source.aborted
    assert (stream.client.pause, stream.client.resume) == (None, None)


# ── the client ──────────────────────────────────────────────────────────────────────────────


async def test_a_slow_client_makes_the_upstream_wait() -> None:
    stream = Stream()
    stream.client.slow_after = 5
    stream.send("a")
    assert not stream.source.paused
    stream.send("b", "c")
    assert stream.source.paused
    stream.send("d")
    assert stream.client.got == b"<a><b><c>"
    stream.client.slow_after = 1 << 30
    assert stream.client.resume is not None
    stream.client.resume()
    assert not stream.source.paused
    assert stream.client.got == b"<a><b><c><d>"


async def test_a_slow_client_does_not_hold_a_connection_whose_stream_is_over() -> None:
    stream = Stream()
    stream.client.slow_after = 0
    stream.send("a", "end")
    assert stream.source.paused
    stream.pipe.detach()
    assert not stream.source.paused
    assert not stream.source.aborted


async def test_a_client_that_leaves_cancels_the_upstream_and_what_came_is_kept() -> None:
    stream = Stream()
    stream.send("a", "9")
    stream.pipe.note_partial()
    stream.pipe.detach()
    assert stream.source.aborted
    assert (stream.attempt.usage.output_tokens, stream.attempt.upstream_id) == (9, "up-1")
    stream.response.feed(b"data: late\n\n")
    assert stream.client.got == b"<a><9>"


# ── silence ─────────────────────────────────────────────────────────────────────────────────


async def silence(stream: Stream, seconds: float) -> None:
    """Let time pass without a frame, on the wheel and on the pipe's own clock."""
    for _ in range(int(seconds / 0.01)):
        stream.now += 0.01
        await asyncio.sleep(0.01)


async def test_silence_is_filled_with_comments_and_commits_the_head() -> None:
    stream = Stream(interval=0.03)
    await silence(stream, 0.12)
    assert stream.client.begun == 1
    assert stream.client.got in {KEEP_ALIVE * count for count in (2, 3, 4)}
    comments = stream.client.got
    stream.send("error")
    assert stream.client.got == comments + b"<!upstream_error>"
    stream.pipe.detach()
    await silence(stream, 0.06)
    assert stream.client.got == comments + b"<!upstream_error>"


async def test_frames_put_the_comment_off() -> None:
    stream = Stream(interval=0.05)
    for _ in range(8):
        stream.send("a")
        await silence(stream, 0.02)
    assert stream.client.got == b"<a>" * 8
    stream.pipe.detach()
    assert len(stream.wheel) == 0


async def test_without_an_interval_silence_stays_silent() -> None:
    stream = Stream(interval=0.0)
    await silence(stream, 0.03)
    assert (stream.client.begun, len(stream.wheel)) == (0, 0)


# ── a finished answer as a stream ───────────────────────────────────────────────────────────


def test_a_finished_answer_becomes_the_events_of_a_stream() -> None:
    citation = Citation(url="http://a")
    parts: tuple[Part, ...] = (
        ReasoningPart(text="hm", signature="s", issuer="i"),
        TextPart(text="hello", citations=(citation,)),
        ToolCallPart(id="c1", name="one", arguments="{}"),
        RefusalPart(text="no"),
        ToolCallPart(id="c2", name="two", arguments="[]"),
        ImagePart(source=MediaSource(url="http://i")),
        AudioPart(source=MediaSource(data="QQ==")),
        OpaquePart(kind="k", value=raw(1), wire="w"),
    )
    message = Message(role="assistant", parts=parts)
    choices = (
        Choice(message=message, stop_reason="tool_calls", logprobs=raw([])),
        Choice(index=1, message=Message(role="assistant", parts=(TextPart(text="b"),))),
    )
    answer = ChatAnswer(id="a", model="m", created=7, choices=choices, usage=Usage(output_tokens=3))
    events = list(events_of(answer))
    assert events[0] == StreamStart(id="a", model="m", created=7)
    assert [type(event).__name__ for event in events[1:]] == [
        *("ReasoningDelta", "TextDelta", "CitationDelta", "ToolCallDelta", "RefusalDelta", "ToolCallDelta"),
        *("WholePart", "WholePart", "OpaqueDelta", "LogprobsDelta", "StreamStop", "TextDelta", "StreamStop"),
        "StreamUsage",
    ]
    assert [event.call for event in events if isinstance(event, ToolCallDelta)] == [0, 1]
    assert CitationDelta(citation=citation, part=1) in events
    assert WholePart(part=cast("ImagePart", parts[5]), index=5) in events
    assert OpaqueDelta(wire="w", value=raw(1)) in events
    assert LogprobsDelta(logprobs=raw([])) in events
    assert [(one.choice, one.stop_reason) for one in events if isinstance(one, StreamStop)] == [
        (0, "tool_calls"),
        (1, "stop"),
    ]
    assert events[-1] == StreamUsage(usage=Usage(output_tokens=3))


# ── the first event's own deadline ──────────────────────────────────────────────────────────


async def test_a_stream_that_does_not_begin_in_time_fails_as_an_attempt() -> None:
    stream = Stream(first_token=0.01)
    stream.response.feed(b": the upstream is still thinking\n\n")
    await asyncio.sleep(0.05)
    assert isinstance(stream.outcome, UpstreamTimeout)
    assert stream.outcome.stage == "first_token"
    assert (stream.client.begun, stream.source.aborted) == (0, True)


async def test_a_stream_that_begins_in_time_may_take_long() -> None:
    stream = Stream(first_token=0.01)
    stream.send("first")
    await asyncio.sleep(0.05)
    assert stream.outcome == "running"
    stream.send("end")
    assert stream.outcome == "done"
    assert len(stream.wheel) == 0


async def test_no_comment_commits_a_stream_whose_first_event_another_target_may_send() -> None:
    stream = Stream(first_token=0.2, interval=0.01)
    await asyncio.sleep(0.05)
    assert stream.client.begun == 0
    stream.pipe.detach()
    stream.wheel.close()


# ── what was said, for upstreams that do not count ──────────────────────────────────────────


@pytest.mark.parametrize("relay", [True, False])
async def test_what_was_said_is_kept(relay: bool) -> None:
    stream = Stream(relay=relay)
    stream.send("one", "two")
    stream.send("three")
    assert stream.produced.text() == "onetwothree"
    assert stream.produced.scale == 1.0
