"""Lets in who names itself in a header."""

from __future__ import annotations

from hookway_sdk import Auth, Credential, Exchange, NoSettings, Principal, Unauthenticated

HEADER = "x-matrix-user"


class HeaderAuth(Auth[NoSettings]):
    """Believe a header; one user is known to be banned."""

    async def authenticate(self, exchange: Exchange, credential: Credential | None) -> Principal | None:
        """Judge the header."""
        name = exchange.headers.get(HEADER)
        if not name:
            return None
        if name == "banned":
            raise Unauthenticated("this user is banned", reason="user_banned", method="header", key_id=name)
        return Principal(key_id=name, key_name=name, method="header", allowed_models=("*",))
