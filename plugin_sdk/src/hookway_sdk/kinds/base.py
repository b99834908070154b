"""What every kind shares: how it is made, started, compiled and stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, get_args, get_origin

from hookway_sdk import priorities
from hookway_sdk.phases import OnError
from hookway_sdk.settings import NoSettings, Row, Settings

if TYPE_CHECKING:
    from hookway_sdk.resources import Compiler, Registry, Resource
    from hookway_sdk.services import Services

SettingsT = TypeVar("SettingsT", bound=Settings)
RowT = TypeVar("RowT", bound=Row)

API = 1
"""The SDK interface this package defines; a plugin states the one it was written for."""


class Kind:
    """The root of all kinds.

    Attributes:
        kind: the kind's word, first part of a plugin's name (``guardrail``).
        api: SDK interface the class was written for; checked when it is loaded.
        priority: place among steps of its phases, unless conf.d says otherwise.
        on_error: what a failure means, ``None`` for the phase's own rule.
        needs: service protocols it cannot do without.
    """

    kind: ClassVar[str] = ""
    api: ClassVar[int] = API
    priority: ClassVar[int] = priorities.NORMAL
    on_error: ClassVar[OnError | None] = None
    needs: ClassVar[tuple[type, ...]] = ()

    name: str
    services: Services

    @classmethod
    def register_resources(cls, registry: Registry) -> None:
        """Contribute collections, variants, shapes and fields; called once at start."""


class EntryKind(Kind, Generic[SettingsT]):
    """A kind with one instance per conf.d entry.

    Type argument: the entry's settings. ``class AccessLog(Sink[AccessLogSettings])`` gets
    ``self.settings`` of that type; plain ``Sink`` takes no settings.

    Attributes:
        Settings: type of its settings; taken from the type argument.
    """

    Settings: ClassVar[type[Settings]] = NoSettings
    settings: SettingsT

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        argument = type_argument(cls, EntryKind)
        if argument is not None and issubclass(argument, Settings):
            cls.Settings = argument

    def __init__(self, name: str, settings: SettingsT, services: Services) -> None:
        self.name = name
        self.settings = settings
        self.services = services

    async def start(self) -> None:
        """Open what it needs; called once, time-boxed, before it serves. Raise to refuse the start."""

    async def stop(self) -> None:
        """Close what :meth:`start` opened; called when no request refers to it any more."""

    def compile(self, compiler: Compiler) -> None:
        """Make what requests need of new resources and put it into the new snapshot; called for each."""


class RowKind(Kind, Generic[RowT]):
    """A kind with one instance per row of a collection.

    Type argument: the fields that a row of this kind has. ``class Shout(Guardrail[ShoutRow])`` gets
    ``self.row`` of that type.

    Attributes:
        Row: type of its fields; taken from the type argument.
        resource: the whole row, its common fields included.
    """

    Row: ClassVar[type[Row]] = Row
    row: RowT
    resource: Resource

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        argument = type_argument(cls, RowKind)
        if argument is not None and issubclass(argument, Row):
            cls.Row = argument

    def __init__(self, name: str, row: RowT, resource: Resource, services: Services) -> None:
        self.name = name
        self.row = row
        self.resource = resource
        self.services = services
        self.prepare()

    def prepare(self) -> None:
        """Compile what the row says (patterns, rings); called when the row is new or changed.

        Raises:
            ValueError: the row cannot be used; the message says why, and the row's scope is closed.
        """


def type_argument(cls: type, root: type) -> type | None:
    """Return the first class among the type arguments with which ``cls`` derives from kinds of ``root``."""
    for base in cls.__dict__.get("__orig_bases__", ()):
        origin = get_origin(base)
        if isinstance(origin, type) and issubclass(origin, root):
            for argument in get_args(base):
                if isinstance(argument, type):
                    return argument
    return None
