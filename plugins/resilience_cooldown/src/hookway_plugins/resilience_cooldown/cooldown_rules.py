"""What makes a target cool down, and for how long: the plugin's settings, and a model's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, NamedTuple

import msgspec

from hookway_sdk import Row, Settings

Status = Annotated[int, msgspec.Meta(ge=100, le=599)]
NotNegative = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]


class CooldownSettings(Settings):
    """Settings under ``plugins.resilience_cooldown``: what holds for models that say nothing else.

    Args:
        default_seconds: how long, where the provider does not say; 0 turns cooling down off.
        max_seconds: the longest wait that a provider's ``Retry-After`` is taken at its word for.
        honor_retry_after: cool down for as long as the provider's ``Retry-After`` asks.
        trigger_statuses: the provider's HTTP statuses after which a target cools down.
        trigger_on_timeout: it does so when a deadline passes.
        trigger_on_transport: it does so after a broken connection, an answer that cannot be read, one that
            was cut, and an error inside a success that names no status.
        last_resort: a cooling target is tried when all others have failed, before a caller sees an error.
    """

    default_seconds: NotNegative = 30
    max_seconds: Positive = 600
    honor_retry_after: bool = True
    trigger_statuses: tuple[Status, ...] = (401, 408, 429, 500, 502, 503, 504)
    trigger_on_timeout: bool = True
    trigger_on_transport: bool = True
    last_resort: bool = True


class CooldownRow(Row):
    """A model's own word on cooling down; what it leaves out is as the plugin's settings say.

    Args:
        enabled: it cools down.
        default_seconds: how long, where the provider does not say (30); 0 turns cooling down off.
        max_seconds: the longest wait that a provider's ``Retry-After`` is taken at its word for (600).
        honor_retry_after: cool down for as long as the provider's ``Retry-After`` asks (true).
        trigger_statuses: the provider's HTTP statuses after which it cools down (401, 408, 429, 500, 502,
            503, 504).
        trigger_on_timeout: it does so when a deadline passes (true).
        trigger_on_transport: it does so after a broken connection, an answer that cannot be read, one that
            was cut, and an error inside a success that names no status (true).
    """

    enabled: bool = True
    default_seconds: NotNegative | None = None
    max_seconds: Positive | None = None
    honor_retry_after: bool | None = None
    trigger_statuses: tuple[Status, ...] | None = None
    trigger_on_timeout: bool | None = None
    trigger_on_transport: bool | None = None


class CooldownFields(Row):
    """What this plugin reads on a model.

    Args:
        cooldown: how requests keep away from it after a failure; absent is as the plugin's settings say.
    """

    cooldown: CooldownRow | None = None


class Rule(NamedTuple):
    """What holds for one model; ``enabled`` is false where 0 seconds turned it off, too."""

    enabled: bool
    default_seconds: int
    max_seconds: int
    honor_retry_after: bool
    trigger_statuses: frozenset[int]
    trigger_on_timeout: bool
    trigger_on_transport: bool


class Rules(NamedTuple):
    """What holds for every model.

    Args:
        usual: for those that say nothing of their own.
        own: for the others, by row id.
    """

    usual: Rule
    own: Mapping[str, Rule]

    def of(self, model: str) -> Rule:
        """Return the rule of a model row."""
        return self.own.get(model, self.usual)


def rule_of(settings: CooldownSettings, row: CooldownRow | None = None) -> Rule:
    """Return what holds for a model: its own word, or else the plugin's."""
    said = settings
    if row is not None:
        own = {name: getattr(row, name) for name in CooldownRow.__struct_fields__ if name != "enabled"}
        said = msgspec.structs.replace(
            settings, **{name: value for name, value in own.items() if value is not None}
        )
    return Rule(
        (row is None or row.enabled) and said.default_seconds > 0,
        said.default_seconds,
        said.max_seconds,
        said.honor_retry_after,
        frozenset(said.trigger_statuses),
        said.trigger_on_timeout,
        said.trigger_on_transport,
    )
