"""Ask models in the background whether they work, and avoid those that do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hookway_plugins.resilience_checks.check import Check, Finding, ask
from hookway_plugins.resilience_checks.check_fields import CheckFields, CheckSettings, GroupFields
from hookway_plugins.resilience_checks.schedule import Schedule
from hookway_sdk import (
    Attempt,
    Compiled,
    Compiler,
    Exchange,
    Family,
    Health,
    Plan,
    Registry,
    Resilience,
    Resource,
    Services,
    priorities,
)
from hookway_sdk.shared_notes import Note, SharedNotes

CHECKS: Compiled[Mapping[str, Check]] = Compiled("resilience_checks.checks")
"""The models that are checked, by row id."""

FAILED = "background_check_failed"
IGNORED = "ignored_transient_error"


class BackgroundChecks(Resilience[CheckSettings]):
    """Asks models in the background whether they work, and keeps requests of groups away from the others.

    ``compile`` hands the models of the newest snapshot to :class:`Schedule`; results are shared between
    workers, and outlive a reload, through :class:`SharedNotes`. ``filter`` reads a dict of this process.
    """

    # Before cooldowns: those leave alone what is the last choice, and that is a choice among the healthy.
    priority = priorities.NORMAL - 20
    filters_direct = False

    def __init__(self, name: str, settings: CheckSettings, services: Services) -> None:
        super().__init__(name, settings, services)
        self._notes = SharedNotes(services, newer)
        self._ends = self._notes.ends
        self._schedule = Schedule(services, self.check, settings.concurrency)
        self._made: dict[Resource, Check] = {}
        self._results: Family | None = None

    @classmethod
    def register_resources(cls, registry: Registry) -> None:
        """Add the fields of models and of groups."""
        registry.fields("models", CheckFields)
        registry.fields("models.routing", GroupFields)

    async def start(self) -> None:
        """Read what other workers found, and begin to check."""
        self._results = self.services.metrics.counter(
            "model_checks_total", "Background checks of models.", ("model", "result")
        )
        await self._notes.start()
        self._schedule.start()

    async def stop(self) -> None:
        """Leave the checks to other workers, and tell them what was found."""
        self._schedule.stop()
        await self._notes.stop()

    def compile(self, compiler: Compiler) -> None:
        """Make the list of models to check; unchanged rows keep their place in the schedule."""
        made: dict[Resource, Check] = {}
        for resource in compiler.snapshot.rows("models"):
            row = resource.row.background_model_check
            if row is None:
                continue
            if reason := unfit(resource):
                compiler.reject(resource, reason)
            elif row.enabled:
                known = self._made.get(resource)
                made[resource] = known or Check(
                    resource.id, resource.name, row, frozenset(row.ignore_statuses)
                )
        self._made = made
        checks = {check.id: check for check in made.values()}
        # The newest snapshot is the one that serves a moment later; should it be refused after all, checks of
        # models that nobody can call come to nothing.
        self._schedule.checks = checks
        compiler.put(CHECKS, checks)

    async def filter(self, exchange: Exchange, plan: Plan) -> None:
        """Take out the candidates whose check failed; all of them only if their group says so."""
        if self._ends and exchange.model.shape != "direct":
            self._exclude(exchange, plan)

    def ended(self, exchange: Exchange, attempt: Attempt) -> None:
        """Count a model as well again when it served a request."""
        if attempt.error is None and self._ends:
            self._succeeded(attempt)

    async def health(self, models: Sequence[str]) -> Mapping[str, Health]:
        """Return the models whose last check was no success."""
        found: dict[str, Health] = {}
        for id in models:
            note = self._notes.get(id) if id in self._schedule.checks else None
            if note is not None:
                found[id] = Health(
                    "unhealthy" if note.acts else "healthy", note.reason, 0.0, note.at, note.status
                )
        return found

    async def check(self, check: Check) -> None:
        """Ask one model and note what comes of it."""
        began = self.services.clock.now()
        finding = await ask(self.services, check)
        if self._results is not None:
            self._results.add(1.0, check.name, finding.result)
        if finding.result == "ok":
            self._recovered(check.id, check.name, began)
        elif finding.noted:
            self._note(check, finding)
        else:
            self.services.log.debug("model_check_refused", model=check.name, error=finding.error)

    # ── inside ──────────────────────────────────────────────────────────────────────────────

    def _note(self, check: Check, finding: Finding) -> None:
        now = self.services.clock.now()
        end = now + check.row.stale_after_seconds
        if finding.result == "ignored":
            known = self._notes.get(check.id)
            acts = known is not None and known.acts
            if known is not None and acts:
                end = known.end
            self._notes.put(check.id, Note(end, now, IGNORED, finding.status, acts))
        elif self._notes.put(check.id, Note(end, now, FAILED, finding.status)):
            self.services.log.warning(
                "model_unhealthy", model=check.name, status=finding.status, error=finding.error
            )

    def _recovered(self, id: str, name: str, began: float) -> None:
        note = self._notes.clear(id, began)
        if note is not None and note.acts:
            self.services.log.info("model_healthy_again", model=name)

    def _exclude(self, exchange: Exchange, plan: Plan) -> None:
        ends, now = self._ends, self.services.clock.monotonic()
        checks = exchange.snapshot.compiled(CHECKS)
        # A model that is not checked any more is as good as any, whatever was found before.
        down = [
            candidate
            for candidate in plan.candidates
            if ends.get(candidate.deployment.id, 0.0) > now and candidate.deployment.id in checks
        ]
        if len(down) == len(plan.candidates) and tries_anyway(exchange):
            return
        for candidate in down:
            note = self._notes.get(candidate.deployment.id)
            status = f" (status {note.status})" if note is not None and note.status else ""
            plan.exclude(candidate, f"unhealthy: its background check failed{status}")

    def _succeeded(self, attempt: Attempt) -> None:
        deployment = attempt.candidate.deployment
        if deployment.id in self._ends:
            clock = self.services.clock
            began = clock.now() - (clock.monotonic() - attempt.started)
            self._recovered(deployment.id, deployment.name, began)


def newer(stands: Note, comes: Note) -> Note:
    """Let the latest result count."""
    return comes if comes.at >= stands.at else stands


def unfit(resource: Resource) -> str:
    """Return why a model cannot be checked, ``""`` if it can."""
    if resource.row.provider is None:
        return (
            "only a model at a provider can be checked; set background_model_check on the models it routes to"
        )
    if "*" in resource.name:
        return (
            "a wildcard is no model that could be asked; "
            "give the model to check a row of its own, with background_model_check"
        )
    return ""


def tries_anyway(exchange: Exchange) -> bool:
    """Say whether a group tries its targets though checks have failed for all of them."""
    routing = getattr(exchange.model.row, "routing", None)
    return getattr(routing, "when_all_unavailable", "fail") == "try_anyway"
