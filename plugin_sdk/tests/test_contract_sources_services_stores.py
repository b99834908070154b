"""The contracts of sources, services and stores hold for honest ones, and can be broken."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from typing import Any

import pytest
from breaking import Case, broken, each_case, failure, promises, shown
from reference_plugins import Memory, OneFile, Words

from hookway_sdk import ConfigError, Place, Problem, SourceDocument, SourceRow, Tokens
from hookway_sdk.errors import StateUnavailable
from hookway_sdk.memory_state import MemoryState
from hookway_sdk.testing import PluginContract, ServiceContract, SourceContract, StoreContract
from hookway_sdk.testing.state_contract import StateContract

_ROWS = '{"models": [{"name": "fast", "model": "a/b"}], "api_keys": [{"name": "me", "tags": ["x"]}]}'


class TestSource(SourceContract):
    plugin = OneFile
    name = "source_one_file"

    @property
    def settings(self) -> dict[str, Any]:  # type: ignore[override]  # each test has a file of its own
        return {"path": str(self.path)}

    @property
    def path(self) -> Path:
        if "_directory" not in self.__dict__:
            self._directory = tempfile.TemporaryDirectory()
            (Path(self._directory.name) / "rows.json").write_text(_ROWS)
        return Path(self._directory.name) / "rows.json"

    def teardown_method(self) -> None:
        if "_directory" in self.__dict__:
            self._directory.cleanup()

    async def change(self) -> bool:
        self.path.write_text(_ROWS.replace("fast", "slow"))
        return True

    async def spoil(self) -> bool:
        self.path.write_text('{"models": ')
        return True

    async def take_away(self) -> bool:
        self.path.unlink()
        return True


def _loading(change: Any) -> Any:
    async def load(self: Any) -> Any:
        return change(await OneFile.load(self))

    return broken(TestSource, load=load)


def _with_rows(*rows: Any) -> Any:
    return lambda document: SourceDocument({"models": rows})


_counter = itertools.count()


async def _never_tell(self: Any, changed: Any) -> None: ...


async def _tell_at_once(self: Any, changed: Any) -> None:
    changed()


async def _watch_here(self: Any, changed: Any) -> None:
    raise OSError("cannot watch")


async def _load_silently(self: Any) -> Any:
    try:
        return await OneFile.load(self)
    except ConfigError:
        return SourceDocument({})


async def _load_without_place(self: Any) -> Any:
    try:
        return await OneFile.load(self)
    except ConfigError as error:
        raise ConfigError([Problem("", "it is broken")]) from error


async def _load_nothing_when_away(self: Any) -> Any:
    return await OneFile.load(self) if Path(self.settings.path).exists() else SourceDocument({})


def _same_revision(document: Any) -> Any:
    document.revision = "always"
    return document


def _next_revision(document: Any) -> Any:
    document.revision = str(next(_counter))
    return document


def _first_forever(kept: list[Any]) -> Any:
    def change(document: Any) -> Any:
        kept.append(document)
        return SourceDocument(kept[0].rows, kept[0].places, document.revision)

    return change


_HERE = Place("here", 1)

SOURCE: list[Case] = [
    ("test_it_loads_rows_of_plain_data", _loading(lambda document: {"models": []})),
    ("test_it_loads_rows_of_plain_data", _loading(lambda document: SourceDocument({}))),
    ("test_it_loads_rows_of_plain_data", _loading(_with_rows({"name": "fast"}))),
    ("test_it_loads_rows_of_plain_data", _loading(_with_rows(SourceRow({"name": _HERE})))),
    ("test_every_place_belongs_to_a_key", _loading(_with_rows(SourceRow({}, {("name",): _HERE}, _HERE)))),
    ("test_every_place_belongs_to_a_key", _loading(lambda document: SourceDocument({}, {"models": _HERE}))),
    ("test_it_says_where_its_rows_stand", _loading(_with_rows(SourceRow({"name": "fast"})))),
    ("test_it_says_where_its_rows_stand", _loading(_with_rows(SourceRow({"name": "f"}, {}, Place(""))))),
    ("test_loading_again_gives_the_same", _loading(_next_revision)),
    ("test_a_change_is_loaded_and_has_another_revision", _loading(_same_revision)),
    ("test_a_change_is_loaded_and_has_another_revision", _loading(_first_forever([]))),
    ("test_watching_begins_and_returns", broken(TestSource, watch=_watch_here)),
    ("test_a_change_is_told_to_who_watches", broken(TestSource, watch=_tell_at_once)),
    ("test_a_change_is_told_to_who_watches", shown(broken(TestSource, watch=_never_tell), seconds=0.05)),
    ("test_what_is_wrong_is_said_with_its_place", broken(TestSource, load=_load_silently)),
    ("test_what_is_wrong_is_said_with_its_place", broken(TestSource, load=_load_without_place)),
    ("test_what_cannot_be_reached_ends_the_load", broken(TestSource, load=_load_nothing_when_away)),
]


@each_case(SOURCE)
def test_a_broken_source_fails(promise: str, contract: type[PluginContract]) -> None:
    assert failure(contract, promise) is not None


class TestService(ServiceContract):
    plugin = Words
    name = "service_words"


async def _count_reversed(self: Any, text: str, model: str) -> int:
    return len(text)


async def _count_exactly(self: Any, model: str, text: str, exactly: bool) -> int:
    return len(text)


SERVICE: list[Case] = [
    ("test_it_says_which_protocol_it_provides", broken(TestService, provides="tokens")),
    ("test_it_says_which_protocol_it_provides", broken(TestService, provides=dict)),
    ("test_it_has_every_method_of_its_protocol", broken(TestService, count=None)),
    (
        "test_its_methods_have_the_colour_and_arguments_of_the_protocol",
        broken(TestService, count=lambda self, model, text: 1),
    ),
    (
        "test_its_methods_have_the_colour_and_arguments_of_the_protocol",
        broken(TestService, count=_count_reversed),
    ),
    (
        "test_its_methods_have_the_colour_and_arguments_of_the_protocol",
        broken(TestService, count=_count_exactly),
    ),
    ("test_it_does_not_need_what_it_provides", broken(TestService, needs=(Tokens,))),
]


class TestStore(StoreContract):
    plugin = Memory
    name = "store_memory"
    examples = 3  # the state itself has tests of its own


class _Forgetful(MemoryState):
    async def apply(self, ops: Any) -> Any:
        return await MemoryState(self._home.clock).apply(ops)


class _Deaf(MemoryState):
    async def ping(self) -> None:
        raise StateUnavailable("nobody there")


async def _never_started(self: Any) -> None:
    self._state = _Deaf(self.services.clock)


async def _start_forgetful(self: Any) -> None:
    self._state = _Forgetful(self.services.clock)


STORE: list[Case] = [
    (
        "test_it_gives_the_same_state_each_time",
        broken(TestStore, state=lambda self: MemoryState(self.services.clock)),
    ),
    ("test_it_answers_a_ping_once_started", broken(TestStore, start=_never_started)),
]


@each_case([*SERVICE, *STORE])
def test_a_broken_plugin_fails(promise: str, contract: type[PluginContract]) -> None:
    assert failure(contract, promise) is not None


def test_a_store_that_forgets_fails_the_state_contract() -> None:
    contract = broken(TestStore, start=_start_forgetful)
    broken_promises = [
        name for name in sorted(promises(StateContract)) if "value" in name and _fails(contract, name)
    ]
    assert broken_promises


def _fails(contract: type[PluginContract], promise: str) -> bool:
    try:
        return failure(contract, promise) is not None
    except TypeError:  # it is parametrised
        return False


def test_every_promise_can_be_broken() -> None:
    assert promises(SourceContract, PluginContract) == {promise for promise, _ in SOURCE}
    assert promises(ServiceContract, PluginContract) == {promise for promise, _ in SERVICE}
    assert promises(StoreContract, PluginContract, StateContract) == {promise for promise, _ in STORE}


def test_promises_without_examples_are_skipped() -> None:
    plain = shown(
        TestSource,
        change=SourceContract.change,
        spoil=SourceContract.spoil,
        take_away=SourceContract.take_away,
    )
    for promise in ("test_what_is_wrong_is_said_with_its_place", "test_what_cannot_be_reached_ends_the_load"):
        with pytest.raises(LookupError, match="skipped"):
            failure(plain, promise)
