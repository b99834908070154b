"""What the tests of cooling down share: workers over one state, and how an attempt ends."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

from hookway_plugins.resilience_cooldown import Cooldown
from hookway_plugins.resilience_cooldown.cooldown_rules import CooldownFields, CooldownSettings
from hookway_sdk import Attempt, Candidate, GatewayError, Health, Resource, walker
from hookway_sdk.shared_resources import ModelRow
from hookway_sdk.state import State
from hookway_sdk.testing import (
    FakeClock,
    ListedCompiler,
    ListedSnapshot,
    RecordingServices,
    make_candidate,
    make_deployment,
    make_exchange,
    make_model,
    make_provider_key,
    make_resource,
    make_services,
    make_snapshot,
)


def model_row(name: str, **written: Any) -> Resource:
    """Return an accepted row of ``models`` that is a deployment, or what ``written`` makes of it."""
    ours = {"cooldown": written.pop("cooldown")} if "cooldown" in written else {}
    if "routing" not in written:
        written = {"provider": "openai", "model_name": f"{name}-1", "provider_key_id": "account", **written}
    common = walker.convert({"display_name": name, **written}, ModelRow)
    own = walker.convert(ours, CooldownFields)
    fields = {one: getattr(struct, one) for struct in (common, own) for one in struct.__struct_fields__}
    return make_resource("models", SimpleNamespace(**fields), id=f"id-of-{name}")


def target(name: str, model: str = "", position: int = 0) -> Candidate:
    """Return a candidate whose row id is that of :func:`model_row`."""
    key = make_provider_key("account", provider="openai")
    row = SimpleNamespace(model_name="*" if "*" in name else f"{name}-1")
    deployment = make_deployment(name, model=model or f"{name}-1", key=key, row=row)
    return make_candidate(deployment=deployment, position=position)


@dataclasses.dataclass
class Worker:
    """One instance of the plugin, with the snapshot it compiled."""

    plugin: Cooldown
    services: RecordingServices
    snapshot: ListedSnapshot

    @property
    def clock(self) -> FakeClock:
        return self.services.clock

    def ends(self, candidate: Candidate, error: GatewayError | None = None, **facts: Any) -> Attempt:
        """Let an attempt end; ``facts`` are set on it, ``took`` is how long it was under way."""
        exchange = make_exchange(
            snapshot=self.snapshot, candidates=[candidate], model=make_model(shape="routing")
        )
        attempt = Attempt(0, "initial", candidate, self.clock.monotonic() - facts.pop("took", 0.0))
        attempt.dispatched = True
        attempt.error = error
        for name, value in facts.items():
            setattr(attempt, name, value)
        self.plugin.ended(exchange, attempt)
        return attempt

    async def left(self, *candidates: Candidate, shape: str = "routing") -> list[str]:
        """Return the names of the candidates that a request tries first."""
        exchange = make_exchange(snapshot=self.snapshot, candidates=candidates, model=make_model(shape=shape))
        await self.plugin.filter(exchange, exchange.plan)
        self.deferred = [one.name for one, _ in exchange.plan.deferred]
        self.reasons = [why for _, why in (*exchange.plan.deferred, *exchange.plan.excluded)]
        return [one.name for one in exchange.plan.candidates]

    async def cools(self, candidate: Candidate) -> bool:
        """Say whether requests that have another target keep away from this one."""
        return candidate.name not in await self.left(candidate, target("other"))

    async def health(self, name: str) -> Health | None:
        return (await self.plugin.health([f"id-of-{name}", "id-of-nobody"])).get(f"id-of-{name}")

    async def polls(self) -> None:
        """Let the second pass after which a worker tells and hears news."""
        await self.services.tasks.run_every()

    def count(self, model: str) -> float:
        labels = ("openai", model, f"{model}-1", "id-of-account")
        return self.services.metrics.value("deployment_cooled_down_total", *labels)


class Workers:
    """Starts workers, all of them on one clock and one state."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.state: State | None = None

    async def __call__(
        self, *rows: Resource, settings: dict[str, Any] | None = None, state: State | None = None
    ) -> Worker:
        services = make_services("resilience_cooldown", clock=self.clock, state=state or self.state)
        self.state = self.state or services.state
        read = walker.convert(settings or {}, CooldownSettings)
        plugin = Cooldown("resilience_cooldown", read, services)
        await plugin.start()
        compiler = ListedCompiler(make_snapshot(rows))
        plugin.compile(compiler)
        assert not compiler.rejected, compiler.rejected
        return Worker(plugin, services, compiler.snapshot)
