"""What the promises of a provider are tried with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from hookway_sdk.envelope import open_envelope
from hookway_sdk.frames import Frame
from hookway_sdk.kinds.provider import Framer, Provider
from hookway_sdk.streams import StreamReader
from hookway_sdk.targets import Deployment
from hookway_sdk.testing.contracts.plugin import PluginContract
from hookway_sdk.testing.contracts.sse import SseFramer
from hookway_sdk.testing.exchanges import make_deployment, make_provider_key
from hookway_sdk.usage import Usage

CREDENTIAL = "a-test-credential-and-no-real-one"
"""The secret of the example's account."""
UPSTREAM_MODEL = "upstream-model-1"
"""The provider's name of the model in the example's deployment."""


class Answered(msgspec.Struct, frozen=True):
    """A recorded answer, and what it says.

    Args:
        body: a JSON body, or the bytes of a stream.
        usage: what it reports, as :class:`Usage` counts it.
        text: what the model says in it, in all.
    """

    body: bytes
    usage: Usage
    text: str = ""


class ProviderTrial(PluginContract):
    """What a subclass of the contract gives.

    Attributes:
        requests: client requests by wire, as bytes; they are relayed.
        answers: finished answers by wire.
        streams: streamed answers by wire.
        errors: error answers: status, body, and the provider's own sentence in it.
        translates: it encodes and decodes canonical chats in the first of its wires.
        has_end_marker: streams end with a marker, so that a cut one is noticed.
        model_in_body: the model's name stands in the request's top level (elsewhere it is in the URL).
        sends_credential: the account's secret is sent as it is stored (signing providers do not).
        further: members of the top level that a relay may change or add, besides ``model`` and usage.
        base: the account's ``api_base`` in the example.
        facts: further fields of the example's :class:`Deployment`.
    """

    plugin: ClassVar[type[Provider[Any]]]
    requests: ClassVar[Mapping[str, Sequence[bytes]]] = {}
    answers: ClassVar[Mapping[str, Sequence[Answered]]] = {}
    streams: ClassVar[Mapping[str, Sequence[Answered]]] = {}
    errors: ClassVar[Sequence[tuple[int, bytes, str]]] = ()
    translates: ClassVar[bool] = True
    has_end_marker: ClassVar[bool] = True
    model_in_body: ClassVar[bool] = True
    sends_credential: ClassVar[bool] = True
    further: ClassVar[tuple[str, ...]] = ("stream_options",)
    base: ClassVar[str] = "http://127.0.0.1:9/v1"
    facts: ClassVar[Mapping[str, Any]] = {}

    def deployment(
        self, *, secret: str = CREDENTIAL, api_base: str | None = None, model: str = UPSTREAM_MODEL
    ) -> Deployment:
        """Return the example's deployment, of the first adapter."""
        adapter = self.plugin.adapters[0]
        key = make_provider_key(
            secret=secret,
            provider=adapter,
            adapter=adapter,
            api_base=self.base if api_base is None else api_base,
        )
        return make_deployment("target", model=model, key=key, provider=adapter, **self.facts)

    def frames(self, provider: Any, stream: bytes, size: int = 0) -> list[Frame]:
        """Cut a stream into frames, fed in chunks of a size, or at once."""
        framer: Framer = provider.framer() or SseFramer()
        size = size or max(1, len(stream))
        chunks = [stream[at : at + size] for at in range(0, len(stream), size)]
        return [frame for chunk in chunks for frame in framer.feed(chunk)] + framer.close()

    def read_whole(self, provider: Any, wire: str, body: bytes, stream: bool) -> Usage:
        """Read a whole answer as a relay does, and return its usage."""
        if not stream:
            usage: Usage = provider.facts(open_envelope(body), wire).usage
            return usage
        reader: StreamReader = provider.reader(self.deployment(), wire)
        for frame in self.frames(provider, body):
            reader.observe(frame)
        reader.close()
        return reader.usage

    def recorded(self, kind: Mapping[str, Sequence[Answered]]) -> list[tuple[str, Answered]]:
        """Return recorded answers with their wires."""
        return [(wire, one) for wire, several in kind.items() for one in several]


def assert_counts(usage: Usage) -> None:
    """Check that no count is negative and every one is an integer."""
    for name, value in msgspec.structs.asdict(usage).items():
        if name == "estimated":
            continue
        for one in (value or {}).values() if name == "other" else (value,):
            assert type(one) is int, f"{name} is {one!r}"
            assert one >= 0, f"{name} is {one}"


def same_usage(mine: Usage, wanted: Usage) -> bool:
    """Say whether two usages count the same, counts only one vendor has left out."""
    plain = (msgspec.structs.replace(one, other=None, estimated=False) for one in (mine, wanted))
    first, second = plain
    return first == second
