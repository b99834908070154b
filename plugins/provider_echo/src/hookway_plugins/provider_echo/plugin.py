"""The provider: pure functions between the gateway and a wire, and here a model behind it as well.

A provider of a real upstream has the same methods without :meth:`EchoProvider.answer`: the core sends
what :meth:`~EchoProvider.encode` wrote to where :meth:`~EchoProvider.target` says.
"""

from __future__ import annotations

from collections.abc import Mapping

from hookway_plugins.provider_echo.model import respond
from hookway_plugins.provider_echo.reader import EchoReader
from hookway_plugins.provider_echo.translate import decode_answer, encode_request, usage_read
from hookway_plugins.provider_echo.wire import MALFORMED, EchoAnswer, read_answer
from hookway_sdk import (
    AnswerFacts,
    ChatAnswer,
    ChatRequest,
    Deployment,
    Encoded,
    Envelope,
    LocalAnswer,
    NoSettings,
    Provider,
    StreamReader,
    UpstreamError,
    UpstreamInBand,
    UpstreamRefused,
    UpstreamTarget,
    UpstreamUndecodable,
    close_envelope,
    raw,
)

LONGEST_MESSAGE = 1_024


class EchoProvider(Provider[NoSettings]):
    """Repeats the last message, and does what its commands say (the README lists them)."""

    adapters = ("echo",)
    wires = ("echo.v1",)
    local = True

    def target(self, deployment: Deployment, wire: str, stream: bool) -> UpstreamTarget:
        """Return an address for traces; nothing is sent there, since the provider is local."""
        accept = "text/event-stream" if stream else "application/json"
        headers = (("content-type", "application/json"), ("accept", accept))
        return UpstreamTarget("http://echo.invalid/", headers)

    def relay_request(self, request: Envelope, deployment: Deployment, wire: str, stream: bool) -> Envelope:
        """Give the model its name at the provider; usage comes without being asked for."""
        request["model"] = raw(deployment.model)
        return request

    def facts(self, answer: Envelope, wire: str) -> AnswerFacts:
        """Read usage and ids from a relayed answer."""
        said = success(close_envelope(answer))
        stop = said.choices[-1].stop if said.choices else ""
        return AnswerFacts(usage_read(said.usage), said.id, said.model, stop)

    def encode(self, request: ChatRequest, deployment: Deployment) -> Encoded:
        """Write a canonical request."""
        return encode_request(request, deployment.model)

    def decode(self, body: bytes, deployment: Deployment) -> ChatAnswer:
        """Read a finished answer."""
        return decode_answer(success(body))

    def reader(self, deployment: Deployment, wire: str) -> StreamReader:
        """Return the reader of one stream."""
        return EchoReader()

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        """Read an error answer; of a web page or anything else, the status has to do."""
        try:
            said = read_answer(body).error
        except MALFORMED:
            said = None
        message = said.message[:LONGEST_MESSAGE] if said is not None else ""
        wait = headers.get("retry-after", "")
        seconds = int(wait) if wait.isascii() and wait.isdigit() and len(wait) < 10 else None
        return UpstreamRefused(status, message, retry_after=seconds)

    async def answer(self, deployment: Deployment, body: bytes, stream: bool) -> LocalAnswer:
        """Answer in this process."""
        return await respond(body, stream)


def success(body: bytes) -> EchoAnswer:
    """Read an answer that has to be a good one.

    Raises:
        UpstreamInBand: it is an error.
        UpstreamUndecodable: it is no answer at all.
    """
    try:
        answer = read_answer(body)
    except MALFORMED as error:
        raise UpstreamUndecodable("it is no answer of the echo wire") from error
    if answer.error is not None:
        raise UpstreamInBand(answer.error.message, upstream_status=answer.error.status)
    if not answer.choices:
        raise UpstreamUndecodable("the answer has no choices")
    return answer
