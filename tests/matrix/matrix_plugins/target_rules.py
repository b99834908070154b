"""A resilience plugin that does what the test says."""

from __future__ import annotations

from typing import Any

from matrix_book import Book

from hookway_sdk import Attempt, Decision, Exchange, NoSettings, Phase, Plan, Resilience
from matrix_plugins.controls import BOOM, Controls


def target_rules(controls: Controls, book: Book) -> type[Resilience[Any]]:
    """Return the plugin."""

    class TargetRules(Resilience[NoSettings]):
        """Exclude, defer and judge by switch; note every attempt that ended."""

        async def filter(self, exchange: Exchange, plan: Plan) -> None:
            """Take targets out, or put them off."""
            if controls.crash is Phase.FILTER:
                raise RuntimeError(BOOM)
            for candidate in tuple(plan.candidates):
                name = candidate.name.partition("@")[0]
                if name in controls.excluded:
                    plan.exclude(candidate, "the test says so")
                elif name in controls.deferred:
                    plan.defer(candidate, "the test says so")

        async def judge(self, exchange: Exchange, attempt: Attempt) -> Decision | None:
            """Say what to do."""
            if controls.crash is Phase.JUDGE:
                raise RuntimeError(BOOM)
            return controls.decision

        def ended(self, exchange: Exchange, attempt: Attempt) -> None:
            """Note it."""
            if controls.crash is Phase.SETTLE:
                raise RuntimeError(BOOM)
            book.ended.append(f"{exchange.id}/{attempt.index}")

    return TargetRules
