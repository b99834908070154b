"""``limit_`` and ``budget_``: admit a request or an attempt, and hold what it will probably use."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, ClassVar

from hookway_sdk import priorities
from hookway_sdk.kinds.base import EntryKind, SettingsT

if TYPE_CHECKING:
    from hookway_sdk.attempts import Attempt
    from hookway_sdk.exchange import Exchange


class Limit(EntryKind[SettingsT]):
    """Bounds how often, how much and how many at once.

    Phases ``admit_request`` (the caller's limits) and ``admit_attempt`` (the target's), mode each.
    Fails closed. Only methods that a subclass overrides become steps.

    Attributes:
        attempts_direct: :meth:`admit_attempt` is asked about models called by their own name, too. A plugin
            that counted those when their request was admitted says false. Nested calls, which no
            ``admit_request`` meets, always pass it.
    """

    kind = "limit"
    priority = priorities.LIMIT
    attempts_direct: ClassVar[bool] = True

    async def admit_request(self, exchange: Exchange) -> None:
        """Admit a request: reserve on ``exchange.reserve``, add headers that tell the caller what is left.

        Raises:
            LimitExceeded: it is over a limit; everything reserved before is released.
        """

    def admit_request_now(self, exchange: Exchange) -> Awaitable[None] | None:
        """Admit a request at once where that is possible; return what is to be awaited where it is not.

        Override it beside :meth:`admit_request`, of which it has the same effects, if most requests have
        nothing to wait for: a coroutine for each is a tenth of what some limits cost.

        Raises:
            LimitExceeded: as :meth:`admit_request`.
        """
        return self.admit_request(exchange)

    async def admit_attempt(self, exchange: Exchange, attempt: Attempt) -> None:
        """Admit an attempt: reserve on ``attempt.reserve``.

        Raises:
            LimitExceeded: the target is over its limit; the next candidate is tried, as after a 429.
        """


class Budget(Limit[SettingsT]):
    """Bounds what may be spent. Like :class:`Limit`, later in the chain, since it knows prices."""

    kind = "budget"
    priority = priorities.BUDGET
