"""The one principal that every request runs as."""

from __future__ import annotations

from hookway_sdk import Auth, Credential, Exchange, Principal, Services, Settings, priorities
from hookway_sdk.shared_resources import NonEmpty


class NoneAuthSettings(Settings):
    """Settings under ``plugins.auth_none``.

    Args:
        key_id: what stands where the id of an API key would: in limits, metrics and logs.
        allowed_models: names of models that may be used, or globs with one ``*``.
    """

    key_id: NonEmpty = "anonymous"
    allowed_models: tuple[NonEmpty, ...] = ("*",)


class NoneAuth(Auth[NoneAuthSettings]):
    """Lets everyone in, whatever they bring along, as one principal.

    Beside an ``auth_`` plugin that answers earlier it is for those whom the other one does not know:
    it stands last, so with ``auth_keys`` a request without a key is anonymous, and one with a wrong key
    is still refused.
    """

    loopback_only = True
    priority = priorities.LAST

    def __init__(self, name: str, settings: NoneAuthSettings, services: Services) -> None:
        super().__init__(name, settings, services)
        self._everyone = Principal(
            settings.key_id, key_name=settings.key_id, method="none", allowed_models=settings.allowed_models
        )

    async def authenticate(self, exchange: Exchange, credential: Credential | None) -> Principal:
        """Return the one principal."""
        return self._everyone
