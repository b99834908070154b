"""A plugin with every hook, which crashes or waits in the phase that the test names."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from hookway_sdk import (
    Candidate,
    Decision,
    Event,
    Exchange,
    Phase,
    Plugin,
    Principal,
    Reply,
    hookimpl,
    priorities,
)
from matrix_plugins.controls import BOOM, Controls


def every_hook(controls: Controls) -> type[Plugin[Any]]:
    """Return the plugin."""

    async def meet(phase: Phase) -> None:
        now(phase)
        if controls.wait is phase:
            controls.waiting.set()
            await asyncio.sleep(30)

    def now(phase: Phase) -> None:
        if controls.crash is phase:
            raise RuntimeError(BOOM)

    class EveryHook(Plugin[Any]):
        """Crash or wait on demand."""

        @hookimpl(priority=priorities.EARLY)
        async def authenticate(self, exchange: Exchange) -> Principal | None:
            await meet(Phase.AUTHENTICATE)
            return None

        @hookimpl
        async def resolve(self, exchange: Exchange) -> str | None:
            await meet(Phase.RESOLVE)
            return None

        @hookimpl
        async def authorize(self, exchange: Exchange) -> None:
            await meet(Phase.AUTHORIZE)

        @hookimpl
        async def admit_request(self, exchange: Exchange) -> None:
            await meet(Phase.ADMIT_REQUEST)

        @hookimpl
        async def inspect_request(self, exchange: Exchange) -> None:
            await meet(Phase.INSPECT_REQUEST)

        @hookimpl
        async def lookup(self, exchange: Exchange) -> Reply | None:
            await meet(Phase.LOOKUP)
            return None

        @hookimpl
        async def filter(self, exchange: Exchange) -> None:
            await meet(Phase.FILTER)

        @hookimpl
        async def order(self, exchange: Exchange) -> Sequence[Candidate] | None:
            await meet(Phase.ORDER)
            return None

        @hookimpl
        async def admit_attempt(self, exchange: Exchange) -> None:
            await meet(Phase.ADMIT_ATTEMPT)

        @hookimpl
        async def judge(self, exchange: Exchange) -> Decision | None:
            await meet(Phase.JUDGE)
            return None

        @hookimpl
        async def inspect_answer(self, exchange: Exchange) -> None:
            await meet(Phase.INSPECT_ANSWER)

        @hookimpl
        async def store(self, exchange: Exchange) -> None:
            await meet(Phase.STORE)

        @hookimpl
        def settle(self, exchange: Exchange) -> None:
            now(Phase.SETTLE)

        @hookimpl
        def record(self, event: Event) -> None:
            now(Phase.RECORD)

    return EveryHook
