"""One stream of OpenAI's wire: what relayed chunks say of usage and the end, or their events.

Source: https://platform.openai.com/docs/api-reference/chat-streaming. Compatible servers differ in small
things, which are borne: ``choices`` that are ``null`` or missing beside usage, no ``[DONE]``, usage that
grows with every chunk, empty events.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from hookway_plugins.provider_openai.answer_facts import visible_finish_reason
from hookway_plugins.provider_openai.chunk_events import ChunkEvents
from hookway_plugins.provider_openai.upstream_errors import in_band
from hookway_plugins.provider_openai.usage_counts import read_usage
from hookway_plugins.provider_openai.wire import NULL, member, text_of
from hookway_sdk import (
    Envelope,
    Frame,
    StreamAborted,
    StreamEvent,
    StreamReader,
    StreamUsage,
)

_DONE = b"[DONE]"
_DELTA = re.compile(rb'"delta":\{"(?:content|reasoning_content|reasoning)":"')
_PADDING = re.compile(rb'"obfuscation":"')
_FINISH = b'"finish_reason":'
_NO_REASON = (b"null", b" null")


class ChatStreamReader(StreamReader):
    """Reads one chat's stream."""

    def __init__(self) -> None:
        super().__init__()
        self._events = ChunkEvents()

    def observe(self, frame: Frame) -> None:
        """Note usage, ids, why it stopped and the end; choices are not opened.

        Raises:
            UpstreamInBand: the frame is an error.
            UpstreamUndecodable: the frame is not a JSON object.
        """
        data = frame.data
        if data == _DONE:
            self.done = True
            return
        if not data or self.done:
            return
        fields = frame.fields
        if "error" in fields and fields["error"] != NULL:
            raise in_band(member(fields, "error"))
        if not self.upstream_id:
            self._identify(fields)
        usage = fields.get("usage")
        if usage is not None and usage != NULL:
            self.usage.observe(read_usage(fields))
        place = data.rfind(_FINISH)
        if place >= 0 and not data.startswith(_NO_REASON, place + len(_FINISH)):
            self.stop_reason = visible_finish_reason(data) or self.stop_reason

    def free_text(self, frame: Frame) -> Sequence[tuple[int, int]]:
        """Return where the word of a one-word frame stands, and OpenAI's padding behind it.

        Source: https://platform.openai.com/docs/api-reference/chat-streaming (``obfuscation``).
        """
        data = frame.data
        if not data or self.done:
            return ()
        usage = frame.fields.get("usage")
        place = data.rfind(_FINISH)
        finished = place >= 0 and not data.startswith(_NO_REASON, place + len(_FINISH))
        if finished or not self.upstream_id or (usage is not None and usage != NULL):
            return ()
        spans: list[tuple[int, int]] = []
        for begin in (_DELTA, _PADDING):
            match = begin.search(data, spans[-1][1] if spans else 0)
            if match is None:
                break
            end = data.find(b'"', match.end())
            if data[end - 1 : end] == b"\\":
                return ()
            spans.append((match.end(), end))
        return spans

    def decode(self, frame: Frame) -> Sequence[StreamEvent]:
        """Return the events of a chunk, noting what :meth:`observe` would.

        Raises:
            UpstreamInBand: the frame is an error.
            UpstreamUndecodable: the frame is not a chunk.
        """
        self.observe(frame)
        if self.done or not frame.data:
            return ()
        fields = frame.fields
        events = self._events.of(fields)
        if (usage := fields.get("usage")) is not None and usage != NULL:
            events.append(StreamUsage(usage=self.usage.copy()))
        return events

    def close(self) -> Sequence[StreamEvent]:
        """Accept the end of the body if the wire's end marker or a finish reason came.

        Raises:
            StreamAborted: neither did.
        """
        if not self.done and not self.stop_reason:
            raise StreamAborted()
        return ()

    def _identify(self, fields: Envelope) -> None:
        self.upstream_id = text_of(member(fields, "id"))
        if not self.upstream_model:
            self.upstream_model = text_of(member(fields, "model"))
