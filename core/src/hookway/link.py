"""How the control role reaches the serving ones: prepare everywhere, then commit everywhere.

With ``workers: 1`` both roles share a process and the link passes references; with more, the same
calls travel over a socket. Either way an update that one worker refuses is used by none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from hookway.config.configuration import Configuration
from hookway.resources.acceptance import ResourceSet


class Update(msgspec.Struct, frozen=True):
    """A new state of the configuration.

    Args:
        revision: counts updates of this control role.
        resources: every accepted row.
        strict: sources of which one unusable row refuses the update.
        configuration: conf.d, where it changed; ``None`` keeps the Runtime.
    """

    revision: int
    resources: ResourceSet
    strict: frozenset[str]
    configuration: Configuration | None = None


class Worker(Protocol):
    """A serving role, as the control role sees it."""

    async def prepare(self, update: Update) -> None:
        """Make everything the update needs, without using it.

        Raises:
            StartError: it cannot be used; nothing has changed.
        """

    def commit(self, revision: int) -> None:
        """Use what was prepared, for every request that begins from now on."""

    async def discard(self, revision: int) -> None:
        """Forget what was prepared: another worker refused it."""


class InProcessLink:
    """The link of ``workers: 1``, and the reference for others."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._workers = tuple(workers)

    async def publish(self, update: Update) -> None:
        """Bring an update to every worker, or to none.

        Raises:
            StartError: a worker refused it.
        """
        prepared: list[Worker] = []
        try:
            for worker in self._workers:
                await worker.prepare(update)
                prepared.append(worker)
        except BaseException:
            for worker in prepared:
                await worker.discard(update.revision)
            raise
        for worker in prepared:
            worker.commit(update.revision)
