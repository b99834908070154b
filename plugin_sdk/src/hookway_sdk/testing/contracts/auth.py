"""What an ``auth_`` plugin promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from hookway_sdk.errors import GatewayError, Unauthenticated
from hookway_sdk.exchange import Exchange
from hookway_sdk.incoming import Credential, Principal
from hookway_sdk.kinds.auth import Auth
from hookway_sdk.resources import SnapshotView
from hookway_sdk.secrets import Secret
from hookway_sdk.testing.contracts.garbage import ODD_TEXTS
from hookway_sdk.testing.contracts.plugin import PluginContract
from hookway_sdk.testing.exchanges import make_exchange
from hookway_sdk.testing.services import RecordingServices

# Bytes of a header that are no UTF-8 arrive as such halves of characters, and as no others.
_TOKENS = (*(text for text in ODD_TEXTS if "\ud800" not in text), "\udcff\udc80")


class AuthContract(PluginContract):
    """Promises of an auth plugin. ``resources`` are the rows its good credentials stand in.

    Attributes:
        good: credentials that count; ``None`` stands for a request without one.
        bad: credentials of its kind that do not count: unknown, disabled, expired, forged.
        foreign: what is none of its business.
        lets_everyone_in: any credential, and none, counts.
    """

    plugin: ClassVar[type[Auth[Any]]]
    good: ClassVar[Sequence[Credential | None]] = ()
    bad: ClassVar[Sequence[Credential]] = ()
    foreign: ClassVar[Sequence[Credential | None]] = (None,)
    lets_everyone_in: ClassVar[bool] = False

    def exchange(self, snapshot: SnapshotView) -> Exchange:
        """Return an exchange as it is before anybody is known."""
        return make_exchange(anonymous=True, snapshot=snapshot)

    def bearer(self, token: str) -> Credential:
        """Return a credential of its kind with another token."""
        example = next((one for one in (*self.good, *self.bad) if one is not None), None)
        return Credential("bearer" if example is None else example.scheme, Secret(token))

    async def _judge(self, auth: Any, credential: Credential | None) -> Principal | None:
        found: Principal | None = await auth.authenticate(self.exchange(self.compiled(auth)), credential)
        return found

    def test_it_is_shown_a_credential_that_counts(self) -> None:
        assert self.good, "give the contract `good` credentials"
        assert self.bad or self.lets_everyone_in, "give the contract `bad` credentials"

    async def test_a_credential_that_counts_names_its_owner(self) -> None:
        async with self.running() as auth:
            for credential in self.good:
                found = await self._judge(auth, credential)
                assert isinstance(found, Principal), f"a good credential gives {found!r}"
                assert found.key_id, "the principal has no key_id, the unit of limits and metrics"
                assert found.method, "the principal does not say how it was proven"

    async def test_the_same_credential_gives_the_same_principal(self) -> None:
        async with self.running() as auth:
            for credential in self.good:
                first, second = await self._judge(auth, credential), await self._judge(auth, credential)
                assert first == second, "the principal differs from request to request"

    async def test_a_credential_that_does_not_count_is_refused(self) -> None:
        async with self.running() as auth:
            for credential in self.bad:
                with pytest.raises(Unauthenticated) as caught:
                    await self._judge(auth, credential)
                assert caught.value.status == 401
                assert caught.value.reason, "the refusal has no reason for metrics"

    async def test_a_refusal_is_forgotten_by_the_next_request(self) -> None:
        async with self.running() as auth:
            for credential in self.bad:
                with pytest.raises(Unauthenticated):
                    await self._judge(auth, credential)
            for counting in self.good:
                assert await self._judge(auth, counting) is not None, "a good credential is forgotten"

    async def test_what_is_none_of_its_business_is_left_to_others(self) -> None:
        async with self.running() as auth:
            if self.lets_everyone_in:
                pytest.skip("everyone is its business")
            for credential in self.foreign:
                found = await self._judge(auth, credential)
                assert found is None, f"it answers {found!r} to what is none of its business"

    async def test_odd_tokens_are_refused_or_left_to_others_and_never_let_in(self) -> None:
        async with self.running() as auth:
            for text in (*_TOKENS, "Bearer", "null", "../../etc/passwd", "' or 1=1 --"):
                try:
                    found = await self._judge(auth, self.bearer(text))
                except Unauthenticated:
                    continue
                assert found is None or self.lets_everyone_in, f"the token {text[:20]!r} lets somebody in"

    async def test_a_token_is_never_repeated(self) -> None:
        for credential in (*self.good, *self.bad):
            if credential is None or not credential.token:
                continue
            services = self.services()
            said = await self._everything_said(services, credential)
            assert credential.token.reveal() not in said, "a message, a log or a principal holds the token"

    async def _everything_said(self, services: RecordingServices, credential: Credential) -> str:
        said: list[object] = []
        async with self.running(services) as auth:
            try:
                said.append(await self._judge(auth, credential))
            except GatewayError as error:
                said += [error, error.detail, error.members, error.__cause__]
        said += [*services.log.lines, *services.emitted]
        said += [family.values for family in services.metrics.families()]
        return repr(said)
