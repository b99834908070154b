"""The exchange as the core carries it: what plugins see, and what only the core needs beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hookway_sdk import ChatRequest, Credential, Exchange, TextSlot

if TYPE_CHECKING:
    from hookway.models import CompiledModel
    from hookway.produced_text import ProducedText, WholeText
    from hookway.snapshot import CallerChains, Snapshot
    from hookway_sdk import AnswerView, Brand, Client, Endpoint, Headers


class LiveExchange(Exchange):
    """An exchange on its way.

    Attributes:
        credential: what the caller proves itself with; gone once ``authenticate`` is over.
        compiled: the model, compiled.
        chains: the chains of this caller and model.
        canonical: the request in canonical form, once somebody needed it.
        request_texts: the request's text slots, once a guardrail read them.
        answer_view: the finished answer, once a guardrail opened it.
        answer_texts: its text slots.
        charged: nested calls added to its usage.
        nested: it is a nested call, which nobody admitted as a request.
        deadline: monotonic seconds after which nothing more is tried, 0.0 for none.
        produced: what the attempt that runs has streamed so far, ``None`` if it streams nothing.
        settled: its reservations were settled.
    """

    __slots__ = (
        "answer_texts",
        "answer_view",
        "canonical",
        "chains",
        "charged",
        "compiled",
        "credential",
        "deadline",
        "nested",
        "produced",
        "request_texts",
        "settled",
    )

    snapshot: Snapshot

    def __init__(
        self,
        id: str,
        endpoint: Endpoint,
        snapshot: Snapshot,
        brand: Brand,
        method: str,
        path: str,
        query: str,
        headers: Headers,
        client: Client,
        started: float,
        started_at: float,
    ) -> None:
        Exchange.__init__(
            self, id, endpoint, snapshot, brand, method, path, query, headers, client, started, started_at
        )
        self.credential: Credential | None = None
        self.compiled: CompiledModel | None = None
        self.chains: CallerChains | None = None
        self.canonical: ChatRequest | None = None
        self.request_texts: Sequence[TextSlot] | None = None
        self.answer_view: AnswerView | None = None
        self.answer_texts: Sequence[TextSlot] | None = None
        self.charged = False
        self.nested = False
        self.deadline = 0.0
        self.produced: ProducedText | WholeText | None = None
        self.settled = False

    @property
    def dispatched(self) -> bool:
        """Whether anything was sent to a provider on its behalf, by itself or by a nested call."""
        if self.charged:
            return True
        for attempt in self.attempts:
            if attempt.dispatched:
                return True
        return False
