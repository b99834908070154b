"""Who is let in, who is not, and what a snapshot's table of keys is made of."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace
from typing import Any

import pytest

from hookway_plugins.auth_keys import KeysAuth
from hookway_plugins.auth_keys.key_fields import KeyFields
from hookway_plugins.auth_keys.plugin import HOLDERS
from hookway_sdk import ConfigError, Credential, NoSettings, Resource, Secret, Unauthenticated, walker
from hookway_sdk.shared_resources import ApiKeyRow
from hookway_sdk.testing.contracts.auth import AuthContract
from hookway_sdk.testing.exchanges import make_exchange
from hookway_sdk.testing.services import make_services
from hookway_sdk.testing.snapshots import ListedCompiler, make_resource, make_snapshot

NOON = "2026-01-31T12:00:00Z"
NOON_SECONDS = 1_769_860_800.0


def hash_of(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def row(name: str, **written: Any) -> Resource:
    """Make an accepted row of ``api_keys``, of common fields and those of this plugin, as the core does."""
    ours = {field: written.pop(field) for field in KeyFields.__struct_fields__ if field in written}
    common = walker.convert({"display_name": name, "allowed_models": ["*"], **written}, ApiKeyRow)
    own = walker.convert(ours, KeyFields)
    fields = {one: getattr(struct, one) for struct in (common, own) for one in struct.__struct_fields__}
    return make_resource("api_keys", SimpleNamespace(**fields))


class Door:
    """A plugin with a compiled snapshot."""

    def __init__(self, *rows: Resource) -> None:
        self.services = make_services("auth_keys")
        self.auth = KeysAuth("auth_keys", NoSettings(), self.services)
        self.compiler = self.compile(*rows)

    def compile(self, *rows: Resource) -> ListedCompiler:
        self.compiler = ListedCompiler(make_snapshot(rows))
        self.auth.compile(self.compiler)
        return self.compiler

    async def try_key(self, key: str, scheme: str = "bearer") -> Any:
        exchange = make_exchange(anonymous=True, snapshot=self.compiler.snapshot)
        return await self.auth.authenticate(exchange, Credential(scheme, Secret(key)))

    def rejected(self) -> list[tuple[str, str]]:
        return [(resource.name, reason) for resource, reason in self.compiler.rejected]


class TestContract(AuthContract):
    plugin = KeysAuth
    good = (Credential("bearer", Secret("good-key")), Credential("x-api-key", Secret("plain-key")))
    bad = tuple(Credential("bearer", Secret(key)) for key in ("unknown-key", "disabled-key", "expired-key"))

    def resources(self) -> list[Resource]:
        return [
            row("good", key_hash=hash_of("good-key")),
            row("plain", key="plain-key"),
            row("disabled", key="disabled-key", disabled=True),
            row("expired", key="expired-key", expires_at="2020-01-01T00:00:00Z"),
        ]


async def test_the_principal_has_what_the_row_says() -> None:
    described = row(
        "ci", key_hash=hash_of("k"), allowed_models=["gpt-*", "echo"], team_id="t", user_id="u",
        user_name="Una", tags=["batch"], trace=True,
    )  # fmt: skip
    principal = await Door(described).try_key("k")
    assert principal.key_id == described.id
    assert principal.key_name == "ci"
    assert principal.method == "api_key"
    assert principal.allowed_models == ("gpt-*", "echo")
    assert (principal.team_id, principal.user_id, principal.user_name) == ("t", "u", "Una")
    assert principal.tags == ("batch",)
    assert principal.trace


async def test_what_the_row_leaves_out_is_empty() -> None:
    principal = await Door(row("ci", key="k", allowed_models=[])).try_key("k")
    assert (principal.team_id, principal.user_id, principal.user_name) == ("", "", "")
    assert principal.allowed_models == ()
    assert principal.tags == ()
    assert not principal.trace


async def test_one_principal_is_made_per_row_and_given_to_every_request() -> None:
    door = Door(row("ci", key="k"))
    assert await door.try_key("k") is await door.try_key("k", scheme="x-api-key")


async def test_a_request_without_a_credential_is_left_to_others() -> None:
    door = Door(row("ci", key="k"))
    exchange = make_exchange(anonymous=True, snapshot=door.compiler.snapshot)
    assert await door.auth.authenticate(exchange, None) is None


@pytest.mark.parametrize("key", ["K", "k ", "", "k\udcff", hash_of("k")])
async def test_any_other_key_is_unknown(key: str) -> None:
    with pytest.raises(Unauthenticated, match=r"^invalid API key$") as caught:
        await Door(row("ci", key="k")).try_key(key)
    assert (caught.value.status, caught.value.type, caught.value.code) == (401, "invalid_api_key", None)
    assert caught.value.reason == "unknown_key"


async def test_a_disabled_key_is_refused_by_name_to_the_operator_only() -> None:
    disabled = row("ci", key="k", disabled=True)
    with pytest.raises(Unauthenticated, match=r"^API key has been disabled$") as caught:
        await Door(disabled).try_key("k")
    assert (caught.value.code, caught.value.reason) == ("api_key_disabled", "key_disabled")
    assert caught.value.key_id == disabled.id
    assert disabled.id not in caught.value.message


async def test_disabled_comes_before_expired() -> None:
    with pytest.raises(Unauthenticated) as caught:
        await Door(row("ci", key="k", disabled=True, expires_at="2020-01-01T00:00:00Z")).try_key("k")
    assert caught.value.code == "api_key_disabled"


async def test_a_key_counts_until_the_moment_it_expires_and_not_after() -> None:
    door = Door(row("ci", key="k", expires_at=NOON))
    door.services.clock.jump(NOON_SECONDS - door.services.clock.now())
    assert (await door.try_key("k")).key_name == "ci"
    door.services.clock.advance(0.001)
    with pytest.raises(Unauthenticated, match=r"^API key has expired$") as caught:
        await door.try_key("k")
    assert (caught.value.code, caught.value.reason) == ("api_key_expired", "key_expired")


def test_an_expiry_in_another_zone_is_the_same_moment() -> None:
    here = Door(row("ci", key="k", expires_at=NOON))
    there = Door(row("ci", key="k", expires_at="2026-01-31T17:30:00+05:30"))
    expiries = [
        next(iter(door.compiler.snapshot.compiled(HOLDERS).values())).expires for door in (here, there)
    ]
    assert expiries == [NOON_SECONDS, NOON_SECONDS]


def test_a_row_needs_exactly_one_key() -> None:
    door = Door(row("none"), row("both", key="k", key_hash=hash_of("other")))
    assert door.rejected() == [
        ("none", "it has no key; give key_hash, or key"),
        ("both", "it has both key_hash and key; give one of them"),
    ]
    assert door.compiler.snapshot.compiled(HOLDERS) == {}


async def test_of_two_rows_with_one_key_the_second_is_rejected_and_the_first_serves() -> None:
    rows = row("first", key="k"), row("second", key_hash=hash_of("k"))
    door = Door(*rows)
    assert door.rejected() == [("second", "it has the key of 'first'; give each its own")]
    assert (await door.try_key("k")).key_name == "first"
    door.compile(*rows)
    assert [name for name, _ in door.rejected()] == ["second"], "it is rejected in every snapshot"


async def test_a_new_snapshot_keeps_unchanged_holders_and_forgets_removed_ones() -> None:
    kept, removed = row("kept", key="a"), row("removed", key="b")
    door = Door(kept, removed)
    before = await door.try_key("a")
    door.compile(kept, row("new", key="c"))
    assert await door.try_key("a") is before
    assert (await door.try_key("c")).key_name == "new"
    with pytest.raises(Unauthenticated):
        await door.try_key("b")


async def test_a_request_is_judged_by_the_snapshot_it_began_with() -> None:
    door = Door(row("ci", key="k"))
    exchange = make_exchange(anonymous=True, snapshot=door.compiler.snapshot)
    door.compile()
    found = await door.auth.authenticate(exchange, Credential("bearer", Secret("k")))
    assert found is not None
    assert found.key_name == "ci"


def test_the_text_of_a_key_is_not_kept() -> None:
    own = walker.convert({"key": "plain-key"}, KeyFields)
    assert own.key is not None
    assert own.key.digest.hex() == hash_of("plain-key")
    assert "plain-key" not in repr(own) + str(own.key)


def test_a_key_is_exported_as_its_hash() -> None:
    own = walker.convert({"key": "k"}, KeyFields)
    assert own.key is not None
    assert (own.key.exported_as, str(own.key)) == ("key_hash", hash_of("k"))


def test_equal_rows_are_equal_and_others_are_not() -> None:
    def read(**written: str) -> KeyFields:
        return walker.convert(written, KeyFields)

    assert read(key="k") == read(key="k")
    assert read(key="k") != read(key="l")
    assert read(key="k").key != read(key_hash=hash_of("k")).key_hash
    assert len({read(key="k").key, read(key="k").key, read(key="l").key}) == 2


@pytest.mark.parametrize(
    "written",
    [
        {"key_hash": "not-a-hash"},
        {"key_hash": hash_of("k").upper()},
        {"key_hash": hash_of("k") + "\n"},
        {"key": ""},
        {"key": " k"},
        {"key": "k\n"},
        {"key": "schl\u00fcssel"},
        {"expires_at": "tomorrow"},
        {"expires_at": "2026-01-31T12:00:00"},
        {"disabled": "yes"},
        {"key_env": "VARIABLE"},
    ],
)
def test_what_is_no_key_or_no_moment_is_refused(written: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        walker.convert(written, KeyFields)
