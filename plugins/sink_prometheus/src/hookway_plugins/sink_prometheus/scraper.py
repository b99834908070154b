"""Renders everything for one scrape in slices, so that requests are served in between."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence

from hookway_plugins.sink_prometheus.other_families import (
    OWN_NAMES,
    config_families,
    foreign_families,
    model_families,
    outcome_families,
)
from hookway_plugins.sink_prometheus.process_families import process_families
from hookway_plugins.sink_prometheus.row_families import row_families
from hookway_plugins.sink_prometheus.tally import Tally
from hookway_sdk import FamilyView, Services

SLICE_SECONDS = 0.004
"""How long a scrape keeps the loop before it lets others run."""

PIECE_CHARACTERS = 256 * 1024
"""How much is written at once; joining it all, of 10,000 rows 35 MB, would be one long stall."""


class Scraper:
    """Renders metrics; scrapes that come while one is rendered are answered with its result.

    Args:
        services: where families of others and the status come from.
        tally: the counts.
    """

    def __init__(self, services: Services, tally: Tally) -> None:
        self._services = services
        self._tally = tally
        self._running: asyncio.Future[list[bytes] | None] | None = None
        self._process: Callable[[], bytes] | None = None
        self._refused: set[str] = set()

    async def scrape(self) -> list[bytes]:
        """Return everything in text format, UTF-8, in pieces of some hundred kilobytes."""
        while self._running is not None:
            # Shielded: whoever waits may leave without spoiling it for the others.
            rendered = await asyncio.shield(self._running)
            if rendered is not None:
                return rendered
        running = self._running = asyncio.get_running_loop().create_future()
        rendered = None
        try:
            rendered = await self._render()
            return rendered
        finally:
            # None, after a failure or when its caller left: those who wait render for themselves.
            self._running = None
            running.set_result(rendered)

    async def _render(self) -> list[bytes]:
        services, tally = self._services, self._tally
        prefix = services.brand.metric_prefix
        status = await services.status.config()
        models = await services.status.models()
        if self._process is None:
            self._process = await asyncio.to_thread(process_families)
        tally.catch_up()
        pieces = itertools.chain(
            row_families(tally, prefix),
            outcome_families(tally.outcomes, prefix),
            model_families(models, prefix),
            config_families(status, tally, prefix),
            foreign_families(self._foreign(), prefix),
        )
        rendered: list[bytes] = []
        waiting: list[str] = []
        size = 0
        now = asyncio.get_running_loop().time
        began = now()
        for piece in pieces:
            waiting.append(piece)
            size += len(piece)
            if size >= PIECE_CHARACTERS:
                rendered.append("".join(waiting).encode(errors="replace"))
                waiting, size = [], 0
            if now() - began >= SLICE_SECONDS:
                await asyncio.sleep(0)
                began = now()
        rendered.append("".join(waiting).encode(errors="replace"))
        rendered.append(self._process())
        return rendered

    def _foreign(self) -> Sequence[FamilyView]:
        """Return the families of others, without those that have the name of one of ours."""
        found = self._services.metrics.families()
        for name in {one.name for one in found} & OWN_NAMES - self._refused:
            self._refused.add(name)
            self._services.log.warning(
                "metric_not_exposed",
                family=name,
                error="sink_prometheus has a family of this name; rename it",
            )
        return [one for one in found if one.name not in OWN_NAMES]
