"""``POST /v1/chat/completions``.

Source: https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from collections.abc import Sequence

from hookway_plugins.dialect_openai.answer_view import ChatAnswerView
from hookway_plugins.dialect_openai.answers import answer_body
from hookway_plugins.dialect_openai.errors import error_body
from hookway_plugins.dialect_openai.request_view import ChatView, parse_chat
from hookway_plugins.dialect_openai.samples import chat_samples
from hookway_plugins.dialect_openai.stream_writer import ChatStreamWriter
from hookway_plugins.dialect_openai.wire import WIRE
from hookway_sdk import (
    AnswerView,
    ChatAnswer,
    Endpoint,
    Envelope,
    Exchange,
    GatewayError,
    RequestView,
    Sample,
    StreamWriter,
    raw,
)


class ChatCompletions(Endpoint):
    """Chat, streamed or not; whatever content type the client says it sends."""

    path = "/v1/chat/completions"
    protocol = "openai"
    wire = WIRE

    def error_body(self, error: GatewayError, request_id: str) -> bytes:
        """Return OpenAI's error envelope."""
        return error_body(error)

    def parse(self, body: bytes, exchange: Exchange) -> RequestView:
        """Check what every chat request has, without parsing its messages.

        Raises:
            InvalidRequest: the body is not a chat request.
        """
        return parse_chat(body)

    def relay_answer(self, answer: Envelope, exchange: Exchange) -> Envelope:
        """Put the name the client asked for into ``model``."""
        answer["model"] = raw(exchange.model.requested)
        return answer

    def encode_answer(self, answer: ChatAnswer, exchange: Exchange) -> bytes:
        """Write a canonical answer as a ``chat.completion`` object."""
        return answer_body(
            answer,
            model=exchange.model.requested,
            fallback_id=_answer_id(exchange),
            now=int(exchange.started_at),
            legacy=_legacy(exchange),
        )

    def view_answer(self, body: bytes, exchange: Exchange) -> AnswerView:
        """Open a ``chat.completion`` object for guardrails.

        Raises:
            UpstreamUndecodable: it is not a JSON object.
        """
        return ChatAnswerView(body)

    def writer(self, exchange: Exchange) -> StreamWriter:
        """Return the writer of this exchange's stream."""
        request = exchange.request
        return ChatStreamWriter(
            model=exchange.model.requested,
            fallback_id=_answer_id(exchange),
            now=int(exchange.started_at),
            include_usage=isinstance(request, ChatView) and request.include_usage,
            legacy=_legacy(exchange),
        )

    def samples(self) -> Sequence[Sample]:
        """Return one request that is answered whole and one that streams."""
        return chat_samples()


def _answer_id(exchange: Exchange) -> str:
    return f"chatcmpl-{exchange.id}"


def _legacy(exchange: Exchange) -> bool:
    request = exchange.request
    return isinstance(request, ChatView) and request.legacy_functions
