"""What the promises of a dialect are tried with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec

from hookway_sdk.endpoint import BodyKind, Endpoint, Sample
from hookway_sdk.exchange import Exchange
from hookway_sdk.frames import Frame
from hookway_sdk.kinds.dialect import Dialect
from hookway_sdk.testing.contracts.plugin import PluginContract
from hookway_sdk.testing.contracts.sse import cut
from hookway_sdk.testing.exchanges import make_exchange, make_model
from hookway_sdk.views import RequestView

ALIAS = "the-name-the-client-asked-for"


class DialectTrial(PluginContract):
    """What a subclass of the contract may give; the endpoints' own samples are the rest.

    Attributes:
        translates: chat endpoints have a canonical form; a dialect that is only relayed says False.
        end_marker: what a stream's last event holds where it is no JSON.
        most_damaged: how many damaged bodies are made of each sample.
    """

    plugin: ClassVar[type[Dialect[Any]]]
    translates: ClassVar[bool] = True
    end_marker: ClassVar[bytes] = b"[DONE]"
    most_damaged: ClassVar[int] = 1_000

    def with_bodies(self, dialect: Any) -> list[Endpoint]:
        """Return the endpoints whose bodies are JSON."""
        return [one for one in dialect.endpoints() if one.body is BodyKind.BUFFERED and one.samples()]

    def samples(self, dialect: Any) -> Iterator[tuple[Endpoint, Sample]]:
        """Yield every sample with its endpoint."""
        for endpoint in self.with_bodies(dialect):
            for sample in endpoint.samples():
                yield endpoint, sample

    def is_chat(self, endpoint: Endpoint) -> bool:
        """Say whether requests of an endpoint can be translated."""
        return self.translates and bool(endpoint.wire)

    def encoded(self, sample: Sample) -> bytes:
        """Return a sample's body in bytes."""
        return msgspec.json.encode(sample.body)

    def parse(self, endpoint: Endpoint, sample: Sample) -> RequestView:
        """Parse a sample."""
        return self.parse_bytes(endpoint, self.encoded(sample))

    def parse_bytes(self, endpoint: Endpoint, body: bytes) -> RequestView:
        """Parse a body as the core does."""
        return endpoint.parse(body, make_exchange(endpoint=endpoint))

    def exchange(self, endpoint: Endpoint, sample: Sample) -> Exchange:
        """Return an exchange that has come as far as its answer."""
        view = self.parse(endpoint, sample)
        model = make_model("the-row", requested=ALIAS)
        return make_exchange(endpoint=endpoint, request=view, model=model)

    def cut(self, stream: bytes) -> list[Frame]:
        """Cut what the client gets into events; override for a wire that is not server-sent events."""
        return cut(stream)
