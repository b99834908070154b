"""What a ``source_`` plugin promises."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import pytest

from hookway_sdk.errors import ConfigError, StartError
from hookway_sdk.kinds.source import Source, SourceDocument, SourceRow
from hookway_sdk.problems import Place
from hookway_sdk.testing.contracts.plugin import PluginContract
from hookway_sdk.testing.services import RecordingServices

_PLAIN = (str, int, float, bool, type(None))


class SourceContract(PluginContract):
    """Promises of a source. The example has at least one row.

    Override :meth:`change`, :meth:`spoil` and :meth:`take_away` for what the source can suffer; a promise
    about what cannot happen to it is skipped.

    Attributes:
        seconds: how long it may take to begin to watch, and to tell of a change.
    """

    plugin: ClassVar[type[Source[Any]]]
    seconds: ClassVar[float] = 10.0

    async def change(self) -> bool:
        """Change what the source holds; return False if nobody can."""
        return False

    async def spoil(self) -> bool:
        """Make what the source holds unreadable; return False if nobody can."""
        return False

    async def take_away(self) -> bool:
        """Make the source unreachable; return False if nobody can."""
        return False

    async def settle(self, services: RecordingServices) -> None:
        """Let it notice a change: by default run its periodic work and its ticks once."""
        await services.tasks.run_every()
        services.tasks.run_ticks()

    async def test_it_loads_rows_of_plain_data(self) -> None:
        async with self.running() as source:
            document = await source.load()
            assert isinstance(document, SourceDocument), f"it loads {document!r}"
            assert any(document.rows.values()), "the example has no rows"
            for collection, rows in document.rows.items():
                for row in rows:
                    assert isinstance(row, SourceRow), f"a row of {collection} is {row!r}"
                    odd = [path for path, value in _leaves(row.value) if not isinstance(value, _PLAIN)]
                    assert not odd, f"a row of {collection} holds something that is not plain data at {odd}"

    async def test_every_place_belongs_to_a_key(self) -> None:
        async with self.running() as source:
            document = await source.load()
            for collection, rows in document.rows.items():
                for row in rows:
                    known = {path for path, _ in _paths(row.value)}
                    strangers = set(row.places) - known
                    assert not strangers, f"places of a row of {collection} without a key: {strangers}"
                    assert all(isinstance(place, Place) for place in row.places.values())
            assert set(document.places) <= {*document.rows}, "places of collections that it does not have"

    async def test_it_says_where_its_rows_stand(self) -> None:
        async with self.running() as source:
            document = await source.load()
            for collection, rows in document.rows.items():
                for row in rows:
                    assert row.place is not None, f"a mistake in a row of {collection} could not be found"
                    assert row.place.file, f"the place of a row of {collection} names no file or source"

    async def test_loading_again_gives_the_same(self) -> None:
        async with self.running() as source:
            first, second = await source.load(), await source.load()
            assert first == second, "nothing changed, and it loads something else"

    async def test_a_change_is_loaded_and_has_another_revision(self) -> None:
        async with self.running() as source:
            first = await source.load()
            if not await self.change():
                pytest.skip("it never changes")
            second = await source.load()
            assert second.rows != first.rows, "the change is not loaded"
            if first.revision or second.revision:
                assert second.revision != first.revision, "the change has the revision of before"

    async def test_watching_begins_and_returns(self) -> None:
        async with self.running() as source:
            async with asyncio.timeout(self.seconds):
                await source.watch(lambda: None)

    async def test_a_change_is_told_to_who_watches(self) -> None:
        services = self.services()
        told = asyncio.Event()
        async with self.running(services) as source:
            await source.load()
            await source.watch(told.set)
            await self.settle(services)
            assert not told.is_set(), "it tells of a change before there is one"
            if not await self.change():
                pytest.skip("it never changes")
            await self.settle(services)
            try:
                async with asyncio.timeout(self.seconds):
                    await told.wait()
            except TimeoutError as error:
                raise AssertionError(f"a change was not told within {self.seconds} s") from error

    async def test_what_is_wrong_is_said_with_its_place(self) -> None:
        async with self.running() as source:
            if not await self.spoil():
                pytest.skip("it cannot be unreadable")
            try:
                problems = (await source.load()).problems
            except ConfigError as error:
                problems = error.problems
            assert problems, "what cannot be read is no problem to it"
            assert all(problem.place is not None for problem in problems), "a problem has no place"

    async def test_what_cannot_be_reached_ends_the_load(self) -> None:
        async with self.running() as source:
            if not await self.take_away():
                pytest.skip("it is always there")
            with pytest.raises(StartError):
                await source.load()


def _leaves(value: Any) -> list[tuple[tuple[str | int, ...], Any]]:
    return [(path, found) for path, found in _paths(value) if not isinstance(found, Mapping | list | tuple)]


def _paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], Any]]:
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    below = [found for key, item in items for found in _paths(item, (*path, key))]
    return [(path, value), *below]
