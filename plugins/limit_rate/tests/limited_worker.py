"""A worker with rate limits, its rows, and requests to admit."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hookway_plugins.limit_rate import RateLimit
from hookway_plugins.limit_rate.limits import Limits
from hookway_plugins.limit_rate.policy_row import PolicyRow
from hookway_plugins.limit_rate.settings import RateSettings
from hookway_sdk import Attempt, Exchange, LimitExceeded, ModelView, Resource, Usage, walker
from hookway_sdk.state import State
from hookway_sdk.testing.exchanges import (
    PlainRequest,
    make_candidate,
    make_deployment,
    make_exchange,
    make_model,
    make_principal,
    make_provider_key,
)
from hookway_sdk.testing.fake_clock import FakeClock
from hookway_sdk.testing.services import make_services
from hookway_sdk.testing.snapshots import ListedCompiler, ListedSnapshot, make_resource, make_snapshot


def key_row(
    name: str = "key-1", *, team: str | None = None, user: str | None = None, **limits: Any
) -> Resource:
    """Make a key; its row id is its name with ``id-of-`` before it."""
    rate_limit = walker.convert(limits, Limits) if limits else None
    row = SimpleNamespace(display_name=name, team_id=team, user_id=user, rate_limit=rate_limit)
    return make_resource("api_keys", row, name=name, id=f"id-of-{name}")


def model_row(name: str = "gpt", *, provider: str = "acme", **limits: Any) -> Resource:
    """Make a model."""
    rate_limit = walker.convert(limits, Limits) if limits else None
    row = SimpleNamespace(display_name=name, provider=provider, rate_limit=rate_limit)
    return make_resource("models", row, name=name, id=f"id-of-{name}")


def policy_row(name: str = "cap", **written: Any) -> Resource:
    """Make a policy."""
    row = walker.convert({"name": name, **written}, PolicyRow)
    return make_resource("rate_limit_policies", row, id=f"id-of-{name}")


class SizedRequest(PlainRequest):
    """A request of a size of its own choosing."""

    __slots__ = ("bytes", "most")

    def __init__(self, tokens: int = 1, most: int | None = None) -> None:
        super().__init__({})
        self.bytes = tokens * 4
        self.most = most

    def size(self) -> int:
        return self.bytes

    def output_limit(self) -> int | None:
        return self.most


class Worker:
    """A plugin with a compiled snapshot; rows that it rejects are in ``rejected``."""

    def __init__(
        self,
        *rows: Resource,
        state: State | None = None,
        clock: FakeClock | None = None,
        **settings: Any,
    ) -> None:
        self.services = make_services("limit_rate", state=state, clock=clock)
        self.clock = self.services.clock
        self.state = self.services.state
        self.plugin = RateLimit("limit_rate", walker.convert(settings, RateSettings), self.services)
        self.snapshot = make_snapshot()
        self.rejected: list[tuple[str, str]] = []
        self.compile(*rows)

    def compile(self, *rows: Resource) -> ListedSnapshot:
        compiler = ListedCompiler(make_snapshot(rows))
        self.plugin.compile(compiler)
        self.rejected = [(one.name, reason) for one, reason in compiler.rejected]
        self.snapshot = compiler.snapshot
        return compiler.snapshot

    def exchange(
        self,
        key: str = "key-1",
        model: ModelView | str = "gpt",
        *,
        team: str = "",
        user: str = "",
        tokens: int = 1,
        most: int | None = None,
        depth: int = 0,
    ) -> Exchange:
        """Make a request that was not admitted yet."""
        view = direct(model) if isinstance(model, str) else model
        principal = make_principal(f"id-of-{key}", key_name=key, team_id=team, user_id=user)
        exchange = make_exchange(
            request=SizedRequest(tokens, most), principal=principal, model=view, snapshot=self.snapshot
        )
        exchange.depth = depth
        return exchange

    async def admit(self, key: str = "key-1", model: ModelView | str = "gpt", **facts: Any) -> Exchange:
        """Admit a request; raises LimitExceeded."""
        exchange = self.exchange(key, model, **facts)
        await self.plugin.admit_request(exchange)
        return exchange

    async def refused(
        self, key: str = "key-1", model: ModelView | str = "gpt", **facts: Any
    ) -> LimitExceeded:
        """Return the refusal of a request."""
        return await refusal_of(self, self.exchange(key, model, **facts))

    async def fits(self, key: str = "key-1", model: ModelView | str = "gpt", **facts: Any) -> bool:
        """Say whether a request is admitted; it is given back at once."""
        try:
            release(await self.admit(key, model, **facts))
        except LimitExceeded:
            return False
        return True

    async def attempt(
        self, exchange: Exchange, target: str = "gpt", *, provider: str = "acme", index: int = 0
    ) -> Attempt:
        """Admit an attempt; raises LimitExceeded."""
        account = make_provider_key(provider=provider)
        deployment = make_deployment(target, key=account, provider=provider)
        attempt = Attempt(index, "initial", make_candidate(deployment=deployment), self.clock.monotonic())
        exchange.attempt = attempt
        await self.plugin.admit_attempt(exchange, attempt)
        return attempt

    async def keys_of(self, exchange: Exchange) -> list[str]:
        """Return the keys that an exchange's admission touches in the state."""
        await self.plugin.admit_request(exchange)
        assert exchange.principal is not None
        rules = self.snapshot.compiled(self.plugin._rules)
        plan = rules.request_plan(exchange.principal, getattr(exchange, "model", None))
        return [bound.key for bound in plan.bounds]


async def refusal_of(worker: Worker, exchange: Exchange) -> LimitExceeded:
    """Return the refusal of a request that must not be admitted."""
    try:
        await worker.plugin.admit_request(exchange)
    except LimitExceeded as error:
        assert not exchange.reservations, "what is refused holds something"
        return error
    raise AssertionError("it was admitted")


def direct(name: str = "gpt", provider: str = "acme", **facts: Any) -> ModelView:
    """Make a direct model as requests see it."""
    return make_model(name, row=SimpleNamespace(provider=provider), **facts)


def group(name: str = "pool", shape: str = "routing") -> ModelView:
    """Make a model group as requests see it."""
    return make_model(name, shape=shape, row=SimpleNamespace(provider=None))


def settle(exchange: Exchange | Attempt, tokens: int = 0) -> None:
    """Settle everything that was reserved."""
    for one in exchange.reservations:
        one.settle(Usage(tokens, 0))


def release(exchange: Exchange | Attempt) -> None:
    """Release everything that was reserved."""
    for one in exchange.reservations:
        one.release()


def headers_of(exchange: Exchange) -> dict[str, str]:
    """Return the limits' headers without their prefix, with the figures of this moment."""
    headers = exchange.answer_headers()
    assert len(headers) == len(dict(headers)), "a header stands there twice"
    return {name.removeprefix("x-ratelimit-"): value for name, value in headers}
