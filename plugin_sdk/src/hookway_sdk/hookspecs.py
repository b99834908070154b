"""Every hook, in the order a request meets them.

A hook is for work that is none of the kinds: tag a request, add a header, choose a tenant, refuse by
a rule of one's own. A kind never implements the hook of its own phase: one way to do a thing.

Cold hooks come first; pluggy calls them at start. The others are named after their phase. Their
implementations stand in the phase's compiled chain among the steps of the kinds, sorted by
(priority, plugin name), and take exactly one argument. The colour (``def`` or ``async def``) is the
one written here; another one is refused at start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hookway_sdk.markers import hookspec
from hookway_sdk.phases import Phase

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hookway_sdk.attempts import Decision
    from hookway_sdk.events import Event
    from hookway_sdk.exchange import Exchange
    from hookway_sdk.incoming import Principal
    from hookway_sdk.resources import Compiler, Registry
    from hookway_sdk.targets import Candidate
    from hookway_sdk.views import Reply


# ── cold: at start, and when resources change ───────────────────────────────────────────────


@hookspec()
def register_resources(registry: Registry) -> None:
    """Contribute collections, variants, shapes and fields to the resource model.

    When: once at start, before any resource is read.
    May change: the registry.
    To refuse: raise ``PluginError``; the start ends.
    If it fails: the start ends, naming the plugin.
    Usual priority: none; contributions do not depend on order, and a duplicate is an error.
    """


@hookspec()
def compile_resources(compiler: Compiler) -> None:
    """Make what requests will need of new resources.

    When: for each new snapshot, before it serves.
    May change: the snapshot that is being made, through ``compiler.put`` and ``compiler.reject``.
    To refuse: ``compiler.reject`` a row; its scope is closed.
    If it fails: the snapshot is not used and the last good one serves on.
    Usual priority: none; plugins compile independently of each other.
    """


# ── hot: in a request's order ───────────────────────────────────────────────────────────────


@hookspec(Phase.AUTHENTICATE)
async def authenticate(exchange: Exchange) -> Principal | None:
    """Decide who a request is from by something other than a credential.

    When: first of all, before the body is read. Mode first: an answer other than ``None`` decides.
    May change: ``exchange.tags``.
    To refuse: raise ``Unauthenticated``.
    If it fails: 401 is not assumed; the request ends with 500, nothing is read.
    Usual priority: ``EARLY``; ``Auth`` kinds, which alone see credentials, stand at ``NORMAL``.
    """


@hookspec(Phase.RESOLVE)
async def resolve(exchange: Exchange) -> str | None:
    """Choose another model than the one the client named.

    When: after the body was parsed. Mode first: a name other than ``None`` is looked up instead.
    May change: ``exchange.tags``.
    To refuse: raise ``ModelNotFound`` or ``InvalidRequest``.
    If it fails: the request ends with 500.
    Usual priority: ``NORMAL``; the core's own look-up of the client's name comes after all.
    """


@hookspec(Phase.AUTHORIZE)
async def authorize(exchange: Exchange) -> None:
    """Refuse what this caller may not do, by a rule of one's own; or choose its tenant.

    When: after the model is known and the core checked the key's models and the model's networks.
    May change: ``exchange.tags``, ``exchange.principal``.
    To refuse: raise ``PermissionDenied``.
    If it fails: the request ends with 500.
    Usual priority: ``NORMAL``.
    """


@hookspec(Phase.ADMIT_REQUEST)
async def admit_request(exchange: Exchange) -> None:
    """Admit a request, or hold something for it.

    When: before guardrails read it. Limits and budgets of the caller stand here.
    May change: ``exchange.reserve``, ``exchange.add_header``, ``exchange.tags``.
    To refuse: raise ``LimitExceeded`` or ``BudgetExceeded``; all reservations are released.
    If it fails: the request ends with 500 and all reservations are released.
    Usual priority: ``LIMIT`` to ``BUDGET``.
    """


@hookspec(Phase.INSPECT_REQUEST)
async def inspect_request(exchange: Exchange) -> None:
    """Look at, or change, what the caller wrote.

    When: after admission, before the cache and any provider see it.
    May change: ``exchange.request`` through its text slots; ``exchange.tags``.
    To refuse: raise ``ContentBlocked``; reservations are released.
    If it fails: the request ends with 500.
    Usual priority: ``GUARD_LOCAL`` to ``GUARD_REMOTE``.
    """


@hookspec(Phase.LOOKUP)
async def lookup(exchange: Exchange) -> Reply | None:
    """Answer without a provider.

    When: before the plan is made. Mode first: an answer other than ``None`` is inspected and delivered.
    May change: ``exchange.cache_status``.
    To refuse: raise any ``GatewayError``.
    If it fails: it counts as a miss.
    Usual priority: ``NORMAL``.
    """


@hookspec(Phase.FILTER)
async def filter(exchange: Exchange) -> None:
    """Take candidates out of ``exchange.plan``.

    When: once per request, before candidates are put in order.
    May change: ``exchange.plan`` through ``exclude``.
    To refuse: exclude every candidate; the request ends with 503.
    If it fails: the step is skipped.
    Usual priority: ``NORMAL``.
    """


@hookspec(Phase.ORDER)
async def order(exchange: Exchange) -> Sequence[Candidate] | None:
    """Put the candidates in the order in which they are tried, in place of the group's strategy.

    When: once per request with more than one candidate. Mode first.
    May change: nothing; return the order.
    To refuse: raise any ``GatewayError``.
    If it fails: the request ends with 500.
    Usual priority: ``NORMAL``; the group's strategy comes after all.
    """


@hookspec(Phase.ADMIT_ATTEMPT)
async def admit_attempt(exchange: Exchange) -> None:
    """Admit ``exchange.attempt``, or add a header for its upstream.

    When: before each attempt is sent. Limits of the target stand here.
    May change: ``exchange.attempt.headers``, ``exchange.attempt.reserve``.
    To refuse: raise ``LimitExceeded``; the next candidate is tried.
    If it fails: the request ends with 500.
    Usual priority: ``LIMIT`` to ``BUDGET``.
    """


@hookspec(Phase.JUDGE)
async def judge(exchange: Exchange) -> Decision | None:
    """Say what to do after ``exchange.attempt`` failed.

    When: after each failed attempt. Mode first; ``None`` leaves it to the next step, at last to the core.
    May change: nothing; return ``Retry``, ``Next`` or ``Stop``.
    To refuse: return ``Stop``.
    If it fails: the step is skipped.
    Usual priority: ``NORMAL``; the core's own judgement comes after all.
    """


@hookspec(Phase.INSPECT_ANSWER)
async def inspect_answer(exchange: Exchange) -> None:
    """Look at the answer before it is delivered, or add a header to it.

    When: a finished answer is in ``exchange.reply``; a stream is held back until every such step has
        seen its whole answer, so a hook here makes all streams wait.
    May change: ``exchange.reply``, ``exchange.add_header``.
    To refuse: raise ``ContentBlocked``; what was consumed is settled all the same.
    If it fails: the request ends with 500; the answer is not delivered.
    Usual priority: ``GUARD_LOCAL`` to ``GUARD_REMOTE``.
    """


@hookspec(Phase.STORE)
async def store(exchange: Exchange) -> None:
    """Keep a good answer.

    When: after a finished answer with status 200 has left. Mode notify.
    May change: nothing.
    To refuse: cannot.
    If it fails: it is counted and logged.
    Usual priority: ``NORMAL``.
    """


@hookspec(Phase.SETTLE)
def settle(exchange: Exchange) -> None:
    """Correct what was counted by estimate.

    When: exactly once for every exchange, however it ended, before its last byte leaves. Mode notify.
    May change: nothing on the exchange; post to ``services.state``.
    To refuse: cannot.
    If it fails: it is counted and logged; the other steps run.
    Usual priority: ``NORMAL``. Prefer ``exchange.reserve``, which cannot be forgotten.
    """


@hookspec(Phase.RECORD)
def record(event: Event) -> None:
    """Take note of an event.

    When: after the answer has left; for every event. Mode notify.
    May change: nothing.
    To refuse: cannot.
    If it fails: it is counted and logged; the other steps run.
    Usual priority: ``LAST``.
    """
