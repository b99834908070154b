"""``provider_``: an upstream's wire as pure functions; the core sends, retries, times and meters."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, ClassVar

import msgspec

from hookway_sdk.errors import InvalidRequest
from hookway_sdk.frames import Frame
from hookway_sdk.kinds.base import EntryKind, SettingsT
from hookway_sdk.usage import Usage

if TYPE_CHECKING:
    from hookway_sdk.envelope import Envelope
    from hookway_sdk.errors import UpstreamError
    from hookway_sdk.messages import ChatAnswer, ChatRequest, Encoded
    from hookway_sdk.streams import StreamReader
    from hookway_sdk.targets import Deployment, UpstreamTarget


class AnswerFacts(msgspec.Struct, gc=False):
    """What a relayed answer says of itself.

    Args:
        usage: counts the upstream reported.
        upstream_id: the upstream's id of the answer.
        upstream_model: the model name the upstream says it used.
        stop_reason: the wire's own word.
    """

    usage: Usage
    upstream_id: str = ""
    upstream_model: str = ""
    stop_reason: str = ""


class LocalAnswer(msgspec.Struct):
    """An answer of a provider that has no network upstream.

    Args:
        status: HTTP status, as an upstream would send it.
        body: the whole body, or its pieces as they come.
        headers: headers, as an upstream would send them.
    """

    body: bytes | AsyncIterator[bytes]
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


class Framer:
    """Cuts an upstream's bytes into frames; the core brings one for SSE, a binary wire brings its own."""

    @property
    def pending(self) -> bool:
        """Whether the beginning of a frame waits for its end; a framer that does not say so may hold one."""
        return True

    def feed(self, chunk: bytes) -> list[Frame]:
        """Return the frames that are complete with this chunk.

        Raises:
            UpstreamUndecodable: the bytes are not what the wire promises, or a frame is over the bound.
        """
        raise NotImplementedError

    def close(self) -> list[Frame]:
        """Return what the end of the stream completes."""
        return []


class Provider(EntryKind[SettingsT]):
    """Speaks one or more upstream wires.

    Acts between phases ``admit_attempt`` and ``judge``, once per attempt.

    A request whose client speaks one of ``wires`` is relayed: :meth:`relay_request` changes its top
    level, :meth:`facts` and :meth:`reader` read usage from the answer, and every other byte passes
    through. Any other request is translated through the canonical form.

    Attributes:
        adapters: wire families (a provider key's ``adapter``) and vendors it serves.
        wires: wire ids its upstreams speak; the first is used for translated requests.
        local: answers by itself through :meth:`answer`, without network.
    """

    kind = "provider"
    adapters: ClassVar[tuple[str, ...]] = ()
    wires: ClassVar[tuple[str, ...]] = ()
    local: ClassVar[bool] = False

    def target(self, deployment: Deployment, wire: str, stream: bool) -> UpstreamTarget:
        """Return where to send requests of a wire to a deployment; called when configuration loads.

        Raises:
            InvalidUpstreamConfig: the model's or key's settings make no address.
            InvalidUpstreamCredential: the credential cannot be put into a header.
        """
        raise NotImplementedError

    def relay_request(self, request: Envelope, deployment: Deployment, wire: str, stream: bool) -> Envelope:
        """Change the top level of a relayed request: the model's upstream name, usage asked for.

        The envelope is this attempt's own copy.
        """
        raise NotImplementedError

    def facts(self, answer: Envelope, wire: str) -> AnswerFacts:
        """Read usage and ids from a relayed answer.

        Raises:
            UpstreamInBand: the answer is an error in spite of its status.
            UpstreamUndecodable: it is not what the wire promises.
        """
        raise NotImplementedError

    def encode(self, request: ChatRequest, deployment: Deployment) -> Encoded:
        """Write a canonical request in the first of ``wires``.

        Raises:
            InvalidRequest: the request cannot be said at all in this wire (a tool result without id).
        """
        raise InvalidRequest(f"this endpoint cannot be served by provider '{self.name}'")

    def decode(self, body: bytes, deployment: Deployment) -> ChatAnswer:
        """Read a finished answer.

        Raises:
            UpstreamInBand: the answer is an error in spite of its status.
            UpstreamUndecodable: it is not what the wire promises.
        """
        raise NotImplementedError

    def framer(self) -> Framer | None:
        """Return a framer for one stream, or ``None`` for server-sent events."""
        return None

    def reader(self, deployment: Deployment, wire: str) -> StreamReader:
        """Return the reader of one stream."""
        raise NotImplementedError

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        """Read an error answer (its first 64 KiB).

        Args:
            headers: by lower-case name.
        """
        raise NotImplementedError

    async def sign(
        self, deployment: Deployment, target: UpstreamTarget, body: bytes
    ) -> tuple[tuple[str, str], ...]:
        """Return headers that depend on the body or on a token that ages; override only if needed."""
        return ()

    async def answer(self, deployment: Deployment, body: bytes, stream: bool) -> LocalAnswer:
        """Answer by itself; for providers whose ``local`` is true."""
        raise NotImplementedError
