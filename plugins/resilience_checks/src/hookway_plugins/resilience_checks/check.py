"""One check of one model: the question, and what the answer says of the model."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from hookway_plugins.resilience_checks.check_fields import BackgroundCheck
from hookway_sdk import (
    BudgetExceeded,
    Charge,
    ChatRequest,
    ClientDisconnected,
    ContentBlocked,
    GatewayError,
    LimitExceeded,
    Message,
    ModelNotFound,
    Overloaded,
    Sampling,
    Services,
    StateUnavailable,
    TextPart,
    UpstreamError,
    UpstreamTimeout,
)

TIMED_OUT = 408
"""The status of a check without an answer in time."""

NOT_THE_MODELS = (
    BudgetExceeded,
    ClientDisconnected,
    ContentBlocked,
    LimitExceeded,
    ModelNotFound,
    Overloaded,
    StateUnavailable,
)
"""What ended a check and says nothing of the model: the gateway refused, or the row is gone."""


class Check(NamedTuple):
    """A model that is checked.

    Args:
        id: its row id.
        name: its display name.
        row: how it is checked.
        ignored: statuses that change nothing.
    """

    id: str
    name: str
    row: BackgroundCheck
    ignored: frozenset[int]

    @property
    def request(self) -> ChatRequest:
        """What it is asked."""
        message = Message(role="user", parts=(TextPart(text=self.row.prompt),), plain=True)
        sampling = Sampling(max_tokens=self.row.max_tokens)
        return ChatRequest(model=self.name, messages=(message,), sampling=sampling)


class Finding(NamedTuple):
    """What a check came to.

    Args:
        result: ``ok``, ``failed``, or ``ignored`` for what changes nothing.
        status: HTTP status of a failure, 0 for none.
        error: what went wrong.
        noted: operators are to see it.
    """

    result: str
    status: int = 0
    error: str = ""
    noted: bool = True


async def ask(services: Services, check: Check) -> Finding:
    """Ask a model, at the gateway's expense, and say what came of it."""
    try:
        async with asyncio.timeout(check.row.timeout_seconds):
            await services.call(check.name, check.request, parent=None, charge=Charge.GATEWAY)
    except TimeoutError:
        return finding(check, TIMED_OUT, f"no answer within {check.row.timeout_seconds} s")
    except NOT_THE_MODELS as error:
        return Finding("ignored", error.status, error.message, noted=False)
    except GatewayError as error:
        return finding(check, status_of(error), error.message)
    return Finding("ok")


def finding(check: Check, status: int, error: str) -> Finding:
    """Return what a failure comes to."""
    return Finding("ignored" if status in check.ignored else "failed", status, error)


def status_of(error: GatewayError) -> int:
    """Return the status that a failed check is judged by: the provider's, or else the gateway's."""
    if isinstance(error, UpstreamTimeout):
        return TIMED_OUT
    upstream = error.upstream_status if isinstance(error, UpstreamError) else None
    return upstream or error.status
