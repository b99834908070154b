"""Between the canonical form and the echo wire, and the list of what the wire cannot say."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from hookway_plugins.provider_echo.wire import (
    EchoAnswer,
    EchoMessage,
    EchoPart,
    EchoRequest,
    EchoTool,
    EchoUsage,
    write,
)
from hookway_sdk import (
    ChatAnswer,
    ChatRequest,
    Choice,
    Encoded,
    Message,
    Part,
    ReasoningPart,
    RefusalPart,
    StopReason,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    Usage,
)

STOPS: dict[str, StopReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "refusal": "refusal",
}

# The fields that reach the wire, by type; any other is dropped, and listed where it holds something.
# `wire` goes with `extra`, and a text that was a `plain` string is no other text to this wire.
REQUEST = frozenset(
    "model messages tools tool_choice response_format sampling stream include_usage wire".split()
)
MESSAGE = frozenset("role parts plain wire".split())
TOOL = frozenset("name description parameters wire".split())
SAMPLING = frozenset("n max_tokens".split())
RESPONSE_FORMAT = frozenset(["kind"])
PARTS: dict[type[Part], frozenset[str]] = {
    TextPart: frozenset("text wire".split()),
    ReasoningPart: frozenset("text wire".split()),
    RefusalPart: frozenset("text wire".split()),
    ToolCallPart: frozenset("id name arguments wire".split()),
    ToolResultPart: frozenset("call_id content wire".split()),
}


def encode_request(request: ChatRequest, model: str) -> Encoded:
    """Write a canonical request, and list what got lost."""
    choice, form, sampling = request.tool_choice, request.response_format, request.sampling
    must_call = choice.name if choice is not None else ""
    if choice is not None and choice.mode == "required" and request.tools:
        must_call = request.tools[0].name
    said = EchoRequest(
        model=model,
        messages=tuple(
            EchoMessage(message.role, tuple(filter(None, map(part_said, message.parts))))
            for message in request.messages
        ),
        tools=tuple(EchoTool(tool.name, tool.description, tool.parameters) for tool in request.tools),
        must_call=must_call,
        json=form is not None and form.kind != "text",
        choices=sampling.n or 1,
        max_words=sampling.max_tokens or 0,
        stream=request.stream,
    )
    return Encoded(body=write(said), dropped=tuple(dropped(request)))


def part_said(part: Part) -> EchoPart | None:
    """Write one part, ``None`` where the wire has no word for it."""
    match part:
        case TextPart():
            return EchoPart("text", part.text)
        case ReasoningPart():
            return EchoPart("thought", part.text)
        case RefusalPart():
            return EchoPart("refusal", part.text)
        case ToolCallPart():
            return EchoPart("call", part.arguments, part.id, part.name)
        case ToolResultPart():
            return EchoPart("result", "".join(text_of(one) for one in part.content), part.call_id)
    return None


def text_of(part: Part) -> str:
    """Return the text of a text part, ``""`` of any other."""
    return part.text if isinstance(part, TextPart) else ""


def dropped(request: ChatRequest) -> Iterator[str]:
    """Yield the JSON pointer of everything in a request that the wire cannot say."""
    for at, message in enumerate(request.messages):
        yield from unsaid(message, MESSAGE, f"/messages/{at}")
        for index, part in enumerate(message.parts):
            yield from unsaid_of_part(part, f"/messages/{at}/parts/{index}")
    for at, tool in enumerate(request.tools):
        yield from unsaid(tool, TOOL, f"/tools/{at}")
    if request.response_format is not None:
        yield from unsaid(request.response_format, RESPONSE_FORMAT, "/response_format")
    yield from unsaid(request.sampling, SAMPLING, "/sampling")
    yield from unsaid(request, REQUEST, "")


def unsaid_of_part(part: Part, pointer: str) -> Iterator[str]:
    """Yield the pointer of a part, or of what is lost of it."""
    if type(part) not in PARTS:
        yield pointer
        return
    yield from unsaid(part, PARTS[type(part)], pointer)
    if isinstance(part, ToolResultPart):
        for index, inner in enumerate(part.content):
            if not isinstance(inner, TextPart):
                yield f"{pointer}/content/{index}"


def unsaid(value: msgspec.Struct, said: frozenset[str], pointer: str) -> Iterator[str]:
    """Yield the pointer of each field that is not said and holds something else than its default."""
    for field in msgspec.structs.fields(value):
        default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        if field.name not in said and getattr(value, field.name) != default:
            yield f"{pointer}/{field.name}"


def decode_answer(answer: EchoAnswer) -> ChatAnswer:
    """Read a finished answer."""
    return ChatAnswer(
        id=answer.id,
        model=answer.model,
        choices=tuple(
            Choice(
                index=index,
                message=Message(role="assistant", parts=tuple(map(part_read, choice.parts))),
                stop_reason=STOPS.get(choice.stop, "other"),
            )
            for index, choice in enumerate(answer.choices)
        ),
        usage=usage_read(answer.usage),
    )


def part_read(part: EchoPart) -> Part:
    """Read one part of an answer."""
    match part.kind:
        case "thought":
            return ReasoningPart(text=part.text)
        case "refusal":
            return RefusalPart(text=part.text)
        case "call":
            return ToolCallPart(id=part.id, name=part.name, arguments=part.text)
    return TextPart(text=part.text)


def usage_read(usage: EchoUsage | None) -> Usage:
    """Read the counts, as if a word were a token."""
    return Usage() if usage is None else Usage(input_tokens=usage.input, output_tokens=usage.output)
