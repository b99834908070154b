"""``resilience_``: keeps requests away from targets that are failing, and retries within bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from hookway_sdk.kinds.base import EntryKind, SettingsT

if TYPE_CHECKING:
    from hookway_sdk.attempts import Attempt, Decision
    from hookway_sdk.exchange import Exchange
    from hookway_sdk.status import Health
    from hookway_sdk.targets import Plan


class Resilience(EntryKind[SettingsT]):
    """Cooldowns, breakers, retry budgets.

    What they know lives in ``services.state``, so that it survives reloads and is shared between
    workers: ``filter`` and ``judge`` read it, ``ended`` posts to it.

    Phases ``filter`` (mode each) and ``judge`` (mode first). Fails open. Only methods that a subclass
    overrides become steps.

    Attributes:
        filters_direct: :meth:`filter` is asked about models called by their own name, too. A plugin that lets
            those be tried whatever it knows says false, and their requests do not pass it.
    """

    kind = "resilience"
    filters_direct: ClassVar[bool] = True

    async def filter(self, exchange: Exchange, plan: Plan) -> None:
        """Put candidates off, or take them out of the plan, with a reason.

        Without any left the request ends with 503.
        """

    async def judge(self, exchange: Exchange, attempt: Attempt) -> Decision | None:
        """Say what to do after a failed attempt; ``None`` leaves it to the next step.

        ``attempt.proposed`` is what the core will do otherwise, ``attempt.remaining`` how many candidates are
        left.
        """

    def ended(self, exchange: Exchange, attempt: Attempt) -> None:
        """Learn from an attempt, good or bad; called once for each when it is over."""

    async def health(self, models: Sequence[str]) -> Mapping[str, Health]:
        """Return what is known of models, by row id; those that are well may be left out."""
        return {}
