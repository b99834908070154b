"""The guardrail host: takes texts out of requests and answers, asks guardrails, and writes back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from hookway.canonical_view import CanonicalAnswerView
from hookway.chains import Step
from hookway.live_exchange import LiveExchange
from hookway_sdk import (
    AnswerView,
    Block,
    ContentBlocked,
    Direction,
    Exchange,
    Guardrail,
    Mask,
    OnError,
    Phase,
    RemoteGuardrail,
    Reply,
    Slot,
    Text,
    TextSlot,
    Verdict,
)
from hookway_sdk.texts import apply_mask

MONITOR_HITS: Slot[list[str]] = Slot("core.monitor_hits")

AnyGuardrail = Guardrail[Any] | RemoteGuardrail[Any]


class GuardrailHost:
    """One ``guardrails`` row at work: its steps in ``inspect_request`` and ``inspect_answer``."""

    def __init__(self, guardrail: AnyGuardrail, deadline: float) -> None:
        self._guardrail = guardrail
        self._row = guardrail.resource.row
        self._deadline = deadline

    def steps(self, plugin: str, priority: int, origin: str, said: OnError | None) -> dict[Phase, Step]:
        """Return the row's steps by phase.

        Args:
            said: what conf.d says of failures; it stands above the row, except for a mandatory one.
        """
        row = self._row
        steps: dict[Phase, Step] = {}
        for phase, point, call in (
            (Phase.INSPECT_REQUEST, "input", self.inspect_request),
            (Phase.INSPECT_ANSWER, "output", self.inspect_answer),
        ):
            if row.hook_point in (point, "both"):
                opens = row.fail_open if point == "input" else row.output_fail_open
                policy = said or (OnError.OPEN if opens else OnError.CLOSED)
                policy = OnError.CLOSED if row.mandatory else policy
                steps[phase] = Step(priority, row.order, f"{plugin}:{row.name}", plugin, call, policy, origin)
        return steps

    async def inspect_request(self, exchange: LiveExchange) -> None:
        """Judge every text of the request.

        Raises:
            ContentBlocked: the guardrail refuses.
        """
        if exchange.request_texts is None:
            exchange.request_texts = exchange.request.texts()
        await self._judge(exchange.request_texts, "input", exchange)

    async def inspect_answer(self, exchange: LiveExchange) -> None:
        """Judge every text of the finished answer.

        Raises:
            ContentBlocked: the guardrail refuses.
            UpstreamUndecodable: the answer cannot be read, so it cannot be let through.
        """
        if exchange.reply is None or exchange.reply.status != 200:
            return
        if exchange.answer_texts is None:
            view = open_answer(exchange, exchange.reply)
            exchange.answer_view = view
            exchange.answer_texts = view.texts()
        await self._judge(exchange.answer_texts, "output", exchange)

    async def _judge(self, slots: Sequence[TextSlot], direction: Direction, exchange: Exchange) -> None:
        texts = [Text.of(slot, direction) for slot in slots]
        if not texts:
            return
        if isinstance(self._guardrail, RemoteGuardrail):
            verdicts: Iterable[Verdict | None] = await self._ask(self._guardrail, texts, exchange)
        else:
            verdicts = map(self._guardrail.check, texts)
        monitor = self._row.enforcement_mode == "monitor"
        for slot, verdict in zip(slots, verdicts, strict=True):
            if verdict is None:
                continue
            if monitor:
                note_monitor_hit(exchange, self._row.name)
            elif isinstance(verdict, Block):
                subject = "request" if direction == "input" else "response"
                raise ContentBlocked(
                    self._row.name,
                    subject=subject,
                    status=self._row.block_status,
                    detail=verdict.reason or None,
                )
            elif isinstance(verdict, Mask):
                slot.replace(apply_mask(slot.text, verdict.spans))

    async def _ask(
        self, guardrail: RemoteGuardrail[Any], texts: Sequence[Text], exchange: Exchange
    ) -> Sequence[Verdict | None]:
        """Ask a remote guardrail within its deadline.

        Raises:
            TimeoutError: it did not answer in time; the row's failure policy decides.
        """
        async with asyncio.timeout(self._deadline):
            verdicts = await guardrail.check(texts, exchange)
        if len(verdicts) != len(texts):
            raise ValueError(
                f"guardrail '{self._row.name}' gave {len(verdicts)} verdicts on {len(texts)} texts"
            )
        return verdicts


def note_monitor_hit(exchange: Exchange, name: str) -> None:
    """Remember that a guardrail in monitor mode would have acted."""
    hits = exchange.get(MONITOR_HITS)
    if hits is None:
        exchange.put(MONITOR_HITS, hits := [])
    hits.append(name)
    exchange.tag("guardrail_monitor_hits", ",".join(dict.fromkeys(hits)))


def write_back(exchange: LiveExchange) -> None:
    """Put what guardrails read, masks included, into the answer that is delivered."""
    view, reply = exchange.answer_view, exchange.reply
    if view is None or reply is None:
        return
    if isinstance(view, CanonicalAnswerView):
        reply.canonical = view.answer()
    else:
        reply.body = view.body()


def open_answer(exchange: LiveExchange, reply: Reply) -> AnswerView:
    """Open a finished answer: one that will be streamed in canonical form, others in the client's."""
    if exchange.request.stream and reply.canonical is not None:
        return CanonicalAnswerView(reply.canonical)
    return exchange.endpoint.view_answer(reply.body, exchange)
