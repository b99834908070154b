"""What stops a start: each message names both sides and the way out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import pluggy
import pytest

import hookway.loading
import hookway.testing
from hookway.discovery import Installed
from hookway.testing import GatewayFactory, TestEntryPoint
from hookway_sdk import (
    Candidate,
    Dialect,
    Endpoint,
    Exchange,
    GatewayError,
    Guardrail,
    Limit,
    NoSettings,
    Plugin,
    PluginError,
    Provider,
    Registry,
    Reply,
    Row,
    Service,
    Settings,
    StartError,
    Store,
    Strategy,
    hookimpl,
)
from hookway_sdk.clock import SystemClock
from hookway_sdk.memory_state import MemoryState


def refusal(gateway: GatewayFactory, plugins: dict[str, Any], settings: Any = None, **more: Any) -> str:
    """Return why a gateway does not start.

    Raises:
        AssertionError: it starts, or fails by something that is no refusal.
    """
    with pytest.raises(StartError) as told:
        gateway(settings, plugins=plugins, **more)
    return str(told.value)


def install(monkeypatch: pytest.MonkeyPatch, *more: Installed) -> None:
    """Let a gateway under test find further installed plugins."""
    find = hookway.testing.find_installed
    monkeypatch.setattr(hookway.testing, "find_installed", lambda: find() | {one.name: one for one in more})


# ── hooks ───────────────────────────────────────────────────────────────────────────────────


class PlainAuthenticate(Plugin[NoSettings]):
    @hookimpl
    def authenticate(self, exchange: Exchange) -> None:
        return None


class AsyncSettle(Plugin[NoSettings]):
    @hookimpl
    async def settle(self, exchange: Exchange) -> None:
        return None


class StrangeArgument(Plugin[NoSettings]):
    @hookimpl
    async def authorize(self, request: Exchange) -> None:
        return None


class NoArgument(Plugin[NoSettings]):
    @hookimpl
    async def authorize(self) -> None:
        return None


class Misspelt(Plugin[NoSettings]):
    @hookimpl
    async def admit_requests(self, exchange: Exchange) -> None:
        return None


class TriesFirst(Plugin[NoSettings]):
    @pluggy.HookimplMarker("hookway")(tryfirst=True)
    async def authorize(self, exchange: Exchange) -> None:
        return None


class Wraps(Plugin[NoSettings]):
    @pluggy.HookimplMarker("hookway")(wrapper=True)
    def record(self, event: object) -> Any:
        yield


class HookedLimit(Limit[NoSettings]):
    @hookimpl
    async def admit_request(self, exchange: Exchange) -> None:
        return None


HOOKS: list[tuple[type[Any], tuple[str, ...]]] = [
    (PlainAuthenticate, ("hook authenticate", "'async def'")),
    (AsyncSettle, ("hook settle", "'def'")),
    (StrangeArgument, ("authorize", "request", "exchange")),
    (NoArgument, ("hook authorize", "takes exactly (exchange)")),
    (Misspelt, ("'admit_requests'", "did you mean 'admit_request'?")),
    (TriesFirst, ("hook authorize", "use hookimpl(priority=…)")),
    (Wraps, ("hook record", "use hookimpl(priority=…)")),
    (HookedLimit, ("kind HookedLimit implements a hook", "put hooks on a Plugin class")),
]


@pytest.mark.parametrize(("cls", "says"), HOOKS, ids=[one.__name__ for one, _ in HOOKS])
def test_a_hook_that_cannot_be_called_is_refused(
    gateway: GatewayFactory, cls: type[Any], says: tuple[str, ...]
) -> None:
    told = refusal(gateway, {"hook_wrong": cls})
    assert told.startswith("plugin 'hook_wrong': ")
    for part in says:
        assert part in told
    assert " object at 0x" not in told


# ── two owners of one thing ─────────────────────────────────────────────────────────────────


class Ping(Endpoint):
    path = "/ping"
    protocol = "test"

    def error_body(self, error: GatewayError, request_id: str) -> bytes:
        return b"{}"

    async def answer(self, exchange: Exchange) -> Reply:
        return Reply(b"{}")


class Pinging(Dialect[NoSettings]):
    def endpoints(self) -> Sequence[Endpoint]:
        return [Ping()]


class Chatty(Dialect[NoSettings]):
    def endpoints(self) -> Sequence[Endpoint]:
        class Chat(Ping):
            path = "/v1/chat/completions"

        return [Chat()]


class Acme(Provider[NoSettings]):
    adapters = ("acme",)
    wires = ("openai.chat",)


class InOrder(Strategy[NoSettings]):
    async def order(self, exchange: Exchange, group: str, tier: Sequence[Candidate]) -> Sequence[Candidate]:
        return tier


class TwoStrategies(Plugin[NoSettings]):
    kinds = (InOrder, InOrder)


class Clerk(Protocol):
    """A service of tests."""


class OneClerk(Service[NoSettings]):
    provides = Clerk


class Shouting(Guardrail[Row]):
    pass


class ShoutingToo(Plugin[NoSettings]):
    @classmethod
    @hookimpl
    def register_resources(cls, registry: Registry) -> None:
        registry.variant("guardrails", kind="shout", row=Row)


class Rating(Row):
    rating: int = 0


class RatesKeys(Plugin[NoSettings]):
    @classmethod
    @hookimpl
    def register_resources(cls, registry: Registry) -> None:
        registry.fields("api_keys", Rating)


class Renames(Plugin[NoSettings]):
    @classmethod
    @hookimpl
    def register_resources(cls, registry: Registry) -> None:
        class Team(Row):
            team_id: str = ""

        registry.fields("api_keys", Team)


class Strict(Plugin[NoSettings]):
    @classmethod
    @hookimpl
    def register_resources(cls, registry: Registry) -> None:
        class Needed(Row):
            needed: str

        registry.fields("api_keys", Needed)


class Lost(Plugin[NoSettings]):
    @classmethod
    @hookimpl
    def register_resources(cls, registry: Registry) -> None:
        registry.fields("nowhere", Rating)


class Remembers(Store[NoSettings]):
    def state(self) -> MemoryState:
        return MemoryState(SystemClock())


OWNERS: list[tuple[str, dict[str, type[Any]], tuple[str, ...]]] = [
    ("endpoint", {"op_a": Pinging, "op_b": Pinging}, ("op_a", "op_b", "POST /ping", "disable one")),
    (
        "endpoint of an installed plugin",
        {"op_chat": Chatty},
        ("dialect_openai", "op_chat", "POST /v1/chat/completions", "disable one"),
    ),
    (
        "adapter",
        {"provider_a": Acme, "provider_b": Acme},
        ("provider_a", "provider_b", "'acme'", "disable one"),
    ),
    ("strategy", {"strategy_two": TwoStrategies}, ("strategy_two", "strategy 'two'")),
    (
        "service",
        {"service_a": OneClerk, "service_b": OneClerk},
        ("service_a", "service_b", "Clerk", "enable one"),
    ),
    (
        "variant",
        {"guardrail_shout": Shouting, "hook_shout": ShoutingToo},
        ("guardrail_shout", "hook_shout", "'shout'"),
    ),
    ("field", {"hook_a": RatesKeys, "hook_b": RatesKeys}, ("hook_a", "hook_b", "'rating'", "api_keys")),
    ("field of the SDK", {"hook_a": Renames}, ("hook_a", "the SDK", "'team_id'")),
    ("store", {"store_mine": Remembers}, ("store_mine", "store_memory", "exactly one store")),
]


@pytest.mark.parametrize(("plugins", "says"), [one[1:] for one in OWNERS], ids=[one[0] for one in OWNERS])
def test_two_owners_of_one_thing_are_refused(
    gateway: GatewayFactory, plugins: dict[str, type[Any]], says: tuple[str, ...]
) -> None:
    told = refusal(gateway, plugins)
    for part in says:
        assert part in told


def test_a_field_without_a_default_is_refused(gateway: GatewayFactory) -> None:
    told = refusal(gateway, {"hook_strict": Strict})
    assert told == "plugin 'hook_strict': field 'needed' of 'api_keys' needs a default"


def test_a_contribution_to_a_collection_that_nobody_has_is_refused(gateway: GatewayFactory) -> None:
    told = refusal(gateway, {"hook_lost": Lost})
    assert "plugin 'hook_lost'" in told
    assert "no collection 'nowhere'" in told


# ── loading ─────────────────────────────────────────────────────────────────────────────────


class FromTheFuture(Limit[NoSettings]):
    api = 2


class Needy(Limit[NoSettings]):
    needs = (Clerk,)


def not_a_plugin() -> None:
    """Do nothing."""


def test_a_plugin_for_another_sdk_is_refused(gateway: GatewayFactory) -> None:
    told = refusal(gateway, {"limit_future": FromTheFuture})
    assert "plugin 'limit_future'" in told
    assert "interface 2" in told
    assert "this gateway has 1" in told
    assert "install a version" in told


def test_a_missing_service_is_named_with_its_package(gateway: GatewayFactory) -> None:
    told = refusal(gateway, {"limit_needy": Needy})
    assert "plugin 'limit_needy'" in told
    assert "service Clerk" in told
    assert "pip install hookway-service-clerk" in told


def test_a_provided_service_is_found_whatever_the_order(gateway: GatewayFactory) -> None:
    running = gateway(plugins={"limit_needy": Needy, "service_clerk": OneClerk})
    plugins = running.gateway.serve.runtime.plugins
    assert plugins["limit_needy"].services.get(Clerk) is plugins["service_clerk"].entries[0]


def test_an_entry_point_that_is_no_plugin_is_refused(
    gateway: GatewayFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, Installed("hook_odd", "odd-package", "1", TestEntryPoint("hook_odd", not_a_plugin)))
    told = refusal(gateway, {}, {"plugins": {"hook_odd": {}}})
    assert "plugin 'hook_odd'" in told
    assert "not_a_plugin" in told
    assert "neither a kind nor a Plugin class" in told


class BrokenEntryPoint:
    """An entry point whose module cannot be imported."""

    name = "limit_broken"
    value = "broken_package:Limit"

    def load(self) -> Any:
        raise ModuleNotFoundError("No module named 'redis'")


def test_a_plugin_that_cannot_be_imported_is_named_with_its_package(
    gateway: GatewayFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, Installed("limit_broken", "broken-package", "1", BrokenEntryPoint()))
    told = refusal(gateway, {}, {"plugins": {"limit_broken": {}}})
    assert "plugin 'limit_broken'" in told
    assert "No module named 'redis'" in told
    assert "reinstall broken-package, or set enabled: false" in told


def test_a_plugin_that_is_off_may_be_broken(gateway: GatewayFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, Installed("limit_broken", "broken-package", "1", BrokenEntryPoint()))
    running = gateway({"plugins": {"limit_broken": {"enabled": False}}})
    assert running.chat("hello").status == 200


def test_an_unknown_plugin_is_refused_with_file_line_nearest_name_and_package(
    gateway: GatewayFactory,
) -> None:
    told = refusal(gateway, {}, {"plugins": {"auth_kees": {}}})
    assert "10-test.yaml:1" in told
    assert "auth_kees" in told
    assert "did you mean 'auth_keys'?" in told
    # What somebody waits for who counts on misspellings is not what to install.
    assert "pip install" not in told
    told = refusal(gateway, {}, {"plugins": {"budget_of_a_third_party": {}}})
    assert "pip install hookway-budget-of-a-third-party" in told


def test_an_unknown_plugin_that_is_off_is_refused_as_well(gateway: GatewayFactory) -> None:
    told = refusal(gateway, {}, {"plugins": {"auth_kees": {"enabled": False}}})
    assert "did you mean 'auth_keys'?" in told


class Box(Settings):
    """Settings of a box.

    Args:
        size: how large it is.
        colour: how it looks.
    """

    size: int = 1
    colour: str = "red"


class Boxed(Limit[Box]):
    pass


def test_bad_settings_are_told_all_at_once_with_file_and_line(gateway: GatewayFactory) -> None:
    settings = {"plugins": {"limit_box": {"size": "large", "color": "blue"}}, "proxy": {"address": "x"}}
    told = refusal(gateway, {"limit_box": Boxed}, settings)
    lines = told.splitlines()
    assert len(lines) == 4, told
    assert any("plugins.limit_box.size" in line and "10-test.yaml:1" in line for line in lines)
    assert any("plugins.limit_box.color" in line and "did you mean 'colour'?" in line for line in lines)
    assert any("proxy.address" in line and "20-test.yaml:1" in line for line in lines)


# ── starting ────────────────────────────────────────────────────────────────────────────────


def starter(name: str, said: list[str], start: Callable[[], Any] | None = None) -> type[Limit[Any]]:
    """Return a limit that says when it starts and stops."""

    class Starter(Limit[Any]):
        async def start(self) -> None:
            said.append(f"{name} start")
            if start is not None:
                await start()

        async def stop(self) -> None:
            said.append(f"{name} stop")

    return Starter


async def explode() -> None:
    """Fail as a plugin fails whose service is away."""
    raise ConnectionRefusedError("nobody listens on port 5432")


async def hang() -> None:
    """Never come back."""
    await asyncio.sleep(600)


def test_a_plugin_that_does_not_start_is_named_and_what_had_started_is_stopped(
    gateway: GatewayFactory,
) -> None:
    said: list[str] = []
    told = refusal(
        gateway,
        {
            "limit_a": starter("a", said),
            "limit_b": starter("b", said),
            "limit_c": starter("c", said, explode),
            "limit_d": starter("d", said),
        },
    )
    assert told == ("plugin 'limit_c': did not start: ConnectionRefusedError: nobody listens on port 5432")
    assert said == ["a start", "b start", "c start", "b stop", "a stop"]


def test_a_plugin_that_hangs_in_start_is_given_up(
    gateway: GatewayFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hookway.loading, "START_TIMEOUT", 0.05)
    said: list[str] = []
    told = refusal(gateway, {"limit_a": starter("a", said), "limit_b": starter("b", said, hang)})
    assert told == "plugin 'limit_b': did not start within 0.05 s"
    assert said == ["a start", "b start", "a stop"]


def test_a_plugin_s_own_refusal_stands_as_it_is(gateway: GatewayFactory) -> None:
    async def refuse() -> None:
        raise PluginError("limit_a", "the licence has expired; renew it")

    told = refusal(gateway, {"limit_a": starter("a", [], refuse)})
    assert told == "plugin 'limit_a': the licence has expired; renew it"


def test_tasks_of_a_plugin_that_did_not_start_end(gateway: GatewayFactory) -> None:
    ended: list[str] = []

    class Working(Limit[NoSettings]):
        async def start(self) -> None:
            self.services.tasks.start("work", self._work)
            await asyncio.sleep(0)
            await explode()

        async def _work(self) -> None:
            try:
                await asyncio.sleep(600)
            finally:
                ended.append("work")

    refusal(gateway, {"limit_working": Working})
    assert ended == ["work"]


def test_parts_of_a_plugin_that_had_started_are_stopped_in_reverse(gateway: GatewayFactory) -> None:
    said: list[str] = []

    class Whole(Plugin[NoSettings]):
        kinds = (starter("one", said), starter("two", said), starter("three", said, explode))

        async def start(self) -> None:
            said.append("whole start")

        async def stop(self) -> None:
            said.append("whole stop")

    refusal(gateway, {"limit_whole": Whole})
    assert said == [
        "whole start",
        "one start",
        "two start",
        "three start",
        "two stop",
        "one stop",
        "whole stop",
    ]
