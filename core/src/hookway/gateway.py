"""A whole gateway: both roles in one process, from the first configuration to the last byte."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from hookway.config.addresses import Address
from hookway.config.configuration import Configuration, load_configuration
from hookway.control import ControlRole
from hookway.discovery import Installed, find_installed
from hookway.link import InProcessLink
from hookway.loading import RuntimeLoader, entry_problems
from hookway.nested_calls import NestedCalls
from hookway.process import Process
from hookway.runtime import Runtime
from hookway.serve import ServeRole
from hookway.services.log import OperatorLog
from hookway_sdk import Brand, Clock, Random


class Gateway:
    """One gateway.

    Args:
        directory: conf.d; ``None`` serves the shipped defaults.
        environ: environment variables; ``None`` takes the process's.
        installed: the installed plugins; ``None`` looks for them.
        clock: time.
        chance: chance.
        brand: names under which it speaks.
        log: where the operator's log goes.

    Attributes:
        address: where callers reach it, once it is started.
        directory: conf.d, ``None`` while it serves the shipped defaults.
    """

    address: Address

    def __init__(
        self,
        directory: Path | None = None,
        environ: Mapping[str, str] | None = None,
        *,
        configuration: Configuration | None = None,
        installed: Mapping[str, Installed] | None = None,
        clock: Clock | None = None,
        chance: Random | None = None,
        brand: Brand | None = None,
        log: OperatorLog | None = None,
    ) -> None:
        environ = os.environ if environ is None else environ
        self.directory = directory
        known = find_installed() if installed is None else installed
        look = partial(entry_problems, known)
        self.configuration = configuration or load_configuration(directory, environ, look)
        self.process = Process(
            self.configuration.settings, environ, clock=clock, chance=chance, brand=brand, log=log
        )
        calls = NestedCalls(self._serving)
        self.loader = RuntimeLoader(self.process, known, calls)
        self.serve = ServeRole(self.process, self.loader)
        self.control = ControlRole(
            self.process,
            directory,
            environ,
            self.loader,
            InProcessLink([self.serve]),
            lambda: self.serve.current,
        )
        self.process.status.current = lambda: self.serve.current
        self._follower: asyncio.Task[None] | None = None

    def _serving(self) -> Runtime:
        return self.serve.runtime

    async def prepare(self) -> None:
        """Load plugins and resources without listening; what ``hookway check`` and ``hooks`` need.

        Raises:
            StartError: something is wrong with the configuration.
        """
        for warning in self.configuration.warnings:
            self.process.log.warning("configuration", problem=str(warning))
        await self.control.apply(self.configuration)

    async def start(self) -> None:
        """Start, and listen.

        Raises:
            StartError: it cannot; nothing is left open.
        """
        self.process.start()
        try:
            await self.prepare()
            self.address = await self.serve.listen()
        except BaseException:
            await self.close()
            raise
        self._follower = asyncio.get_running_loop().create_task(self.control.follow())

    async def stop(self, *, drain: bool = True) -> None:
        """Drain as configured, then close."""
        if drain:
            await self.serve.drain(self.serve.runtime.settings.shutdown.min_drain_secs)
        await self.close()

    async def close(self) -> None:
        """Close everything now."""
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.gather(self._follower, return_exceptions=True)
        await self.serve.close()
        await self.process.close()
