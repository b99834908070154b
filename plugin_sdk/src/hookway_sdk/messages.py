"""The canonical form of a chat: what two wires share when they differ.

A dialect decodes its client's bytes into :class:`ChatRequest`; a provider encodes that for its
upstream, decodes the upstream's bytes into :class:`ChatAnswer` or stream events, and the dialect
encodes those for its client. Requests whose client and upstream speak one wire never come here:
they are relayed byte for byte.

The set of parts is open. What the canonical form has no word for travels as :class:`OpaquePart`
(a part) or in ``extra`` (a member), tagged with the wire it came from; a provider of the same wire
puts it back, any other drops it *and lists it* (:class:`Encoded.dropped`).

Law, property-tested for every wire: ``decode(encode(x)) == project(x, capabilities)``, and
``dropped`` are the JSON pointers of x that the projection lacks.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from hookway_sdk.usage import Usage

Extra: TypeAlias = "dict[str, msgspec.Raw]"
"""Members that the canonical form has no field for, unparsed."""

Role: TypeAlias = Literal["system", "developer", "user", "assistant", "tool"]

StopReason: TypeAlias = Literal[
    "stop", "length", "tool_calls", "content_filter", "refusal", "stop_sequence", "pause", "other"
]


class Part(msgspec.Struct, tag_field="part", kw_only=True):
    """A piece of a message's content.

    Args:
        extra: members of the part that have no field here (``cache_control``, a vendor's flag).
        wire: the wire that ``extra`` belongs to; another wire's provider drops and lists it.
    """

    extra: Extra = msgspec.field(default_factory=dict)
    wire: str = ""


class Citation(msgspec.Struct, kw_only=True):
    """Where a stretch of text comes from.

    Args:
        url: address of the source, or ``""``.
        title: title of the source.
        quote: the cited text.
        start: first character of the cited stretch in the part's text, -1 if unknown.
        end: one past its last character, -1 if unknown.
        document: index of the document among the request's documents, -1 if unknown.
        extra: the wire's own members, unparsed.
        wire: the wire that ``extra`` belongs to.
    """

    url: str = ""
    title: str = ""
    quote: str = ""
    start: int = -1
    end: int = -1
    document: int = -1
    extra: Extra = msgspec.field(default_factory=dict)
    wire: str = ""


class TextPart(Part, tag="text"):
    """Plain text."""

    text: str
    citations: tuple[Citation, ...] = ()


class MediaSource(msgspec.Struct, kw_only=True):
    """Where the bytes of an image, a sound or a file are: exactly one of url, data and file_id.

    Args:
        url: an address the provider fetches (never the gateway).
        data: base64 text.
        media_type: MIME type of ``data``.
        file_id: the provider's own id of an uploaded file.
    """

    url: str = ""
    data: str = ""
    media_type: str = ""
    file_id: str = ""


class ImagePart(Part, tag="image"):
    """An image; ``detail`` is the fidelity asked for (``low``, ``high``, ``auto``)."""

    source: MediaSource
    detail: str = ""


class AudioPart(Part, tag="audio"):
    """A sound; ``format`` as the wires name it (``wav``, ``mp3``); ``transcript`` of a model's own speech."""

    source: MediaSource
    format: str = ""
    transcript: str = ""


class FilePart(Part, tag="file"):
    """A document to read (PDF, plain text)."""

    source: MediaSource
    filename: str = ""
    text: str = ""
    citations: bool = False


class ToolCallPart(Part, tag="tool_call"):
    """The model calls a tool.

    Args:
        id: the call's id, which the result repeats.
        name: name of the tool.
        arguments: JSON text of the arguments, exactly as the model wrote it (it may be broken JSON).
        kind: ``function``, or a wire's own kind (``custom``: arguments are free text).
    """

    id: str
    name: str
    arguments: str = ""
    kind: str = "function"


class ToolResultPart(Part, tag="tool_result"):
    """What a tool answered; ``content`` may hold text and images."""

    call_id: str
    content: tuple[Part, ...] = ()
    is_error: bool = False


class ReasoningPart(Part, tag="reasoning"):
    """The model's thinking.

    Args:
        text: what may be read of it.
        signature: the issuer's proof, needed to send it back.
        redacted: the issuer's opaque data where the text is withheld.
        issuer: who issued signature and redacted data (``anthropic``); they are stripped for others.
        id: the item's id on wires that have one.
    """

    text: str = ""
    signature: str = ""
    redacted: str = ""
    issuer: str = ""
    id: str = ""


class RefusalPart(Part, tag="refusal"):
    """The model declines, in words."""

    text: str


class OpaquePart(Part, tag="opaque"):
    """A part that only its own wire understands (``kind`` is that wire's type word)."""

    kind: str
    value: msgspec.Raw


class Message(msgspec.Struct, kw_only=True):
    """One turn, or the part of a turn that one role speaks.

    Args:
        role: who speaks. A ``tool`` message holds tool results.
        parts: the content in order.
        name: participant's name, where the wire has one.
        plain: the content was a plain string rather than a list; a wire that knows both keeps it so.
        extra: members without a field here.
        wire: the wire that ``extra`` belongs to.
    """

    role: Role
    parts: tuple[Part, ...] = ()
    name: str = ""
    plain: bool = False
    extra: Extra = msgspec.field(default_factory=dict)
    wire: str = ""


class Tool(msgspec.Struct, kw_only=True):
    """A tool the model may call.

    Args:
        name: its name.
        description: what it does.
        parameters: JSON Schema of its arguments, unparsed; ``None`` where there is none.
        strict: arguments must satisfy the schema.
        kind: ``function``, ``custom``, or a provider's own server tool (``web_search``).
        extra: members without a field here (``cache_control``, a server tool's settings).
        wire: the wire that ``extra`` and a kind other than ``function`` belong to.
    """

    name: str
    description: str = ""
    parameters: msgspec.Raw | None = None
    strict: bool | None = None
    kind: str = "function"
    extra: Extra = msgspec.field(default_factory=dict)
    wire: str = ""


class ToolChoice(msgspec.Struct, kw_only=True):
    """Whether the model calls tools: ``auto``, ``none``, ``required``, or ``tool`` by ``name``."""

    mode: Literal["auto", "none", "required", "tool"]
    name: str = ""


class ResponseFormat(msgspec.Struct, kw_only=True):
    """The form the answer must have: ``text``, ``json_object``, or ``json_schema``.

    Args:
        name: name of the schema.
        schema: the JSON Schema, unparsed.
        strict: the answer must satisfy it.
        description: what it is for.
    """

    kind: Literal["text", "json_object", "json_schema"]
    name: str = ""
    schema: msgspec.Raw | None = None
    strict: bool | None = None
    description: str = ""


class Sampling(msgspec.Struct, kw_only=True):
    """How tokens are chosen and how many; ``None`` is the provider's default."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


class ReasoningOptions(msgspec.Struct, kw_only=True):
    """How much the model may think: an ``effort`` word, or a ``budget`` in tokens (0 turns it off)."""

    effort: str = ""
    budget: int | None = None
    summary: str = ""


class ChatRequest(msgspec.Struct, kw_only=True):
    """A chat to be continued.

    Args:
        model: the name the client asked for.
        messages: the turns; system text is a message with role ``system``.
        stream: the client wants the answer as it is written.
        include_usage: the client asked for usage inside its stream.
        user: end user's id, for the provider's abuse monitoring.
        metadata: the caller's own labels.
        service_tier: the provider's tier word.
        extra: top-level members without a field here.
        wire: the wire that ``extra`` belongs to.
    """

    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    sampling: Sampling = msgspec.field(default_factory=Sampling)
    reasoning: ReasoningOptions | None = None
    stream: bool = False
    include_usage: bool = False
    user: str = ""
    metadata: dict[str, str] = msgspec.field(default_factory=dict)
    service_tier: str = ""
    extra: Extra = msgspec.field(default_factory=dict)
    wire: str = ""


class Choice(msgspec.Struct, kw_only=True):
    """One of the answers to a chat.

    Args:
        stop_reason: why the model stopped; ``stop_detail`` is the wire's own word where that says more.
        stop_sequence: the sequence that stopped it.
        logprobs: the wire's own log probabilities, unparsed.
    """

    index: int = 0
    message: Message
    stop_reason: StopReason = "stop"
    stop_detail: str = ""
    stop_sequence: str = ""
    logprobs: msgspec.Raw | None = None
    extra: Extra = msgspec.field(default_factory=dict)
    wire: str = ""


class ChatAnswer(msgspec.Struct, kw_only=True):
    """A finished answer to a chat.

    Args:
        id: the provider's id of the answer.
        model: the provider's name of the model; the dialect shows the client its own name instead.
        created: Unix seconds, 0 if the provider does not say.
    """

    id: str = ""
    model: str = ""
    created: int = 0
    choices: tuple[Choice, ...] = ()
    usage: Usage = msgspec.field(default_factory=Usage)
    service_tier: str = ""
    extra: Extra = msgspec.field(default_factory=dict)
    wire: str = ""


class Encoded(msgspec.Struct, kw_only=True):
    """A request in an upstream's bytes, and what those bytes could not say.

    Args:
        body: what is sent.
        dropped: JSON pointers into the canonical request (``/sampling/top_k``) that the wire lacks.
        headers: headers this request needs beyond the target's own.
    """

    body: bytes
    dropped: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()


# ── the events of a streamed answer ─────────────────────────────────────────────────────────


class StreamStart(msgspec.Struct, kw_only=True, gc=False):
    """The provider has begun; comes once, first."""

    id: str = ""
    model: str = ""
    created: int = 0
    service_tier: str = ""


class TextDelta(msgspec.Struct, kw_only=True, gc=False):
    """More text. ``part`` counts the choice's parts, so that wires with blocks can open and close them."""

    text: str
    choice: int = 0
    part: int = 0


class ReasoningDelta(msgspec.Struct, kw_only=True, gc=False):
    """More thinking, or the signature or redacted data that ends it."""

    text: str = ""
    signature: str = ""
    redacted: str = ""
    issuer: str = ""
    choice: int = 0
    part: int = 0


class RefusalDelta(msgspec.Struct, kw_only=True, gc=False):
    """More of the words in which the model declines."""

    text: str
    choice: int = 0
    part: int = 0


class ToolCallDelta(msgspec.Struct, kw_only=True, gc=False):
    """A tool call begins (``id`` and ``name`` set) or its arguments go on; ``call`` counts calls."""

    call: int
    id: str = ""
    name: str = ""
    arguments: str = ""
    kind: str = "function"
    choice: int = 0
    part: int = 0


class CitationDelta(msgspec.Struct, kw_only=True):
    """A citation of the text part that is being written."""

    citation: Citation
    choice: int = 0
    part: int = 0


class LogprobsDelta(msgspec.Struct, kw_only=True):
    """The wire's own log probabilities of what was just written, unparsed."""

    logprobs: msgspec.Raw
    choice: int = 0


class OpaqueDelta(msgspec.Struct, kw_only=True):
    """Something only its own wire understands; others drop it."""

    wire: str
    value: msgspec.Raw
    choice: int = 0


class WholePart(msgspec.Struct, kw_only=True):
    """A part in one piece, such as the audio of an answer that was held back until it was judged."""

    part: AudioPart | ImagePart | FilePart
    choice: int = 0
    index: int = 0


class StreamUsage(msgspec.Struct, kw_only=True):
    """Counts so far; the largest of each counts in the end."""

    usage: Usage


class StreamStop(msgspec.Struct, kw_only=True, gc=False):
    """One choice is complete."""

    choice: int = 0
    stop_reason: StopReason = "stop"
    stop_detail: str = ""
    stop_sequence: str = ""


StreamEvent: TypeAlias = (
    StreamStart
    | TextDelta
    | ReasoningDelta
    | RefusalDelta
    | ToolCallDelta
    | CitationDelta
    | LogprobsDelta
    | OpaqueDelta
    | WholePart
    | StreamUsage
    | StreamStop
)
