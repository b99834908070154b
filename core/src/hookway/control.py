"""The control role: reads conf.d and sources, checks everything, and publishes it to the serving roles."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from hookway.config.configuration import Configuration, load_configuration
from hookway.link import InProcessLink, Update
from hookway.loading import RuntimeLoader, entry_problems
from hookway.manager import blaming
from hookway.process import Process
from hookway.resources.acceptance import Acceptance, Offer, ResourceSet
from hookway.resources.collections import Collection
from hookway.runtime import Runtime
from hookway.status_board import SourceAway
from hookway_sdk import ConfigApplied, ConfigError, Problem, Source, SourceDocument, SourceRow, StartError

FIRST_KEY = "first-key"
ROW_KINDS = {"guardrail": ("guardrails", "kind"), "cache": ("cache_policies", "backend")}
"""Collections and variant fields of kinds that may have a ``default_row``."""


class ControlRole:
    """Owns the configuration.

    Args:
        process: what outlives configurations.
        directory: conf.d.
        environ: environment variables.
        loader: makes Runtimes.
        link: the serving roles.
        current: returns the Runtime that serves, ``None`` before the first.
    """

    def __init__(
        self,
        process: Process,
        directory: Path | None,
        environ: Mapping[str, str],
        loader: RuntimeLoader,
        link: InProcessLink,
        current: Callable[[], Runtime | None],
    ) -> None:
        self._process = process
        self._directory = directory
        self._environ = environ
        self._loader = loader
        self._link = link
        self._current = current
        self._revision = 0
        self._changing = asyncio.Lock()
        self._dirty = asyncio.Event()
        self._resources: ResourceSet | None = None
        self._watched: weakref.WeakSet[Source[Any]] = weakref.WeakSet()

    @property
    def last_good(self) -> ResourceSet | None:
        """The resources that serve now."""
        return self._resources

    async def apply(self, configuration: Configuration | None) -> None:
        """Load every source and publish the result, with a Runtime where conf.d changed.

        Raises:
            StartError: something is wrong; what served before serves on.
        """
        async with self._changing:
            current = self._current()
            if configuration is None:
                if current is None:
                    raise StartError("there is no configuration yet")
                runtime = current
            else:
                runtime = await self._loader.load(configuration, current)
            try:
                offers = await self.offers(runtime)
                self._process.status.observed(offers)
                resources = self.accept(runtime, offers)
                strict = frozenset(one.source for one in offers if one.strict)
                self._revision += 1
                await self._link.publish(Update(self._revision, resources, strict, configuration))
            except BaseException:
                if configuration is not None:
                    await self._loader.forget(configuration, current)
                raise
            self._resources = resources
            self._process.status.applied(self._revision, resources)
            await self.watch(runtime)

    def accept(self, runtime: Runtime, offers: list[Offer]) -> ResourceSet:
        """Check the rows of all sources together.

        Raises:
            ConfigError: with every problem.
        """
        entries = runtime.settings.plugins
        ignored = [name for name in runtime.off if name in entries and entries[name].dormant == "ignore"]
        return Acceptance(runtime.collections, self._resources, ignored).run(offers)

    async def offers(self, runtime: Runtime) -> list[Offer]:
        """Return what every source has at the moment, and what the gateway itself adds.

        Raises:
            ConfigError: sources have problems, all of them together.
            StartError: a source cannot be reached.
        """
        offers: list[Offer] = []
        problems: list[Problem] = []
        for name, source in sources(runtime):
            try:
                with blaming(name, "cannot read its resources"):
                    document = await source.load()
            except ConfigError as error:
                problems.extend(error.problems)
                continue
            except StartError as error:
                raise SourceAway(name, str(error)) from error
            offers.append(Offer(name, document, source.strict, source.yields))
        if problems:
            raise ConfigError(problems)
        defaults = default_rows(runtime)
        if defaults.rows:
            offers.append(Offer("conf.d", defaults, own=True))
        if not any(one.document.rows.get("api_keys") for one in offers):
            offers.append(Offer("state_dir", self.first_key(runtime.collections), own=True))
        elif "HOOKWAY_KEY" in self._environ:
            self._process.log.warning(
                "first_key_not_used", why="HOOKWAY_KEY is set, and sources have api_keys"
            )
        return offers

    def first_key(self, collections: Mapping[str, Collection]) -> SourceDocument:
        """Return the row of the first caller key; it exists only while no source has a key."""
        if "key_hash" not in collections["api_keys"].owners:
            return SourceDocument({})
        secret = self._process.state_dir.first_key(self._environ)
        row = {"display_name": FIRST_KEY, "key_hash": secret.sha256(), "allowed_models": ["*"]}
        return SourceDocument({"api_keys": [SourceRow(row)]})

    # ── changes while it runs ───────────────────────────────────────────────────────────────

    async def watch(self, runtime: Runtime) -> None:
        """Let sources tell when they change."""
        for name, source in sources(runtime):
            if source not in self._watched:
                self._watched.add(source)
                with blaming(name, "cannot watch its resources"):
                    await source.watch(self._dirty.set)

    async def follow(self) -> None:
        """Reload resources after each change a source reports; bursts become one reload."""
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            await self.reload(None)

    async def reload_everything(self) -> bool:
        """Read conf.d and the sources again; say whether it was applied."""
        try:
            look = partial(entry_problems, self._loader.installed)
            configuration = load_configuration(self._directory, self._environ, look)
        except StartError as error:
            self._refused(error, rows=False)
            return False
        return await self.reload(configuration)

    async def reload(self, configuration: Configuration | None) -> bool:
        """Apply what changed; a failure is logged and what served before serves on."""
        try:
            await self.apply(configuration)
        except StartError as error:
            self._refused(error)
            return False
        except Exception as error:
            # A fault of the core's own must not end the task that follows sources.
            self._process.note_failure("core", "reload", error, "")
            self._refused(StartError(f"the gateway failed to apply it: {type(error).__name__}: {error}"))
            return False
        self._process.log.info("configuration applied", revision=self._revision)
        return True

    def _refused(self, error: StartError, *, rows: bool = True) -> None:
        lines = tuple(str(error).splitlines())
        self._process.status.refused(error, rows=rows)
        self._process.log.warning("reload failed, the previous configuration serves on", problems=lines)
        self._process.emit(
            ConfigApplied(
                at=self._process.clock.now(),
                kind="runtime",
                revision=self._revision,
                ok=False,
                problems=lines,
            )
        )


def sources(runtime: Runtime) -> list[tuple[str, Source[Any]]]:
    """Return the sources that are on, by instance name."""
    return [
        (name, kind)
        for name, loaded in runtime.plugins.items()
        for kind in loaded.entries
        if isinstance(kind, Source)
    ]


def default_rows(runtime: Runtime) -> SourceDocument:
    """Return the rows that conf.d asked for with ``default_row``."""
    rows: dict[str, list[SourceRow]] = {}
    for name, entry in runtime.settings.plugins.items():
        word, _, rest = entry.plugin.partition("_")
        if entry.enabled and entry.default_row and word in ROW_KINDS:
            collection, field = ROW_KINDS[word]
            rows.setdefault(collection, []).append(SourceRow({"name": name, field: rest}))
    return SourceDocument(rows)
