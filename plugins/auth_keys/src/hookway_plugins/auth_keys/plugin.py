"""Finds the row of an API key by the key's hash."""

from __future__ import annotations

import datetime
import math
from typing import NamedTuple

from hookway_plugins.auth_keys.key_fields import KeyFields, PlainKey, StoredHash
from hookway_sdk import (
    Auth,
    Compiled,
    Compiler,
    Credential,
    Exchange,
    NoSettings,
    Principal,
    Registry,
    Resource,
    Services,
    Unauthenticated,
)


class Holder(NamedTuple):
    """Whose a key is, and whether it counts.

    Args:
        principal: who its requests run as; made once per row.
        disabled: it does not count.
        expires: epoch seconds until which it counts, infinite for ever.
    """

    principal: Principal
    disabled: bool
    expires: float


HOLDERS: Compiled[dict[bytes, Holder]] = Compiled("auth_keys.holders")
"""Holders by SHA-256 of their keys."""


class KeysAuth(Auth[NoSettings]):
    """Lets in the holders of API keys, which it knows by their SHA-256 only.

    A digest is looked up in a dict, which takes no constant time, and need not: what an attacker could
    time is how a digest of his own choosing compares with stored ones, bit by bit. He chooses keys, not
    digests; and knowing the beginning of a stored digest brings nobody nearer to a key that has it.
    """

    def __init__(self, name: str, settings: NoSettings, services: Services) -> None:
        super().__init__(name, settings, services)
        self._made: dict[Resource, tuple[bytes, Holder]] = {}

    @classmethod
    def register_resources(cls, registry: Registry) -> None:
        """Add the fields of keys."""
        registry.fields("api_keys", KeyFields)

    def compile(self, compiler: Compiler) -> None:
        """Make the table of holders; rows that the last snapshot had as well are taken over."""
        made: dict[Resource, tuple[bytes, Holder]] = {}
        holders: dict[bytes, Holder] = {}
        names: dict[bytes, str] = {}
        for resource in compiler.snapshot.rows("api_keys"):
            entry = self._made.get(resource) or read_row(resource)
            if isinstance(entry, str):
                compiler.reject(resource, entry)
                continue
            made[resource] = entry
            digest, holder = entry
            if digest in holders:
                compiler.reject(resource, f"it has the key of '{names[digest]}'; give each its own")
                continue
            holders[digest] = holder
            names[digest] = resource.name
        self._made = made
        compiler.put(HOLDERS, holders)

    async def authenticate(self, exchange: Exchange, credential: Credential | None) -> Principal | None:
        """Judge a key, by hash, then ``disabled``, then expiry; a missing one is for others to judge."""
        return self.authenticate_now(exchange, credential)

    def authenticate_now(self, exchange: Exchange, credential: Credential | None) -> Principal | None:
        """Do the same: there is nothing to wait for."""
        if credential is None:
            return None
        holder = exchange.snapshot.compiled(HOLDERS).get(credential.token.digest())
        if holder is None:
            raise Unauthenticated("invalid API key", reason="unknown_key")
        principal, disabled, expires = holder
        if disabled:
            raise refusal(principal, "disabled", "API key has been disabled")
        if expires < self.services.clock.now():
            raise refusal(principal, "expired", "API key has expired")
        return principal


def refusal(principal: Principal, why: str, message: str) -> Unauthenticated:
    """Return the refusal of a known key; the operator's log learns which one it was."""
    return Unauthenticated(message, reason=f"key_{why}", code=f"api_key_{why}", key_id=principal.key_id)


def read_row(resource: Resource) -> tuple[bytes, Holder] | str:
    """Return a key's digest and holder, or what is wrong with the row."""
    row = resource.row
    # Field by field, since `fragment` makes a Struct, and there may be a hundred thousand keys.
    key_hash: StoredHash | None = row.key_hash
    key: PlainKey | None = row.key
    expires_at: datetime.datetime | None = row.expires_at
    if key_hash is not None and key is not None:
        return "it has both key_hash and key; give one of them"
    written = key_hash or key
    if written is None:
        return "it has no key; give key_hash, or key"
    principal = Principal(
        resource.id,
        key_name=resource.name,
        allowed_models=row.allowed_models,
        team_id=row.team_id or "",
        user_id=row.user_id or "",
        user_name=row.user_name or "",
        tags=row.tags,
        trace=row.trace,
    )
    expires = math.inf if expires_at is None else expires_at.timestamp()
    return written.digest, Holder(principal, row.disabled, expires)
