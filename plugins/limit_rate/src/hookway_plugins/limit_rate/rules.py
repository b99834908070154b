"""Everything that limits anything in one configuration, and the plans made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeVar

from hookway_plugins.limit_rate.buckets import model_bucket
from hookway_plugins.limit_rate.dimensions import Subject, Target
from hookway_plugins.limit_rate.limits import Limits
from hookway_plugins.limit_rate.plan import Counting, Layer, Plan, Timetable
from hookway_plugins.limit_rate.policies import Policy
from hookway_sdk import Deployment, ModelView, Principal

KEPT = 4096
"""Plans kept for each gate; the oldest goes first."""

Key = TypeVar("Key")


class Rules:
    """The limits of one configuration.

    Args:
        keys: limits of keys by row id.
        models: limits of models by row id.
        policies: policies in the order of their rows.
        counting: how to count.
        made: told of each plan that counts anything.
        show: shows what a plan leaves to a key, by key, model and plan.
    """

    def __init__(
        self,
        keys: Mapping[str, Limits],
        models: Mapping[str, Limits],
        policies: Sequence[Policy],
        counting: Counting,
        made: Callable[[Plan], None],
        show: Callable[[str, str, Plan], None],
    ) -> None:
        self._keys = keys
        self._models = models
        self._policies = policies
        self._late = [one for one in policies if one.at_attempts]
        self._counting = counting
        self._made = made
        self._show = show
        self._none = Plan((), counting)
        self._requests: dict[tuple[str, str, str, str, str], Plan] = {}
        self._attempts: dict[tuple[str, str, str, str, str, str], Plan] = {}
        self.limits_attempts = bool(models or self._late)

    def request_plan(self, principal: Principal, model: ModelView | None) -> Plan:
        """Return the plan of a request.

        Args:
            principal: the caller.
            model: what it asks for, ``None`` where the endpoint needs no model.
        """
        if model is None:
            key = (principal.key_id, principal.team_id, principal.user_id, "", "")
        else:
            key = (principal.key_id, principal.team_id, principal.user_id, model.id, model.requested)
        plan = self._requests.get(key)
        if plan is None:
            plan = self._plan(list(self._of_request(principal, model)), self._shower(principal, model))
            keep(self._requests, key, plan)
        return plan

    def attempt_plan(self, principal: Principal, model: ModelView, deployment: Deployment) -> Plan:
        """Return the plan of an attempt at one target of a model."""
        key = (
            principal.key_id,
            principal.team_id,
            principal.user_id,
            model.id,
            model.requested,
            deployment.id,
        )
        plan = self._attempts.get(key)
        if plan is None:
            plan = self._plan(list(self._of_attempt(principal, model, deployment)), None)
            keep(self._attempts, key, plan)
        return plan

    def _of_request(self, principal: Principal, model: ModelView | None) -> Iterator[Layer]:
        own = self._keys.get(principal.key_id)
        if own is not None:
            yield Layer("api_key", principal.key_id, own)
        target: Target | None = None
        if model is not None:
            limits = self._models.get(model.id)
            if limits is not None:
                yield Layer("model", model_bucket(model.name), limits)
            if model.shape == "direct":
                provider: str = getattr(model.row, "provider", None) or ""
                target = Target(model.id, model.name, model.requested, provider)
        yield from met(self._policies, Subject(principal, model, target))

    def _of_attempt(self, principal: Principal, model: ModelView, deployment: Deployment) -> Iterator[Layer]:
        limits = self._models.get(deployment.id)
        if limits is not None:
            yield Layer("model", model_bucket(deployment.name), limits)
        # A nested call that names a model itself knows it by the name it used.
        called = model.requested if model.id == deployment.id else deployment.name
        target = Target(deployment.id, deployment.name, called, deployment.provider)
        yield from met(self._late, Subject(principal, model, target, attempt=True))

    def _plan(self, layers: Sequence[Layer], show: Callable[[Plan], None] | None) -> Plan:
        def make(acting: Sequence[Layer]) -> Plan:
            if not acting:
                return self._none
            plan = Plan(acting, self._counting)
            self._made(plan)
            if show is not None:
                show(plan)
            return plan

        if any(layer.policy is not None and layer.policy.suspension is not None for layer in layers):
            return Plan((), self._counting, Timetable(layers, make))
        return make(layers)

    def _shower(self, principal: Principal, model: ModelView | None) -> Callable[[Plan], None] | None:
        """Return what shows a plan's figures, ``None`` where the key has none a minute."""
        own = self._keys.get(principal.key_id)
        if own is None or model is None or (own.rpm is None and own.tpm is None):
            return None
        return partial(self._show, principal.key_id, model.name)


def met(policies: Sequence[Policy], subject: Subject) -> Iterator[Layer]:
    """Yield the layer of each policy that applies."""
    for policy in policies:
        bucket = policy.bucket(subject)
        if bucket:
            yield Layer("policy", bucket, policy.limits, policy)


def keep(plans: dict[Key, Plan], key: Key, plan: Plan) -> None:
    """Keep a plan, in place of the oldest where there are enough."""
    if len(plans) >= KEPT:
        del plans[next(iter(plans))]
    plans[key] = plan
