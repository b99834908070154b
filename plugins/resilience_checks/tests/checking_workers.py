"""What the tests of background checks share: workers over one state, and models that answer as told."""

from __future__ import annotations

import asyncio
import dataclasses
from types import SimpleNamespace
from typing import Any

from hookway_plugins.resilience_checks import BackgroundChecks
from hookway_plugins.resilience_checks.check_fields import CheckFields, CheckSettings, GroupFields
from hookway_sdk import (
    Attempt,
    Candidate,
    Charge,
    ChatAnswer,
    ChatRequest,
    GatewayError,
    Health,
    Resource,
    walker,
)
from hookway_sdk.shared_resources import ModelRow
from hookway_sdk.state import State
from hookway_sdk.testing import (
    FakeClock,
    ListedCompiler,
    RecordingServices,
    make_candidate,
    make_deployment,
    make_exchange,
    make_model,
    make_resource,
    make_services,
    make_snapshot,
)

CHECK = {
    "enabled": True,
    "interval_seconds": 10,
    "timeout_seconds": 2,
    "prompt": "ping",
    "max_tokens": 1,
    "stale_after_seconds": 60,
}


def checked(name: str, *, written: dict[str, Any] | None = None, **changed: Any) -> Resource:
    """Return an accepted row of ``models`` that is checked; ``written`` are further fields of the row."""
    own = walker.convert({"background_model_check": {**CHECK, **changed}}, CheckFields)
    return row(name, own, written or {})


def unchecked(name: str) -> Resource:
    """Return an accepted row of ``models`` that is not checked."""
    return row(name, CheckFields(), {})


def row(name: str, own: CheckFields, written: dict[str, Any]) -> Resource:
    direct = {"provider": "openai", "model_name": f"{name}-1", "provider_key_id": "account"}
    common = walker.convert({"display_name": name, **(written or direct)}, ModelRow)
    fields = {one: getattr(struct, one) for struct in (common, own) for one in struct.__struct_fields__}
    return make_resource("models", SimpleNamespace(**fields), id=f"id-of-{name}")


def target(name: str) -> Candidate:
    """Return a candidate whose row id is that of :func:`checked`."""
    return make_candidate(deployment=make_deployment(name))


class Models:
    """Models that are asked by nested calls.

    Attributes:
        says: what each raises, by name; the others answer.
        asked: who was asked, in order.
        requests: what they were asked.
        hanging: those that never answer.
        busy: how many are being asked now, and were at most.
    """

    def __init__(self) -> None:
        self.says: dict[str, GatewayError] = {}
        self.asked: list[str] = []
        self.requests: list[tuple[ChatRequest, Any, Charge]] = []
        self.hanging: set[str] = set()
        self.busy = 0
        self.busiest = 0

    async def __call__(
        self, model: str, request: ChatRequest, *, parent: Any, charge: Charge = Charge.PARENT
    ) -> ChatAnswer:
        self.asked.append(model)
        self.requests.append((request, parent, charge))
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        try:
            await asyncio.sleep(0)
            if model in self.hanging:
                await asyncio.Event().wait()
            if model in self.says:
                raise self.says[model]
            return ChatAnswer()
        finally:
            self.busy -= 1

    def asked_since(self) -> list[str]:
        asked, self.asked = self.asked, []
        return asked


@dataclasses.dataclass
class Worker:
    """One instance of the plugin."""

    plugin: BackgroundChecks
    services: RecordingServices
    compiler: ListedCompiler

    def compile(self, *rows: Resource) -> ListedCompiler:
        """Compile another snapshot, which serves from now on."""
        self.compiler = ListedCompiler(make_snapshot(rows))
        self.plugin.compile(self.compiler)
        return self.compiler

    async def passes(self, seconds: float = 0.0) -> None:
        """Let time pass in steps of a second, with all that happens in one."""
        while True:
            await self.services.tasks.run_every()
            await self.plugin._schedule.work_off()
            if seconds <= 0:
                break
            self.services.clock.advance(min(seconds, 1.0))
            seconds -= 1.0

    async def left(self, *names: str, shape: str = "routing", when: str = "fail") -> list[str]:
        """Return the names of the candidates that a request may try."""
        group = walker.convert({"when_all_unavailable": when}, GroupFields)
        model = make_model(shape=shape, row=SimpleNamespace(routing=group if shape == "routing" else None))
        candidates = [target(name) for name in names]
        exchange = make_exchange(snapshot=self.compiler.snapshot, candidates=candidates, model=model)
        await self.plugin.filter(exchange, exchange.plan)
        self.reasons = [why for _, why in exchange.plan.excluded]
        return [one.name for one in exchange.plan.candidates]

    def served(self, name: str, error: GatewayError | None = None, took: float = 0.0) -> None:
        """Let an attempt of a client's request end."""
        candidate = target(name)
        exchange = make_exchange(snapshot=self.compiler.snapshot, candidates=[candidate])
        attempt = Attempt(0, "initial", candidate, self.services.clock.monotonic() - took)
        attempt.dispatched = True
        attempt.error = error
        self.plugin.ended(exchange, attempt)

    async def health(self, name: str) -> Health | None:
        return (await self.plugin.health([f"id-of-{name}", "id-of-nobody"])).get(f"id-of-{name}")

    def counted(self, name: str) -> dict[str, float]:
        values = self.services.metrics.declared["model_checks_total"].values
        return {result: value for (model, result), value in values.items() if model == name}

    @property
    def told(self) -> list[tuple[str, str]]:
        """Event and model of every line of the log from ``info`` on."""
        lines = [line for line in self.services.log.lines if line.level != "debug"]
        return [(line.event, line.fields.get("model", "")) for line in lines]


class Workers:
    """Starts workers, all of them on one clock, one state and the same models."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.state: State | None = None
        self.models = Models()

    async def __call__(self, *rows: Resource, settings: dict[str, Any] | None = None) -> Worker:
        services = make_services("resilience_checks", clock=self.clock, state=self.state)
        services.call = self.models  # type: ignore[assignment]
        self.state = services.state
        plugin = BackgroundChecks(
            "resilience_checks", walker.convert(settings or {}, CheckSettings), services
        )
        await plugin.start()
        one = Worker(plugin, services, ListedCompiler())
        one.compile(*rows)
        assert not one.compiler.rejected, one.compiler.rejected
        return one
