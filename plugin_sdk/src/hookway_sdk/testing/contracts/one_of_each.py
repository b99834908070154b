"""One of each thing that the SDK leaves open: errors, requests, answers, stream events."""

from __future__ import annotations

import msgspec

from hookway_sdk import errors
from hookway_sdk.envelope import raw
from hookway_sdk.errors import GatewayError
from hookway_sdk.messages import (
    AudioPart,
    ChatAnswer,
    ChatRequest,
    Choice,
    Citation,
    CitationDelta,
    FilePart,
    ImagePart,
    LogprobsDelta,
    MediaSource,
    Message,
    OpaqueDelta,
    OpaquePart,
    ReasoningDelta,
    ReasoningOptions,
    ReasoningPart,
    RefusalDelta,
    RefusalPart,
    ResponseFormat,
    Sampling,
    StreamEvent,
    StreamStart,
    StreamStop,
    StreamUsage,
    TextDelta,
    TextPart,
    Tool,
    ToolCallDelta,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
    WholePart,
)
from hookway_sdk.usage import Usage

FOREIGN = "a wire nobody speaks"
"""Wire of extras that every provider has to drop and list."""
FOREIGN_WORD = "word-of-a-foreign-wire"
"""Stands in those extras and in nothing else."""
OPERATOR_ONLY = "host-and-deployment-for-operators-only"
"""Stands in the errors' ``detail`` and in nothing else."""


def one_of_each_error() -> list[GatewayError]:
    """Return one error of every class that ends a request."""
    made: list[GatewayError] = [
        errors.GatewayError("something else", status=418, code="teapot"),
        errors.InvalidRequest("messages is missing", param="messages"),
        errors.Unauthenticated("no api key was given", reason="missing_credentials"),
        errors.PermissionDenied("this key may not use model 'a'"),
        errors.ModelNotFound('a "quoted" name'),
        errors.NotFound("no such file"),
        errors.RequestTimeout("the request was not finished in time"),
        errors.BodyTooLarge(1_024),
        errors.ContentBlocked("quiet"),
        errors.LimitExceeded("tokens", policy="team", retry_after=7),
        errors.BudgetExceeded("budget of key 'a' is used up", members={"limit": 10, "spent": 10.5}),
        errors.ClientDisconnected(),
        errors.ConfigBroken("guardrail 'quiet' cannot be used"),
        errors.ProviderUnavailable("no provider plugin serves adapter 'a'"),
        errors.AllCandidatesUnavailable(),
        errors.StateUnavailable("the state store does not answer"),
        errors.Overloaded("too many requests at once"),
        errors.PluginFailed("guardrail_quiet", "inspect_request"),
        errors.UpstreamError("the provider failed"),
        errors.UpstreamRefused(429, "slow \u2028 down", retry_after=3),
        errors.UpstreamInBand("overloaded"),
        errors.UpstreamTimeout(30_000),
        errors.UpstreamUndecodable("no JSON"),
        errors.UpstreamTooLarge(1_024),
        errors.TransportFailed("connection reset"),
        errors.StreamAborted(),
        errors.InvalidUpstreamConfig("api_base is no URL"),
        errors.InvalidUpstreamCredential("it holds a line break"),
    ]
    for error in made:
        error.detail = OPERATOR_ONLY
    return made


def plain_chat() -> ChatRequest:
    """Return the chat that every chat wire can say in full."""
    return ChatRequest(
        model="an-alias",
        messages=(
            Message(role="system", parts=(TextPart(text="Be brief."),), plain=True),
            Message(role="user", parts=(TextPart(text="What is 2 + 2?"),), plain=True),
        ),
    )


def tool_chat() -> ChatRequest:
    """Return a chat with tools, a call and its result."""
    call = ToolCallPart(id="call-1", name="add", arguments='{"a": 2, "b": 2}')
    return ChatRequest(
        model="an-alias",
        messages=(
            Message(role="user", parts=(TextPart(text="What is 2 + 2?"),)),
            Message(role="assistant", parts=(TextPart(text="I add."), call)),
            Message(role="tool", parts=(ToolResultPart(call_id="call-1", content=(TextPart(text="4"),)),)),
        ),
        tools=(
            Tool(name="add", description="Add two numbers", parameters=raw({"type": "object"}), strict=True),
        ),
        tool_choice=ToolChoice(mode="auto"),
        parallel_tool_calls=False,
    )


def rich_chat() -> ChatRequest:
    """Return a chat that no wire can say in full; extras are of a wire nobody speaks."""
    extra = {"x_foreign": raw(FOREIGN_WORD)}
    image = MediaSource(data="aGk=", media_type="image/png")
    parts = (
        TextPart(text="Look.", extra=dict(extra), wire=FOREIGN),
        ImagePart(source=image, detail="low"),
        ImagePart(source=MediaSource(url="https://example.com/image.png")),
        AudioPart(source=MediaSource(data="aGk=", media_type="audio/wav"), format="wav"),
        FilePart(source=MediaSource(file_id="file-1"), filename="a.pdf", citations=True),
        OpaquePart(kind="x_foreign", value=raw({"type": FOREIGN_WORD}), wire=FOREIGN),
    )
    thought = ReasoningPart(text="Well.", signature="c2ln", issuer=FOREIGN)
    cited = TextPart(
        text="4", citations=(Citation(url="https://example.com/", title="A page", start=0, end=1),)
    )
    return ChatRequest(
        model="an-alias",
        messages=(
            Message(role="developer", parts=(TextPart(text="Be brief."),), plain=True),
            Message(role="user", parts=parts, name="ann", extra=dict(extra), wire=FOREIGN),
            Message(role="assistant", parts=(thought, cited, RefusalPart(text="No more."))),
            *tool_chat().messages,
        ),
        tools=(
            *tool_chat().tools,
            Tool(name="search", kind=f"{FOREIGN_WORD}-tool", extra=dict(extra), wire=FOREIGN),
        ),
        tool_choice=ToolChoice(mode="tool", name="add"),
        parallel_tool_calls=True,
        response_format=ResponseFormat(
            kind="json_schema", name="sum", schema=raw({"type": "object"}), strict=True, description="A sum"
        ),
        sampling=Sampling(
            temperature=0.5,
            top_p=0.9,
            top_k=40,
            max_tokens=100,
            stop=("END",),
            seed=7,
            frequency_penalty=0.1,
            presence_penalty=0.2,
            n=1,
            logprobs=True,
            top_logprobs=2,
        ),
        reasoning=ReasoningOptions(effort="low", budget=1_024, summary="auto"),
        include_usage=True,
        user="user-1",
        metadata={"team": "a"},
        service_tier="auto",
        extra=dict(extra),
        wire=FOREIGN,
    )


def plain_answer(text: str = "4") -> ChatAnswer:
    """Return the answer that every chat wire can say in full."""
    message = Message(role="assistant", parts=(TextPart(text=text),))
    return ChatAnswer(
        id="answer-1", model="upstream-model", choices=(Choice(message=message),), usage=Usage(12, 3)
    )


def rich_answer() -> ChatAnswer:
    """Return an answer with everything a model may say."""
    parts = (
        ReasoningPart(text="Well.", signature="c2ln", issuer=FOREIGN),
        TextPart(text="4", citations=(Citation(url="https://example.com/", title="A page"),)),
        RefusalPart(text="No more."),
        ToolCallPart(id="call-1", name="add", arguments='{"a": 2'),
        OpaquePart(kind="x_foreign", value=raw({"type": FOREIGN_WORD}), wire=FOREIGN),
    )
    return ChatAnswer(
        id="answer-1",
        model="upstream-model",
        created=1_700_000_000,
        choices=(
            Choice(message=Message(role="assistant", parts=parts), stop_reason="tool_calls"),
            Choice(index=1, message=Message(role="assistant"), stop_reason="other", stop_detail="odd"),
        ),
        usage=Usage(12, 30, cached_input_tokens=4, reasoning_tokens=20, other={"searches": 1}),
        service_tier="auto",
        extra={"x_foreign": raw(FOREIGN_WORD)},
        wire=FOREIGN,
    )


def plain_events(text: str = "4") -> list[StreamEvent]:
    """Return the stream of a plain answer."""
    start = StreamStart(id="answer-1", model="upstream-model", created=1_700_000_000)
    pieces: list[StreamEvent] = [TextDelta(text=piece) for piece in text]
    return [start, *pieces, StreamStop(), StreamUsage(usage=Usage(12, 3))]


def event_streams() -> list[list[StreamEvent]]:
    """Return streams that writers have to survive: whole ones, odd ones, empty ones."""
    start = StreamStart(id="answer-1", model="upstream-model")
    usage = StreamUsage(usage=Usage(12, 30, reasoning_tokens=20))
    tools: list[StreamEvent] = [
        ToolCallDelta(call=0, id="call-1", name="add", part=1),
        ToolCallDelta(call=0, arguments='{"a": 2', part=1),
        ToolCallDelta(call=1, id="call-2", name="add", part=2),
        ToolCallDelta(call=1, arguments='{"a": 3}', part=2),
        ToolCallDelta(call=0, arguments="}", part=1),
    ]
    everything: list[StreamEvent] = [
        start,
        ReasoningDelta(text="Well."),
        ReasoningDelta(signature="c2ln", issuer=FOREIGN),
        TextDelta(text="4", part=1),
        CitationDelta(citation=Citation(url="https://example.com/", title="A page"), part=1),
        LogprobsDelta(logprobs=raw([])),
        OpaqueDelta(wire=FOREIGN, value=raw({"type": FOREIGN_WORD})),
        RefusalDelta(text="No more.", part=2),
        WholePart(part=AudioPart(source=MediaSource(data="aGk="), format="wav", transcript="hi"), index=2),
        WholePart(part=ImagePart(source=MediaSource(data="aGk=", media_type="image/png")), index=2),
        ToolCallDelta(call=0, id="call-1", name="add", part=3),
        StreamStop(stop_reason="tool_calls"),
        usage,
    ]
    two_choices: list[StreamEvent] = [start]
    for piece in ("a", "b"):
        two_choices += [TextDelta(text=piece, choice=choice) for choice in (0, 1)]
    two_choices += [StreamStop(choice=1, stop_reason="length"), StreamStop(), usage]
    odd = 'line\nbreak \u2028 "quoted" \x00 \U0001f600 data: x\r\n\r\nevent: y\n\n'
    return [
        plain_events(),
        [start, TextDelta(text="I add."), *tools, StreamStop(stop_reason="tool_calls"), usage],
        everything,
        two_choices,
        [start, TextDelta(text=odd), StreamStop(), usage],
        [start, StreamStop(), usage],
        [start, usage, TextDelta(text="late"), StreamStop()],
        [start],
        [],
        [TextDelta(text="no start"), StreamStop()],
    ]


def resolves(pointer: str, request: ChatRequest) -> bool:
    """Say whether a JSON pointer leads somewhere in a canonical request."""
    value = msgspec.to_builtins(request, enc_hook=lambda one: msgspec.json.decode(bytes(one)))
    if not pointer.startswith("/"):
        return False
    for step in pointer[1:].split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list | tuple) and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        else:
            return False
    return True
