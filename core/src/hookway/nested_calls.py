"""Nested calls: a plugin asks a model on behalf of an exchange, or of the gateway itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from hookway.live_exchange import LiveExchange
from hookway.server.client_context import new_request_id
from hookway_sdk import (
    Charge,
    ChatAnswer,
    ChatRequest,
    Client,
    ConfigBroken,
    Credential,
    Endpoint,
    Exchange,
    GatewayError,
    Headers,
    Principal,
    RequestView,
    TextSlot,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hookway.runtime import Runtime

DEEPEST = 4
"""How many nested calls may stand inside each other."""

GATEWAY = Principal(key_id="gateway", key_name="gateway", method="internal", allowed_models=("*",))
"""Whom calls run as that nobody asked for."""


class NoHeaders:
    """The headers of a call that came from no client."""

    def get(self, key: str, /) -> str | None:
        """Return nothing."""
        return None

    def getall(self, key: str, default: list[str], /) -> list[str]:
        """Return the default."""
        return default

    def items(self) -> Iterable[tuple[str, str]]:
        """Return nothing."""
        return ()


class CanonicalRequest(RequestView):
    """A request that was canonical from the beginning."""

    __slots__ = ("_request",)

    def __init__(self, request: ChatRequest) -> None:
        super().__init__(request.model, False, {})
        self._request = request

    def texts(self) -> Sequence[TextSlot]:
        """Return nothing: the parent's request was inspected."""
        return ()

    def canonical(self) -> ChatRequest:
        """Return the request."""
        return self._request

    def size(self) -> int:
        """Return the bytes of all that messages and tools say."""
        return said(msgspec.to_builtins((self._request.messages, self._request.tools), enc_hook=str))

    def output_limit(self) -> int | None:
        """Return what the plugin that calls lets the answer have."""
        return self._request.sampling.max_tokens


class NestedEndpoint(Endpoint):
    """The endpoint of nested calls; it has no path that a client could reach."""

    path = "nested"
    protocol = "internal"

    def error_body(self, error: GatewayError, request_id: str) -> bytes:
        """Return nothing: the error is raised to the plugin that called."""
        return b""


class NestedClient:
    """The client's side of a nested call: nobody streams to a plugin."""

    def credential(self) -> Credential | None:
        """Return nothing: the principal is the parent's."""
        return None

    def arrived_body(self) -> bytes | None:
        """Return nothing: the request is canonical."""
        return b""

    async def read_body(self) -> bytes:
        """Return nothing: the request is canonical."""
        return b""

    def begin_stream(self, exchange: LiveExchange) -> None:
        """Nested calls do not stream."""
        raise ConfigBroken("a nested call was streamed")

    def write(self, data: bytes) -> None:
        """Nested calls do not stream."""

    def end_stream(self) -> None:
        """Nested calls do not stream."""

    def flow(self, pause: Callable[[], None] | None, resume: Callable[[], None] | None) -> None:
        """Nested calls do not stream."""


ENDPOINT = NestedEndpoint()
CLIENT = NestedClient()


class NestedCalls:
    """See :class:`hookway_sdk.Caller`.

    Args:
        current: returns the Runtime that serves now.
    """

    def __init__(self, current: Callable[[], Runtime]) -> None:
        self._current = current

    async def __call__(
        self,
        model: str,
        request: ChatRequest,
        *,
        parent: Exchange | None,
        charge: Charge = Charge.PARENT,
    ) -> ChatAnswer:
        """Run a child exchange and return its answer."""
        runtime = self._current()
        exchange = self._child(runtime, model, request, parent, charge)
        try:
            await runtime.lifecycle.run(exchange, runtime.nested_stages, CLIENT)
        finally:
            if charge is Charge.PARENT and isinstance(parent, LiveExchange) and exchange.dispatched:
                charge_parent(parent, exchange)
            settlement = runtime.lifecycle.settlement
            status = 200 if exchange.error is None else exchange.error.status
            settlement.record(settlement.close(exchange, status))
        if exchange.error is not None:
            raise exchange.error
        assert exchange.reply is not None
        assert exchange.reply.canonical is not None
        return exchange.reply.canonical

    def _child(
        self, runtime: Runtime, model: str, request: ChatRequest, parent: Exchange | None, charge: Charge
    ) -> LiveExchange:
        depth = 0 if parent is None else parent.depth + 1
        if depth > DEEPEST:
            raise ConfigBroken(
                f"model '{model}' is called {depth} levels deep; at most {DEEPEST} are allowed"
            )
        own = parent is None or charge is Charge.GATEWAY
        clock = runtime.process.clock
        exchange = LiveExchange(
            new_request_id(),
            ENDPOINT,
            runtime.snapshot if not isinstance(parent, LiveExchange) else parent.snapshot,
            runtime.brand,
            method="CALL",
            path=ENDPOINT.path,
            query="",
            headers=Headers(NoHeaders()),
            client=Client() if parent is None else parent.client,
            started=clock.monotonic(),
            started_at=clock.now(),
        )
        exchange.principal = GATEWAY if own or parent is None else parent.principal
        exchange.depth = depth
        exchange.parent_id = "" if parent is None else parent.id
        exchange.request = CanonicalRequest(msgspec.structs.replace(request, model=model, stream=False))
        return exchange


def charge_parent(parent: LiveExchange, child: LiveExchange) -> None:
    """Add what a nested call consumed to the exchange that asked for it."""
    total = parent.usage.copy()
    total.add(child.usage)
    parent.usage = total
    parent.charged = True


def said(value: Any) -> int:
    """Return the bytes of a value's strings."""
    if isinstance(value, str):
        return len(value.encode(errors="replace"))
    if isinstance(value, dict):
        return sum(map(said, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(said, value))
    return 0
