"""The upstream of this provider: a model that lives in this process and does as it is told."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Iterator, Sequence

from hookway_plugins.provider_echo.script import MAX_WORDS, BadCommand, Script, read_script
from hookway_plugins.provider_echo.wire import (
    MALFORMED,
    EchoAnswer,
    EchoChoice,
    EchoChunk,
    EchoError,
    EchoPart,
    EchoRequest,
    EchoUsage,
    event,
    read_request,
    write,
)
from hookway_sdk import LocalAnswer

_WORD = re.compile(r"\s*\S+(?:\s+\Z)?|\s+")
_PAGE = b"<!doctype html><title>Echo</title><p>A web page where an answer should be\n"


async def respond(body: bytes, stream: bool) -> LocalAnswer:
    """Answer a request of the echo wire, whatever it holds."""
    try:
        request = read_request(body)
        script = read_script(request)
    except (*MALFORMED, BadCommand) as error:
        return failure(400, str(error))
    if script.delay:
        await asyncio.sleep(script.delay)
    if script.status:
        return failure(script.status, "as you asked", script.retry_after)
    if script.html:
        return LocalAnswer(_PAGE, headers=content_type("text/html"))
    answer = perform(script, request, hashlib.sha256(body).hexdigest()[:12])
    if stream:
        paced = pace(events(answer, script), script.slow)
        return LocalAnswer(paced, headers=content_type("text/event-stream"))
    if script.inband:
        answer = EchoAnswer(error=EchoError(script.inband, "as you asked"))
    whole = write(answer)
    return LocalAnswer(
        whole if script.cut < 0 else whole[: len(whole) // 2], headers=content_type("application/json")
    )


def failure(status: int, message: str, retry_after: str = "") -> LocalAnswer:
    """Return an error answer."""
    body = write(EchoAnswer(error=EchoError(status, message)))
    wait = (("retry-after", retry_after),) if retry_after else ()
    return LocalAnswer(body, status, (*content_type("application/json"), *wait))


def content_type(value: str) -> tuple[tuple[str, str], ...]:
    """Return the one header every answer has."""
    return (("content-type", value),)


def perform(script: Script, request: EchoRequest, key: str) -> EchoAnswer:
    """Return the answer that a script asks for.

    Args:
        key: makes the ids of this answer and its tool calls unlike those of others.
    """
    choices = tuple(choice(script, request.max_words, f"{key}-{index}") for index in range(request.choices))
    usage = EchoUsage(
        sum(words(message.parts) for message in request.messages), sum(words(one.parts) for one in choices)
    )
    return EchoAnswer(f"echo-{key}", request.model, choices, usage)


def choice(script: Script, max_words: int, key: str) -> EchoChoice:
    """Return one answer: a thought first, then tool calls, a refusal or words."""
    thought = (EchoPart("thought", script.thought),) if script.thought else ()
    if script.calls:
        calls = (
            EchoPart("call", arguments, f"call-{key}-{index}", name)
            for index, (name, arguments) in enumerate(script.calls)
        )
        return EchoChoice((*thought, *calls), "tool_calls")
    if script.refuse:
        return EchoChoice((*thought, EchoPart("refusal", "I would rather not")), "refusal")
    text = " ".join(["word"] * script.words) if script.words else script.text
    if script.json:
        text = write({"echo": text}).decode()
    pieces = split(text)
    most = min(max_words or MAX_WORDS, MAX_WORDS)
    stop = "length" if len(pieces) > most else "stop"
    return EchoChoice((*thought, EchoPart("text", "".join(pieces[:most]))), stop)


def words(parts: Sequence[EchoPart]) -> int:
    """Count the words of a message."""
    return sum(len(part.text.split()) for part in parts)


def split(text: str) -> list[str]:
    """Return the words of a text with the blanks before them: joined again, they are the text."""
    return _WORD.findall(text)


def events(answer: EchoAnswer, script: Script) -> list[bytes]:
    """Return the events of a streamed answer, up to where the script lets it fail."""
    written = list(whole_stream(answer))
    if script.inband:
        error = EchoChunk(error=EchoError(script.inband, "as you asked"))
        return [*written[: script.inband_after], event("error", error)]
    return written if script.cut < 0 else written[: min(script.cut, len(written) - 1)]


def whole_stream(answer: EchoAnswer) -> Iterator[bytes]:
    """Yield the events of a stream that succeeds, a word at a time."""
    yield event("start", EchoChunk(answer.id, answer.model))
    for index, one in enumerate(answer.choices):
        for at, part in enumerate(one.parts):
            head = EchoPart(part.kind, id=part.id, name=part.name)
            pieces = [head] if part.kind == "call" else []
            pieces += (EchoPart(part.kind, word) for word in split(part.text))
            for piece in pieces:
                yield event("piece", EchoChunk(choice=index, part=at, piece=piece))
        yield event("stop", EchoChunk(choice=index, stop=one.stop))
    yield event("end", EchoChunk(usage=answer.usage))


async def pace(written: Sequence[bytes], slow: float) -> AsyncIterator[bytes]:
    """Hand out events one by one; even without pauses others get their turn in between."""
    for index, one in enumerate(written):
        if index:
            await asyncio.sleep(slow)
        yield one
