"""The law of translation for OpenAI's wire: what comes out is what went in, less what is listed as lost.

``decode(encode(x)) == project(x)`` and ``dropped`` are the JSON pointers of x that the projection lacks. The
projection below says, in canonical words alone, what a request is after it went through OpenAI's wire.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from hookway_plugins.dialect_openai.request_view import parse_chat
from hookway_plugins.provider_openai import OpenAIProvider
from hookway_sdk import (
    AudioPart,
    ChatRequest,
    Citation,
    Deployment,
    FilePart,
    ImagePart,
    MediaSource,
    Message,
    NoSettings,
    OpaquePart,
    Part,
    ProviderKey,
    ReasoningOptions,
    ReasoningPart,
    RefusalPart,
    ResponseFormat,
    Sampling,
    Secret,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
    raw,
)

WIRE = "openai.chat"
MODEL = "upstream-model"
KEY = ProviderKey("k", "key", "acme", "openai", "http://127.0.0.1:9/v1", Secret("sk"))
DEPLOYMENT = Deployment("d", "fast", MODEL, "acme", KEY)
provider = OpenAIProvider("provider_openai", NoSettings(), None)  # type: ignore[arg-type]  # asks for no service
replaced = msgspec.structs.replace


class Projection:
    """What is left of a request, and the pointers of what is not."""

    def __init__(self, request: ChatRequest) -> None:
        self.lost: list[str] = []
        self.own = request.wire == WIRE
        self.request = self._request(request)

    def _lose(self, pointer: str, when: object = True) -> None:
        if when:
            self.lost.append(pointer)

    def _extra(self, thing: Any, at: str, *, always_lost: bool = False) -> Any:
        """Return the thing without members of another wire."""
        if thing.wire == WIRE and not always_lost:
            return replaced(thing, wire=WIRE if thing.extra else "")
        self.lost.extend(f"{at}/extra/{name}" for name in thing.extra)
        return replaced(thing, extra={}, wire="")

    def _request(self, request: ChatRequest) -> ChatRequest:
        if not self.own:
            self.lost.extend(f"/extra/{name}" for name in request.extra)
        messages = [one for i, message in enumerate(request.messages) for one in self._message(message, i)]
        tools = [self._tool(tool, f"/tools/{i}") for i, tool in enumerate(request.tools)]
        self._lose("/sampling/top_k", request.sampling.top_k is not None)
        tier = request.service_tier
        if not self.own and tier not in ("", "auto", "default", "flex", "scale", "priority", "fast"):
            self._lose("/service_tier")
            tier = ""
        wanted = request.response_format
        if wanted is not None and wanted.kind == "json_schema":
            wanted = replaced(wanted, name=wanted.name or "answer")
        return replaced(
            request,
            model=MODEL,
            messages=tuple(messages),
            tools=tuple(tool for tool in tools if tool is not None),
            response_format=wanted,
            sampling=replaced(request.sampling, top_k=None),
            reasoning=self._reasoning(request.reasoning),
            service_tier=tier,
            extra=request.extra if self.own else {},
            wire=WIRE,
        )

    def _reasoning(self, options: ReasoningOptions | None) -> ReasoningOptions | None:
        if options is None:
            return None
        self._lose("/reasoning/budget", options.budget is not None)
        self._lose("/reasoning/summary", options.summary)
        effort, budget = options.effort, options.budget or 0
        if not effort and budget:
            effort = "high" if budget >= 4096 else "medium" if budget >= 2048 else ""
            effort = effort or ("low" if budget >= 1024 else "minimal")
        return ReasoningOptions(effort=effort) if effort else None

    def _tool(self, tool: Tool, at: str) -> Tool | None:
        if tool.kind == "function":
            kept: Tool = self._extra(tool, at)
            return kept
        if tool.wire == WIRE:
            return tool
        self._lose(at)
        return None

    def _message(self, message: Message, index: int) -> list[Message]:
        at = f"/messages/{index}"
        message = self._extra(message, at)
        results: list[Message] = []
        content: list[Part] = []
        thoughts = ""
        audio: list[Part] = []
        refusals: list[tuple[RefusalPart, str]] = []
        calls: list[Part] = []
        for i, part in enumerate(message.parts):
            where = f"{at}/parts/{i}"
            if isinstance(part, ToolResultPart):
                results.append(self._result(part, message.plain, where))
            elif message.role == "assistant" and isinstance(part, ReasoningPart) and part.wire == WIRE:
                thoughts += self._extra(part, where, always_lost=True).text
            elif message.role == "assistant" and isinstance(part, ToolCallPart) and part.kind != "mcp":
                calls.append(self._extra(part, where))
            elif message.role == "assistant" and isinstance(part, AudioPart) and part.source.file_id:
                if audio:
                    self._lose(where)
                else:
                    self._lose(f"{where}/transcript", part.transcript)
                    kept = self._extra(part, where, always_lost=True)
                    audio.append(replaced(kept, transcript="", format=""))
            elif message.role == "assistant" and isinstance(part, RefusalPart):
                refusals.append((part, where))
                content.append(part)
            else:
                content.extend(self._content(part, message.role, where))
        if message.role == "tool" or (results and message.role != "assistant" and not content):
            first = replaced(results[0], name=message.name, extra=message.extra, wire=message.wire)
            return [first, *results[1:]]
        if message.role != "assistant":
            parts, plain = self._joined(content, message.plain, "\n")
            return [*results, replaced(message, parts=parts, plain=plain)]
        said = [part for part in content if not isinstance(part, RefusalPart)]
        parts, plain = self._joined(said, message.plain, "")
        if plain:
            for refusal, where in refusals:
                self._extra(refusal, where, always_lost=True)
            if refusals:
                parts = (*parts, RefusalPart(text="".join(one.text for one, _ in refusals)))
            if not said and (calls or refusals or audio):
                parts = parts[1:]
        else:
            places = iter(refusals)
            parts = tuple(
                self._extra(*next(places)) if isinstance(part, RefusalPart) else part for part in content
            )
        thought = [ReasoningPart(text=thoughts, wire=WIRE)] if thoughts else []
        return [*results, replaced(message, parts=(*thought, *parts, *audio, *calls), plain=plain)]

    def _result(self, part: ToolResultPart, plain: bool, where: str) -> Message:
        self._extra(part, where, always_lost=True)
        self._lose(f"{where}/is_error", part.is_error)
        kept: list[Part] = []
        for i, one in enumerate(part.content):
            kept.extend(self._content(one, "result", f"{where}/content/{i}"))
        content, plain = self._joined(kept, plain, "\n")
        parts = (ToolResultPart(call_id=part.call_id, content=content),)
        return Message(role="tool", parts=parts, plain=plain)

    def _joined(self, parts: list[Part], plain: bool, joint: str) -> tuple[tuple[Part, ...], bool]:
        """Text alone becomes a string, unless the request is OpenAI's own and had a list."""
        if not (self.own and not plain) and all(type(one) is TextPart and not one.extra for one in parts):
            return (TextPart(text=joint.join(one.text for one in parts)),), True  # type: ignore[attr-defined]
        return tuple(parts), False

    def _content(self, part: Part, role: str, where: str) -> list[Part]:
        """Return what a message of a role may say of a part."""
        if isinstance(part, OpaquePart):
            kept = [part] if part.wire == WIRE else []
        elif isinstance(part, TextPart):
            self._lose(f"{where}/citations", part.citations)
            return [self._extra(replaced(part, citations=()), where)]
        else:
            kept = self._media(part, role, where)
        self._lose(where, not kept)
        return kept

    def _media(self, part: Part, role: str, where: str) -> list[Part]:
        if isinstance(part, ImagePart) and role in ("user", "result") and not part.source.file_id:
            source = part.source
            if source.data:
                source = replaced(source, media_type=source.media_type or "application/octet-stream")
            return [self._extra(replaced(part, source=source), where)]
        if isinstance(part, AudioPart) and role == "user" and part.source.data:
            self._lose(f"{where}/transcript", part.transcript)
            form = part.format or {"audio/mpeg": "mp3", "audio/wav": "wav"}[part.source.media_type]
            types = {"wav": "audio/wav", "mp3": "audio/mpeg"}
            source = MediaSource(data=part.source.data, media_type=types.get(form, f"audio/{form}"))
            return [self._extra(replaced(part, source=source, format=form, transcript=""), where)]
        if isinstance(part, FilePart) and role in ("user", "result"):
            return self._file(part, where)
        return []

    def _file(self, part: FilePart, where: str) -> list[Part]:
        if not part.text and part.source.url:
            return []
        self._lose(f"{where}/citations", part.citations)
        if not part.text:
            return [self._extra(replaced(part, citations=False), where)]
        self._lose(f"{where}/filename", part.filename)
        kept = self._extra(part, where)
        return [TextPart(text=part.text, extra=kept.extra, wire=kept.wire)]


# ── any canonical request ───────────────────────────────────────────────────────────────────

words = st.text(max_size=8)
some = st.text(min_size=1, max_size=8)
flags = st.booleans()
wires = st.sampled_from(["", WIRE, "anthropic.messages"])
extras = st.dictionaries(st.sampled_from(["x_note", "cache_control"]), st.integers().map(raw), max_size=2)
base64 = st.text("ABCDabcd0189+/=", min_size=1, max_size=12)
schemas = st.dictionaries(some, st.integers() | words, max_size=2).map(raw)
urls = words.map(lambda path: f"https://h.test/{path}")


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def media(*types: str) -> st.SearchStrategy[MediaSource]:
    data = st.builds(MediaSource, data=base64, media_type=st.sampled_from(types))
    return data | st.builds(MediaSource, url=urls) | st.builds(MediaSource, file_id=some)


def part(made: type[Part], /, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(made, extra=extras, wire=wires, **fields)


citations = st.lists(st.builds(Citation, url=urls), max_size=1).map(tuple)
texts = part(TextPart, text=words, citations=citations)
images = part(ImagePart, source=media("", "image/png"), detail=st.sampled_from(["", "low"]))
sounds = part(
    AudioPart,
    source=media("audio/wav", "audio/mpeg"),
    format=st.sampled_from(["", "wav", "mp3", "flac"]),
    transcript=words,
)
files = part(FilePart, source=media("", "application/pdf"), filename=words, text=words, citations=flags)
opaque = st.builds(
    OpaquePart, kind=st.just("video_url"), value=st.just(raw({"type": "video_url", "u": 1})), wire=wires
)
contents = texts | texts | images | sounds | files | opaque
results = part(
    ToolResultPart, call_id=some, content=st.lists(contents, max_size=3).map(tuple), is_error=flags
)
calls = part(
    ToolCallPart,
    id=some,
    name=words,
    arguments=words,
    kind=st.sampled_from(["function", "function", "custom", "mcp"]),
)
thoughts = part(ReasoningPart, text=some)
refusals = part(RefusalPart, text=some)


def message(role: str, *parts: st.SearchStrategy[Any], least: int = 0) -> st.SearchStrategy[Message]:
    return st.builds(
        Message,
        role=st.just(role),
        parts=st.lists(st.one_of(*parts), min_size=least, max_size=4).map(tuple),
        name=words,
        plain=flags,
        extra=extras,
        wire=wires,
    )


messages = st.one_of(
    message("system", contents),
    message("developer", contents),
    message("user", contents, contents, results, thoughts),
    message("assistant", texts, texts, calls, thoughts, refusals, sounds, images, opaque),
    message("tool", results, least=1),
)
tools = st.builds(
    Tool,
    name=words,
    description=words,
    parameters=maybe(schemas),
    strict=maybe(flags),
    extra=extras,
    wire=wires,
) | st.builds(
    Tool, name=some, kind=st.sampled_from(["custom", "web_search"]), wire=st.sampled_from([WIRE, "other"])
)
numbers = st.floats(-2, 2)
choices = st.builds(ToolChoice, mode=st.sampled_from(["auto", "none", "required"])) | st.builds(
    ToolChoice, mode=st.just("tool"), name=some
)
formats = st.builds(ResponseFormat, kind=st.sampled_from(["text", "json_object"])) | st.builds(
    ResponseFormat,
    kind=st.just("json_schema"),
    name=words,
    schema=maybe(schemas),
    strict=maybe(flags),
    description=words,
)
counts = st.integers(0, 9000)
samplings = st.builds(
    Sampling,
    temperature=maybe(numbers),
    top_p=maybe(numbers),
    top_k=maybe(counts),
    max_tokens=maybe(counts),
    stop=st.lists(words, max_size=2).map(tuple),
    seed=maybe(st.integers()),
    frequency_penalty=maybe(numbers),
    presence_penalty=maybe(numbers),
    n=maybe(counts),
    logprobs=maybe(flags),
    top_logprobs=maybe(counts),
)
reasonings = st.builds(
    ReasoningOptions,
    effort=st.sampled_from(["", "low"]),
    budget=maybe(counts),
    summary=st.sampled_from(["", "auto"]),
)


@st.composite
def requests(draw: st.DrawFn) -> ChatRequest:
    stream = draw(flags)
    return ChatRequest(
        model="fast",
        messages=tuple(draw(st.lists(messages, min_size=1, max_size=3))),
        tools=tuple(draw(st.lists(tools, max_size=2))),
        tool_choice=draw(maybe(choices)),
        parallel_tool_calls=draw(maybe(flags)),
        response_format=draw(maybe(formats)),
        sampling=draw(samplings),
        reasoning=draw(maybe(reasonings)),
        stream=stream,
        include_usage=stream,
        user=draw(words),
        metadata=draw(st.dictionaries(words, words, max_size=1)),
        service_tier=draw(st.sampled_from(["", "auto", "standard_only"])),
        extra=draw(extras),
        wire=draw(wires),
    )


@settings(max_examples=120, deadline=None)
@given(requests())
def test_what_comes_out_is_what_went_in_less_what_is_listed_as_lost(request: ChatRequest) -> None:
    encoded = provider.encode(request, DEPLOYMENT)
    expected = Projection(request)
    assert sorted(encoded.dropped) == sorted(expected.lost)
    assert parse_chat(encoded.body).canonical() == expected.request


@settings(max_examples=50, deadline=None)
@given(requests())
def test_what_went_through_once_goes_through_again_unchanged(request: ChatRequest) -> None:
    once = provider.encode(request, DEPLOYMENT).body
    again = provider.encode(parse_chat(once).canonical(), DEPLOYMENT)
    assert again.dropped == ()
    assert json.loads(again.body) == json.loads(once)
