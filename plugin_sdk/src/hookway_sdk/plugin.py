"""A plugin: what an entry point of the group ``hookway.plugins`` names.

Most plugins are one kind, and their entry point names the kind's class; the core wraps it. Write a
:class:`Plugin` when a package brings several kinds that share a connection, or a hook.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic

from hookway_sdk.kinds.base import API, Kind, SettingsT, type_argument
from hookway_sdk.markers import hookimpl
from hookway_sdk.settings import NoSettings, Settings

if TYPE_CHECKING:
    from hookway_sdk.resources import Registry
    from hookway_sdk.services import Services

GROUP = "hookway.plugins"
"""Entry-point group in which plugins are found."""

VENDOR_GROUP = "hookway.vendors"
"""Entry-point group in which vendor data is found."""


class Plugin(Generic[SettingsT]):
    """Several kinds, hooks, or both, under one name, one settings object and one lifetime.

    Implement hooks as methods marked with :func:`~hookway_sdk.markers.hookimpl`; their names and
    arguments are those of ``hookway_sdk.hookspecs``.

    Attributes:
        api: SDK interface it was written for.
        Settings: type of its settings; taken from the type argument.
        kinds: the kinds it registers.
        needs: service protocols it cannot do without.
    """

    api: ClassVar[int] = API
    Settings: ClassVar[type[Settings]] = NoSettings
    kinds: ClassVar[tuple[type[Kind], ...]] = ()
    needs: ClassVar[tuple[type, ...]] = ()

    settings: SettingsT

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        argument = type_argument(cls, Plugin)
        if argument is not None and issubclass(argument, Settings):
            cls.Settings = argument

    def __init__(self, name: str, settings: SettingsT, services: Services) -> None:
        self.name = name
        self.settings = settings
        self.services = services

    async def start(self) -> None:
        """Open what the kinds and hooks share; called once, before the kinds' own ``start``."""

    async def stop(self) -> None:
        """Close it again; called after the kinds' own ``stop``."""

    @classmethod
    @hookimpl
    def register_resources(cls, registry: Registry) -> None:
        """Let every kind contribute to resources."""
        for kind in cls.kinds:
            kind.register_resources(registry)
