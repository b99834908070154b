"""The shared collections: identity, references and common fields, which the SDK owns.

Fields and meanings are those of the field's resource model; what limits, keys, cooldowns or prices
add to these rows is contributed by the plugins that act on it, and timeouts, retries, statuses, TLS
and body overrides by the core.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from hookway_sdk.secrets import Secret
from hookway_sdk.settings import Row, also

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
DisplayName = Annotated[str, msgspec.Meta(min_length=1, max_length=256), also("name")]
NonEmpty = Annotated[str, msgspec.Meta(min_length=1)]
ProviderName = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]*\Z", min_length=1, max_length=64)]


class ProviderKeyRow(Row):
    """An account at a provider.

    Args:
        display_name: its name; label of metrics.
        api_key: the credential, in the form the adapter expects.
        provider: vendor word (``openai``, ``groq``).
        adapter: wire family (``openai``, ``anthropic``); needed where the vendor is not known.
        api_base: root of the upstream's API.
    """

    display_name: DisplayName
    api_key: Annotated[Secret, also("secret")]
    provider: str = ""
    adapter: str | None = None
    api_base: str | None = None


class RoutingTarget(Row):
    """One target of a model group.

    Args:
        model: display name of another model.
        weight: share among targets of its priority; at least 1 (0 counts as 1).
        priority: tier; the higher is tried first.
        tags: labels that requests may ask for.
    """

    model: NonEmpty
    weight: Annotated[int, msgspec.Meta(ge=0)] = 1
    priority: int = 0
    tags: tuple[NonEmpty, ...] = ()


class Routing(Row):
    """A model group.

    Args:
        targets: the models it stands for.
        strategy: how targets of one tier are ordered; the name of a ``strategy_`` plugin.
    """

    targets: Annotated[tuple[RoutingTarget, ...], msgspec.Meta(min_length=1)]
    strategy: NonEmpty = "failover"


class ModelRow(Row):
    """A name that callers use, and what it stands for.

    Exactly one shape: ``provider`` with ``model_name`` and ``provider_key_id`` (a deployment),
    ``routing`` (a group), or a plugin's own.

    Args:
        display_name: the name callers use; one ``*`` makes it a wildcard.
        provider: vendor word of the deployment.
        model_name: the provider's name of the model; ``*`` takes what the wildcard matched.
        provider_key_id: row id of the account.
        routing: the group.
        allowed_cidrs: networks from which it may be called; empty is anywhere.
    """

    display_name: DisplayName
    provider: ProviderName | None = None
    model_name: NonEmpty | None = None
    provider_key_id: NonEmpty | None = None
    routing: Routing | None = None
    allowed_cidrs: tuple[NonEmpty, ...] = ()


class ApiKeyRow(Row):
    """A caller.

    Args:
        display_name: its name.
        allowed_models: names, or globs with one ``*``; an empty list allows none.
        team_id: team it belongs to.
        user_id: user it belongs to.
        user_name: label of metrics.
        tags: labels.
    """

    allowed_models: tuple[str, ...]
    display_name: Annotated[str | None, also("name")] = None
    team_id: NonEmpty | None = None
    user_id: NonEmpty | None = None
    user_name: str | None = None
    tags: tuple[NonEmpty, ...] = ()


class GuardrailRow(Row):
    """A check of texts; ``kind`` says which plugin makes it.

    Args:
        name: shown to callers when it blocks; label of metrics.
        kind: the plugin's word (``keyword``).
        enabled: it acts.
        order: place among guardrails; the lower is asked first.
        hook_point: ``input``, ``output`` or ``both``.
        enforcement_mode: ``block`` acts; ``monitor`` only notes what it would have done.
        fail_open: a failing check of the input lets the text pass.
        output_fail_open: the same for the output.
        mandatory: what the two above would let pass is blocked.
        block_status: HTTP status of a refusal.
    """

    name: Name
    kind: NonEmpty
    enabled: bool = True
    order: int = 0
    hook_point: Annotated[str, msgspec.Meta(pattern=r"^(input|output|both)\Z")] = "both"
    enforcement_mode: Annotated[str, msgspec.Meta(pattern=r"^(block|monitor)\Z")] = "block"
    fail_open: bool = False
    output_fail_open: bool = False
    mandatory: bool = False
    block_status: Annotated[int, msgspec.Meta(ge=400, le=499)] = 422


class CachePolicyRow(Row):
    """A cache; ``backend`` says which plugin keeps it.

    Args:
        name: its name; label of metrics.
        backend: the plugin's word (``memory``).
        enabled: it acts.
        order: place among caches; the lower is asked first.
    """

    name: Name
    backend: NonEmpty = "memory"
    enabled: bool = True
    order: int = 0


class SharedCollection(msgspec.Struct, frozen=True):
    """How a shared collection is written.

    Args:
        row: its common fields.
        identity: the field that names a row.
        variant_field: the field that tells kinds of row apart, ``""`` for none.
        shapes: fields of which a row has exactly one.
    """

    row: type[Row]
    identity: str
    variant_field: str = ""
    shapes: tuple[str, ...] = ()


SHARED: dict[str, SharedCollection] = {
    "provider_keys": SharedCollection(ProviderKeyRow, "display_name"),
    "models": SharedCollection(ModelRow, "display_name", shapes=("routing",)),
    "api_keys": SharedCollection(ApiKeyRow, "display_name"),
    "guardrails": SharedCollection(GuardrailRow, "name", variant_field="kind"),
    "cache_policies": SharedCollection(CachePolicyRow, "name", variant_field="backend"),
}
"""The collections every gateway has, in the order in which references are resolved."""
