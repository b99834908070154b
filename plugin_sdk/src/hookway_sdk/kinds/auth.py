"""``auth_``: proves who a request is from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hookway_sdk.kinds.base import EntryKind, SettingsT

if TYPE_CHECKING:
    from hookway_sdk.exchange import Exchange
    from hookway_sdk.incoming import Credential, Principal


class Auth(EntryKind[SettingsT]):
    """Turns a credential into a principal; the only kind that sees credentials.

    Phase ``authenticate``, mode first: the first answer other than ``None`` decides. When nobody
    answers, the request is refused with 401. Fails closed.

    Attributes:
        loopback_only: refuses to start while a caller's listener is bound to another address.
    """

    kind = "auth"
    loopback_only: bool = False

    async def authenticate(self, exchange: Exchange, credential: Credential | None) -> Principal | None:
        """Judge a credential.

        Args:
            credential: what the request carries, ``None`` if nothing well-formed.

        Returns:
            The principal; ``None`` when this kind of credential is none of this plugin's business.

        Raises:
            Unauthenticated: it is, and it does not count.
        """
        raise NotImplementedError

    def authenticate_now(self, exchange: Exchange, credential: Credential | None) -> Principal | None:
        """Judge a credential at once; a plugin that has nothing to wait for overrides this as well.

        It is then called in place of :meth:`authenticate`, of which it has the same effects.

        Raises:
            Unauthenticated: as :meth:`authenticate`.
        """
        raise NotImplementedError
