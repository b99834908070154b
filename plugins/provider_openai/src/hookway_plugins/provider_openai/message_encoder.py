"""From canonical messages to OpenAI's: one message may become several, since each tool result is its own.

Source: https://platform.openai.com/docs/api-reference/chat/create (``messages``)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hookway_plugins.provider_openai.content_encoder import bare_text, encode_content_part
from hookway_plugins.provider_openai.dropped import Dropped, merged
from hookway_plugins.provider_openai.wire import WIRE
from hookway_sdk import (
    AudioPart,
    FilePart,
    ImagePart,
    InvalidRequest,
    Message,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

_TEXT: tuple[type[Part], ...] = (TextPart, OpaquePart)
_MEDIA: tuple[type[Part], ...] = (*_TEXT, ImagePart, AudioPart, FilePart)
_RESULT: tuple[type[Part], ...] = (TextPart, ImagePart, FilePart, OpaquePart)
_CONTENT: dict[str, tuple[type[Part], ...]] = {
    "system": _TEXT,
    "developer": _TEXT,
    "user": _MEDIA,
    "assistant": (*_TEXT, RefusalPart),
    "tool": (),
}


class MessageEncoder:
    """Encodes the messages of one request.

    Args:
        dropped: where to note what is not sent.
        keep_lists: the request was OpenAI's own, so that text in a list of parts stays one. Otherwise text
            is joined to a string, which every compatible server understands in every role.
    """

    def __init__(self, dropped: Dropped, *, keep_lists: bool) -> None:
        self._dropped = dropped
        self._keep_lists = keep_lists

    def messages(self, messages: Sequence[Message]) -> list[dict[str, Any]]:
        """Return the messages in OpenAI's words.

        Raises:
            InvalidRequest: a tool call or a tool result has no id.
        """
        built: list[dict[str, Any]] = []
        for index, message in enumerate(messages):
            built.extend(self._message(message, f"/messages/{index}"))
        return built

    def _message(self, message: Message, pointer: str) -> list[dict[str, Any]]:
        extra = self._dropped.own_extra(message.extra, message.wire, pointer)
        results: list[dict[str, Any]] = []
        content: list[tuple[Part, str]] = []
        others: list[tuple[Part, str]] = []
        for index, part in enumerate(message.parts):
            where = f"{pointer}/parts/{index}"
            if isinstance(part, ToolResultPart):
                results.append(self._result(part, message.plain, where))
            elif isinstance(part, _CONTENT[message.role]):
                content.append((part, where))
            else:
                others.append((part, where))
        named = {"name": message.name} if message.name else {}
        if message.role == "tool":
            for _, where in others:
                self._dropped.note(where)
            if results:
                results[0] = {**extra, **results[0], **named}
            return results
        own: dict[str, Any] = {"role": message.role}
        if message.role == "assistant":
            self._assistant(message, content, others, own, extra)
        else:
            for _, where in others:
                self._dropped.note(where)
            said = self._list(content)
            if results and not said:  # a turn that held nothing but results
                results[0] = {**extra, **results[0], **named}
                return results
            own["content"] = self._string_or_list(said, message.plain)
        return [*results, {**extra, **own, **named}]

    def _assistant(
        self,
        message: Message,
        content: list[tuple[Part, str]],
        others: list[tuple[Part, str]],
        own: dict[str, Any],
        extra: dict[str, Any],
    ) -> None:
        calls: list[dict[str, Any]] = []
        for part, where in others:
            if isinstance(part, ToolCallPart) and part.kind in ("function", "custom"):
                calls.append(self._call(part, where))
            elif isinstance(part, ReasoningPart) and part.wire == WIRE:
                # Only servers of this wire gave it out; DeepSeek wants it back beside tool calls.
                own["reasoning_content"] = own.get("reasoning_content", "") + part.text
                self._dropped.own_extra(part.extra, "", where)
                self._dropped.note_if(part.signature, f"{where}/signature")
                self._dropped.note_if(part.redacted, f"{where}/redacted")
            elif isinstance(part, AudioPart) and part.source.file_id and "audio" not in own:
                self._dropped.own_extra(part.extra, "", where)
                self._dropped.note_if(part.transcript, f"{where}/transcript")
                own["audio"] = merged(extra, "audio", {"id": part.source.file_id})
            else:
                self._dropped.note(where)
        if calls:
            own["tool_calls"] = calls
        self._speech(message, content, own)

    def _speech(self, message: Message, content: list[tuple[Part, str]], own: dict[str, Any]) -> None:
        """Add what an assistant said and declined: in a list of parts, or as a string and a refusal."""
        refusals = [pair for pair in content if isinstance(pair[0], RefusalPart)]
        said = [pair for pair in content if pair not in refusals]
        if (self._keep_lists and not message.plain) or not all(_is_bare(part) for part, _ in said):
            own["content"] = self._list(content)
            return
        for part, where in refusals:
            self._dropped.own_extra(part.extra, "", where)
            own["refusal"] = own.get("refusal", "") + getattr(part, "text", "")
        texts = [piece["text"] for piece in self._list(said)]
        if texts or not own.keys() & {"tool_calls", "refusal", "audio"}:
            # A model's own texts go on where the last one ended (a cited answer comes in pieces).
            own["content"] = "".join(texts)
        else:
            own["content"] = None

    def _string_or_list(self, encoded: list[dict[str, Any]], plain: bool) -> Any:
        """Return a string where it says all that is there, else the list of parts."""
        if (self._keep_lists and not plain) or not all(bare_text(part) for part in encoded):
            return encoded
        return "\n".join(part["text"] for part in encoded)

    def _list(self, content: list[tuple[Part, str]]) -> list[dict[str, Any]]:
        pieces = [encode_content_part(part, where, self._dropped) for part, where in content]
        return [piece for piece in pieces if piece is not None]

    def _call(self, call: ToolCallPart, where: str) -> dict[str, Any]:
        if not call.id:
            raise InvalidRequest("a tool call has no id", param=where[1:].replace("/", "."))
        extra = self._dropped.own_extra(call.extra, call.wire, where)
        text = "input" if call.kind == "custom" else "arguments"
        inner = merged(extra, call.kind, {"name": call.name, text: call.arguments})
        return {**extra, "id": call.id, "type": call.kind, call.kind: inner}

    def _result(self, result: ToolResultPart, plain: bool, where: str) -> dict[str, Any]:
        if not result.call_id:
            raise InvalidRequest("a tool result has no call id", param=where[1:].replace("/", "."))
        self._dropped.own_extra(result.extra, "", where)
        self._dropped.note_if(result.is_error, f"{where}/is_error")
        content: list[tuple[Part, str]] = []
        for index, part in enumerate(result.content):
            place = f"{where}/content/{index}"
            if isinstance(part, _RESULT):
                content.append((part, place))
            else:
                self._dropped.note(place)
        said = self._string_or_list(self._list(content), plain)
        return {"role": "tool", "tool_call_id": result.call_id, "content": said}


def _is_bare(part: Part) -> bool:
    """Say whether a part comes to text and nothing else, or to nothing."""
    if isinstance(part, OpaquePart):
        return part.wire != WIRE
    return isinstance(part, TextPart) and not (part.extra and part.wire == WIRE)
