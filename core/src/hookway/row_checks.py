"""What makes rows unusable that no single row shows: plugins that are off, vendors, trust, strategies."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from hookway.models import key_tls
from hookway.resources.acceptance import ResourceSet
from hookway.upstream import TlsContexts, TlsSettings
from hookway_sdk import ConfigError, InvalidUpstreamConfig, Problem, Resource, nearest_name

Closed = dict[tuple[str, str], str]
"""Why rows cannot serve, by collection and id."""


def providers_off(resources: ResourceSet, providers: Collection[str], off: Mapping[str, str]) -> Closed:
    """Return the accounts whose provider plugin is installed and off, closed.

    Args:
        providers: vendor and adapter words that are served.
        off: plugins that are off, by the words they would serve.
    """
    closed: Closed = {}
    for one in resources.rows.get("provider_keys", ()):
        words = [word for word in (one.row.provider, one.row.adapter) if word]
        if not any(word in providers for word in words):
            for word in words:
                if word in off:
                    closed["provider_keys", one.id] = (
                        f"provider key '{one.name}' needs plugin {off[word]}, which is off"
                    )
    return closed


def vendors_off(resources: ResourceSet, vendors: Mapping[str, bool]) -> Closed:
    """Return the models of vendors that conf.d switched off, closed."""
    off = {name for name, on in vendors.items() if not on}
    return {
        ("models", one.id): f"model '{one.name}' is of vendor '{one.row.provider}', which conf.d switched off"
        for one in resources.rows.get("models", ())
        if one.row.provider in off
    }


def unusable_trust(
    resources: ResourceSet, contexts: TlsContexts, defaults: TlsSettings
) -> list[tuple[Resource, str]]:
    """Load the trust of every account that has its own, now and not at its first request."""
    found: list[tuple[Resource, str]] = []
    for resource in resources.rows.get("provider_keys", ()):
        own = resource.row.tls
        if own.ca_cert is not None or not own.verify:
            try:
                contexts.get(key_tls(own, defaults))
            except InvalidUpstreamConfig as error:
                found.append((resource, error.message))
    return found


def check_strategies(resources: ResourceSet, strategies: Collection[str]) -> None:
    """Refuse groups whose strategy no plugin serves.

    Raises:
        ConfigError: naming them, and the nearest strategy.
    """
    problems = [
        Problem(
            key=f'models "{one.name}".routing.strategy',
            message=f"no enabled plugin serves strategy '{one.row.routing.strategy}'",
            expected="one of " + (", ".join(sorted(strategies)) or "none is enabled"),
            nearest=nearest_name(one.row.routing.strategy, strategies),
            place=one.place,
        )
        for one in resources.rows.get("models", ())
        if one.row.routing is not None and one.row.routing.strategy not in strategies
    ]
    if problems:
        raise ConfigError(problems)
