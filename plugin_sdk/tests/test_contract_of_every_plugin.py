"""The contract of every plugin holds for an honest one, and each of its promises can be broken."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from breaking import Case, broken, each_case, failure, promises, shown
from reference_plugins import (
    Digits,
    DigitsRow,
    Lines,
    OneToken,
    OneTokenSettings,
    Tagger,
    Words,
)

from hookway_sdk import Guardrail, Settings, Tokens, hookimpl, priorities
from hookway_sdk.testing import PluginContract, make_services


class TestKindWithSettings(PluginContract):
    plugin = OneToken
    name = "auth_one_token"
    settings = {"token": "sesame"}  # noqa: RUF012


class TestKindWithRows(PluginContract):
    plugin = Digits
    name = "guardrail_digits"
    row = {"word": "forbidden"}  # noqa: RUF012


class TestPluginWithHooks(PluginContract):
    plugin = Tagger
    name = "compat_tagger"

    def provided(self) -> dict[type, object]:
        return {Tokens: Words("service_words", Words.Settings(), make_services())}


class _Sink(PluginContract):
    plugin = Lines
    name = "sink_lines"


async def _start_a_task(self: Any) -> None:
    self.task = asyncio.create_task(asyncio.sleep(30))


async def _start_a_thread(self: Any) -> None:
    self.ending = threading.Event()
    threading.Thread(target=self.ending.wait, args=(5,), daemon=True).start()


def _make_a_thread(self: Any, *given: Any) -> None:
    Lines.__init__(self, *given)
    threading.Thread(target=threading.Event().wait, args=(2,), daemon=True).start()


def _make_a_directory(self: Any, *given: Any) -> None:
    Lines.__init__(self, *given)
    self.services.state_dir()


def _make_work(self: Any, *given: Any) -> None:
    Lines.__init__(self, *given)
    self.services.tasks.every("work", 1.0, self.start)


async def _stop_once(self: Any) -> None:
    self.waiting.remove("started")


async def _note_start(self: Any) -> None:
    self.waiting.append("started")


_taken: list[str] = []


async def _take_the_only_place(self: Any) -> None:
    if _taken:
        raise OSError("address already in use")
    _taken.append(self.name)


async def _leave_the_only_place(self: Any) -> None:
    _taken.clear()


async def _ask_for_tokens(self: Any) -> None:
    self.services.get(Tokens)


class _Loose(Settings):
    """Settings with a required one."""

    needed: str


class _Open(OneTokenSettings, forbid_unknown_fields=False):
    pass


class _OwnerOfName(DigitsRow):
    name: str = "taken"


class _Misspelt(Tagger):
    """Tag requests."""

    @hookimpl
    async def autorize(self, exchange: Any) -> None: ...


class _WrongColour(Tagger):
    """Tag requests."""

    @hookimpl
    def authorize(self, exchange: Any) -> None: ...  # type: ignore[override]


class _WrongArgument(Tagger):
    """Tag requests."""

    @hookimpl(priority=priorities.FIRST)
    async def authorize(self, request: Any) -> None: ...  # type: ignore[override]


CASES: list[Case] = [
    ("test_its_name_begins_with_its_kind", shown(_Sink, name="guardrail_lines")),
    ("test_its_name_begins_with_its_kind", shown(_Sink, name="Sink_Lines")),
    ("test_its_name_begins_with_its_kind", shown(_Sink, name="sink")),
    ("test_its_name_begins_with_its_kind", shown(_Sink, name="")),
    ("test_it_was_written_for_this_interface", broken(_Sink, api=2)),
    ("test_its_docstring_begins_with_a_line_that_says_what_it_is_for", broken(_Sink, __doc__=None)),
    ("test_its_docstring_begins_with_a_line_that_says_what_it_is_for", broken(_Sink, __doc__="One\ntwo.")),
    ("test_its_priority_and_failure_policy_are_values_of_the_sdk", broken(_Sink, priority="high")),
    ("test_its_priority_and_failure_policy_are_values_of_the_sdk", broken(_Sink, priority=-9999)),
    ("test_its_priority_and_failure_policy_are_values_of_the_sdk", broken(_Sink, on_error="open-ish")),
    ("test_its_settings_or_row_can_be_read_and_unknown_names_are_refused", broken(_Sink, Settings=_Loose)),
    (
        "test_its_settings_or_row_can_be_read_and_unknown_names_are_refused",
        broken(TestKindWithSettings, Settings=_Open),
    ),
    (
        "test_its_settings_or_row_can_be_read_and_unknown_names_are_refused",
        shown(TestKindWithRows, row={"word": 5}),
    ),
    ("test_what_it_contributes_to_resources_is_accepted", broken(TestKindWithRows, Row=_OwnerOfName)),
    (
        "test_its_methods_have_the_colour_and_arguments_of_their_kind",
        broken(_Sink, start=lambda self: None),
    ),
    (
        "test_its_methods_have_the_colour_and_arguments_of_their_kind",
        broken(_Sink, record=lambda self, request: None),
    ),
    (
        "test_its_methods_have_the_colour_and_arguments_of_their_kind",
        shown(TestPluginWithHooks, plugin=_Misspelt),
    ),
    (
        "test_its_methods_have_the_colour_and_arguments_of_their_kind",
        shown(TestPluginWithHooks, plugin=_WrongColour),
    ),
    (
        "test_its_methods_have_the_colour_and_arguments_of_their_kind",
        shown(TestPluginWithHooks, plugin=_WrongArgument),
    ),
    ("test_making_it_starts_nothing", broken(_Sink, __init__=_make_a_thread)),
    ("test_making_it_starts_nothing", broken(_Sink, __init__=_make_a_directory)),
    ("test_making_it_starts_nothing", broken(_Sink, __init__=_make_work)),
    ("test_it_leaves_nothing_running_behind", broken(_Sink, start=_start_a_task)),
    (
        "test_it_leaves_nothing_running_behind",
        shown(broken(_Sink, start=_start_a_thread), thread_seconds=0.05),
    ),
    ("test_it_can_be_stopped_twice", broken(_Sink, start=_note_start, stop=_stop_once)),
    ("test_it_can_be_stopped_without_having_been_started", broken(_Sink, start=_note_start, stop=_stop_once)),
    (
        "test_two_of_it_can_run_side_by_side",
        broken(_Sink, start=_take_the_only_place, stop=_leave_the_only_place),
    ),
    ("test_it_asks_only_for_services_that_it_declared", broken(_Sink, start=_ask_for_tokens)),
    ("test_it_asks_only_for_services_that_it_declared", broken(_Sink, needs=(Tokens,))),
]


@each_case(CASES)
def test_a_broken_plugin_fails(promise: str, contract: type[PluginContract]) -> None:
    _taken.clear()
    assert failure(contract, promise) is not None


def test_every_promise_of_a_plugin_can_be_broken() -> None:
    assert promises(PluginContract) == {promise for promise, _ in CASES}


def test_a_promise_without_examples_is_skipped_and_not_kept() -> None:
    with pytest.raises(LookupError, match="skipped"):
        failure(TestKindWithRows, "test_it_can_be_stopped_twice")


def test_an_example_that_cannot_be_read_names_what_is_required() -> None:
    found = failure(shown(TestKindWithRows, row={}), CASES[10][0])
    assert "'word'" in str(found)


def test_a_guardrail_of_the_sdk_itself_is_no_plugin() -> None:
    contract = shown(TestKindWithRows, plugin=Guardrail)
    assert failure(contract, "test_what_it_contributes_to_resources_is_accepted") is None
    assert failure(contract, "test_its_settings_or_row_can_be_read_and_unknown_names_are_refused") is not None
