"""The wire ``echo.v1``, as types: one JSON object each way, server-sent events for a stream.

::

    {"model": "small", "messages": [{"role": "user", "parts": [{"kind": "text", "text": "hi"}]}]}

    {"id": "echo-5e2f", "model": "small", "usage": {"input": 1, "output": 1},
     "choices": [{"parts": [{"kind": "text", "text": "hi"}], "stop": "stop"}]}

A stream is ``event: start``, then ``piece`` for every word and ``stop`` for every choice, and at last
``end`` with the usage; whatever comes without ``end`` was cut. A failure is ``{"error": {…}}``, as the body
of an error status, as the body of a 200, or as ``event: error``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

Count = Annotated[int, msgspec.Meta(ge=0)]
PartKind = Literal["text", "thought", "refusal", "call", "result"]


class EchoPart(msgspec.Struct, omit_defaults=True):
    """A piece of a message.

    Args:
        text: the words; for a call its arguments as JSON text, for a result what the tool said.
        id: id of the call, or of the call that a result answers.
        name: name of the tool that is called.
    """

    kind: PartKind
    text: str = ""
    id: str = ""
    name: str = ""


class EchoMessage(msgspec.Struct):
    """One turn of the chat."""

    role: str
    parts: tuple[EchoPart, ...]


class EchoTool(msgspec.Struct, omit_defaults=True):
    """A tool that may be called; ``parameters`` is the JSON Schema of its arguments."""

    name: str
    description: str = ""
    parameters: Any = None


class EchoRequest(msgspec.Struct, omit_defaults=True):
    """A chat to answer.

    Args:
        must_call: name of the tool that has to be called.
        json: the answer has to be a JSON object.
        choices: how many answers are wanted.
        max_words: after how many words an answer is cut off, 0 for never.
    """

    model: str
    messages: tuple[EchoMessage, ...]
    tools: tuple[EchoTool, ...] = ()
    must_call: str = ""
    json: bool = False
    choices: int = 1
    max_words: int = 0
    stream: bool = False


class EchoUsage(msgspec.Struct):
    """Words read and written."""

    input: Count
    output: Count


class EchoError(msgspec.Struct):
    """Why there is no answer."""

    status: int
    message: str


class EchoChoice(msgspec.Struct):
    """One of the answers; ``stop`` is ``stop``, ``length``, ``tool_calls`` or ``refusal``."""

    parts: tuple[EchoPart, ...]
    stop: str


class EchoAnswer(msgspec.Struct, omit_defaults=True):
    """A finished answer, or the error in its place."""

    id: str = ""
    model: str = ""
    choices: tuple[EchoChoice, ...] = ()
    usage: EchoUsage | None = None
    error: EchoError | None = None


class EchoChunk(msgspec.Struct, omit_defaults=True):
    """The data of one event of a stream; which members it has depends on the event.

    Args:
        part: which of the choice's parts ``piece`` goes on with.
    """

    id: str = ""
    model: str = ""
    choice: int = 0
    part: int = 0
    piece: EchoPart | None = None
    stop: str = ""
    usage: EchoUsage | None = None
    error: EchoError | None = None


MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What the readers below raise: no JSON of that type, no UTF-8, nested too deeply."""

write = msgspec.json.Encoder().encode
read_request = msgspec.json.Decoder(EchoRequest).decode
read_answer = msgspec.json.Decoder(EchoAnswer).decode
read_chunk = msgspec.json.Decoder(EchoChunk).decode


def event(name: str, chunk: EchoChunk) -> bytes:
    """Return one server-sent event."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), write(chunk))
