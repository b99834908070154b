"""The provider: each of its functions, and where it is written."""

from __future__ import annotations

from collections.abc import Mapping

from hookway_plugins.provider_openai.answer_decoder import decode_answer
from hookway_plugins.provider_openai.answer_facts import read_facts
from hookway_plugins.provider_openai.relayed_request import for_upstream
from hookway_plugins.provider_openai.request_encoder import encode_request
from hookway_plugins.provider_openai.stream_reader import ChatStreamReader
from hookway_plugins.provider_openai.target import chat_target
from hookway_plugins.provider_openai.upstream_errors import refused
from hookway_plugins.provider_openai.wire import WIRE
from hookway_sdk import (
    AnswerFacts,
    ChatAnswer,
    ChatRequest,
    Deployment,
    Encoded,
    Envelope,
    NoSettings,
    Provider,
    StreamReader,
    UpstreamError,
    UpstreamTarget,
)


class OpenAIProvider(Provider[NoSettings]):
    """Speak OpenAI's Chat Completions to OpenAI and to every server that is compatible with it."""

    adapters = ("openai",)
    wires = (WIRE,)

    def target(self, deployment: Deployment, wire: str, stream: bool) -> UpstreamTarget:
        """Return where chat requests of a deployment go.

        Raises:
            InvalidUpstreamConfig: the key has no usable base URL, or no credential.
            InvalidUpstreamCredential: the credential cannot stand in a header.
        """
        return chat_target(deployment, stream)

    def relay_request(self, request: Envelope, deployment: Deployment, wire: str, stream: bool) -> Envelope:
        """Put the upstream's name of the model into a request, and ask for usage on streams."""
        return for_upstream(request, deployment.model, stream)

    def facts(self, answer: Envelope, wire: str) -> AnswerFacts:
        """Read usage, ids and why it stopped from a relayed answer.

        Raises:
            UpstreamInBand: the answer is an error in spite of its status.
            UpstreamUndecodable: it has no choices.
        """
        return read_facts(answer)

    def encode(self, request: ChatRequest, deployment: Deployment) -> Encoded:
        """Write a canonical request as a chat request.

        Raises:
            InvalidRequest: a tool call or a tool result has no id.
        """
        return encode_request(request, deployment)

    def decode(self, body: bytes, deployment: Deployment) -> ChatAnswer:
        """Read a finished answer.

        Raises:
            UpstreamInBand: the answer is an error in spite of its status.
            UpstreamUndecodable: it is not a ``chat.completion`` object.
        """
        return decode_answer(body)

    def reader(self, deployment: Deployment, wire: str) -> StreamReader:
        """Return the reader of one stream."""
        return ChatStreamReader()

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        """Read an error answer, whatever content type it says it has."""
        return refused(status, headers, body)
