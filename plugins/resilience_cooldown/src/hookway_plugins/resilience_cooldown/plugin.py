"""Keep requests away from targets that have just failed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from hookway_plugins.resilience_cooldown.cooldown_rules import (
    CooldownFields,
    CooldownSettings,
    Rule,
    Rules,
    rule_of,
)
from hookway_plugins.resilience_cooldown.failures import Cause, cause_of
from hookway_sdk import (
    Attempt,
    Compiled,
    Compiler,
    Deployment,
    Exchange,
    Family,
    GatewayError,
    Health,
    Plan,
    Registry,
    Resilience,
    Services,
    priorities,
)
from hookway_sdk.shared_notes import Note, SharedNotes

RULES: Compiled[Rules] = Compiled("resilience_cooldown.rules")
"""What makes each model cool down."""

LONGEST_NAME = 200
"""Characters of a wildcard's model name that tell it from others; the name is the caller's choice."""


class Cooldown(Resilience[CooldownSettings]):
    """Keeps requests of model groups away from targets that have just failed.

    Cooling targets are put off until all others have failed, or left out while another one is left.
    ``filter`` reads a dict of this process; what is in it is shared with other workers, and outlives a
    reload, through :class:`SharedNotes`.
    """

    priority = priorities.NORMAL
    filters_direct = False

    def __init__(self, name: str, settings: CooldownSettings, services: Services) -> None:
        super().__init__(name, settings, services)
        self._notes = SharedNotes(services, later_end)
        self._ends = self._notes.ends
        self._usual = rule_of(settings)
        self._rules = Rules(self._usual, {})
        self._cooled_down: Family | None = None

    @classmethod
    def register_resources(cls, registry: Registry) -> None:
        """Add the field of models."""
        registry.fields("models", CooldownFields)

    async def start(self) -> None:
        """Read which targets cool down already."""
        self._cooled_down = self.services.metrics.counter(
            "deployment_cooled_down_total",
            "How often a target began to cool down.",
            ("provider", "model", "upstream_model", "provider_key_id"),
        )
        await self._notes.start()

    async def stop(self) -> None:
        """Tell the other workers what they do not know yet."""
        await self._notes.stop()

    def compile(self, compiler: Compiler) -> None:
        """Make the rules of models that say something of their own."""
        own: dict[str, Rule] = {}
        for resource in compiler.snapshot.rows("models"):
            said = resource.row.cooldown
            if said is None:
                continue
            if resource.row.provider is None:
                compiler.reject(
                    resource,
                    "only a model at a provider cools down; set cooldown on the models it routes to",
                )
                continue
            own[resource.id] = rule_of(self.settings, said)
        self._rules = Rules(self._usual, own)
        compiler.put(RULES, self._rules)

    async def filter(self, exchange: Exchange, plan: Plan) -> None:
        """Put off the candidates that cool down, unless all of them do."""
        if self._ends and exchange.model.shape != "direct":
            self._put_off(exchange, plan)

    def ended(self, exchange: Exchange, attempt: Attempt) -> None:
        """Let a target cool down after a failure of its own, and be well again after a success."""
        error = attempt.error
        if error is None:
            if self._ends:
                self._succeeded(attempt)
        elif attempt.dispatched:
            self._failed(exchange, attempt, error)

    async def health(self, models: Sequence[str]) -> Mapping[str, Health]:
        """Return the models that cool down; of a wildcard, the name that does so longest."""
        found: dict[str, Health] = {}
        wanted = frozenset(models)
        for key, note in self._notes.running():
            model = key.partition("\0")[0]
            if model in wanted and self._rules.of(model).enabled:
                known = found.get(model)
                if known is None or known.until < note.end:
                    found[model] = Health("cooldown", note.reason, note.end, note.at, note.status)
        return found

    # ── inside ──────────────────────────────────────────────────────────────────────────────

    def _put_off(self, exchange: Exchange, plan: Plan) -> None:
        ends, now = self._ends, self.services.clock.monotonic()
        rules = exchange.snapshot.compiled(RULES)
        cooling = []
        for candidate in plan.candidates:
            deployment = candidate.deployment
            end = ends.get(key_of(deployment), 0.0)
            # An operator who has just turned it off wants the target back at once.
            if end > now and rules.of(deployment.id).enabled:
                cooling.append((candidate, end))
        if len(cooling) == len(plan.candidates):
            return
        defer = plan.defer if self.settings.last_resort else plan.exclude
        for candidate, end in cooling:
            note = self._notes.get(key_of(candidate.deployment))
            why = f" ({note.reason})" if note is not None else ""
            defer(candidate, f"cooling down for {math.ceil(end - now)} s{why}")

    def _succeeded(self, attempt: Attempt) -> None:
        deployment = attempt.candidate.deployment
        key = key_of(deployment)
        if key not in self._ends:
            return
        clock = self.services.clock
        began = clock.now() - (clock.monotonic() - attempt.started)
        if self._notes.clear(key, began) is not None:
            self.services.log.info(
                "target_recovered", model=deployment.name, upstream_model=deployment.model[:LONGEST_NAME]
            )

    def _failed(self, exchange: Exchange, attempt: Attempt, error: GatewayError) -> None:
        deployment = attempt.candidate.deployment
        cause = cause_of(error, exchange.snapshot.compiled(RULES).of(deployment.id))
        if cause is None:
            return
        now = self.services.clock.now()
        note = Note(now + cause.seconds, now, cause.reason, cause.status)
        if self._notes.put(key_of(deployment), note):
            self._tell(deployment, cause)

    def _tell(self, deployment: Deployment, cause: Cause) -> None:
        self.services.log.warning(
            "target_cools_down",
            model=deployment.name,
            upstream_model=deployment.model[:LONGEST_NAME],
            reason=cause.reason,
            status=cause.status,
            seconds=cause.seconds,
        )
        if self._cooled_down is not None:
            labels = (
                *(deployment.provider, deployment.name),
                *(deployment.model_as_written, deployment.key.id),
            )
            self._cooled_down.add(1.0, *(label or "unknown" for label in labels))


def later_end(stands: Note, comes: Note) -> Note:
    """Let the cooldown count that lasts longer: a shorter one never lets a target back early."""
    return comes if comes.end > stands.end else stands


def key_of(deployment: Deployment) -> str:
    """Return what a target's cooldown is kept under: its row, and of a wildcard the model as well.

    A provider that is short of one model is not short of all those that the row stands for.
    """
    if "*" in deployment.name:
        return f"{deployment.id}\0{deployment.model[:LONGEST_NAME]}"
    return deployment.id
