"""What a ``sink_`` plugin promises."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, ClassVar, get_args

import msgspec

from hookway_sdk.events import AttemptEnded, AuthDenied, ConfigApplied, Event, RequestEnded
from hookway_sdk.kinds.sink import Sink
from hookway_sdk.testing.contracts.garbage import ODD_TEXTS
from hookway_sdk.testing.contracts.plugin import PluginContract
from hookway_sdk.usage import Usage

_EVENTS: tuple[type, ...] = get_args(Event)


def plain_events() -> list[Event]:
    """Return one of each event, with nothing but what it needs."""
    return [
        RequestEnded(request_id="request-1"),
        AttemptEnded(request_id="request-1", index=0, kind="initial", at=1_700_000_000.0),
        AuthDenied(
            request_id="request-1",
            at=1_700_000_000.0,
            reason="unknown_key",
            method="api_key",
            endpoint="/v1/chat/completions",
            http_method="POST",
            path="/v1/chat/completions",
        ),
        ConfigApplied(at=1_700_000_000.0, kind="snapshot", revision=1, ok=True),
    ]


def full_events(text: str = "a text") -> list[Event]:
    """Return one of each event, with every field filled; texts are the one given."""
    return [_filled(event, text) for event in plain_events()]


def _filled(event: Event, text: str) -> Event:
    usage = Usage(10, 5, other={text: 1})
    values: dict[Any, Any] = {str: text, float: 12.5, int: 3, bool: True, Usage: usage}
    filled: dict[str, Any] = {
        one.name: values[one.type] for one in msgspec.structs.fields(type(event)) if one.type in values
    }
    whole = msgspec.structs.replace(event, **filled)
    for name, value in (
        ("tags", {text: text}),
        ("counts", {text: 3}),
        ("dropped", (text,)),
        ("problems", (text,)),
    ):
        if hasattr(whole, name):
            setattr(whole, name, value)
    return whole


class SinkContract(PluginContract):
    """Promises of a sink. Where it needs another service, override ``services``."""

    plugin: ClassVar[type[Sink[Any]]]

    def events(self, candidates: Sequence[Event]) -> list[Event]:
        """Return those it wants."""
        return [event for event in candidates if isinstance(event, self.plugin.events)]

    def test_it_wants_events_that_there_are(self) -> None:
        assert self.plugin.events, "it wants no events at all"
        strangers = [one.__name__ for one in self.plugin.events if one not in _EVENTS]
        assert not strangers, f"no such events: {strangers}"

    async def test_it_takes_every_event_it_wants(self) -> None:
        services = self.services()
        async with self.running(services) as sink:
            for event in self.events([*plain_events(), *full_events()]):
                assert sink.record(event) is None, "record answers nothing, and is not waited for"
            services.tasks.run_ticks()

    async def test_it_takes_events_with_odd_texts(self) -> None:
        services = self.services()
        async with self.running(services) as sink:
            for text in ODD_TEXTS:
                for event in self.events(full_events(text)):
                    sink.record(event)
            services.tasks.run_ticks()

    async def test_it_leaves_events_as_they_were(self) -> None:
        services = self.services()
        async with self.running(services) as sink:
            for event in self.events(full_events()):
                before = copy.deepcopy(event)
                sink.record(event)
                services.tasks.run_ticks()
                assert event == before, f"{type(event).__name__} has changed; other sinks read it too"

    async def test_it_waits_for_nothing_while_it_records(self) -> None:
        services = self.services()
        async with self.running(services) as sink:
            started = len(services.http.calls)
            for event in self.events(full_events()):
                sink.record(event)
            assert len(services.http.calls) == started, "record sends; buffer, and send on a tick"

    async def test_nothing_happens_on_a_tick_without_events(self) -> None:
        services = self.services()
        async with self.running(services):
            services.tasks.run_ticks(3)
            assert services.log.events("error") == [], "it complains about an empty tick"

    async def test_an_event_after_the_stop_harms_nobody(self) -> None:
        async with self.running() as sink:
            pass
        for event in self.events(plain_events()):
            sink.record(event)
