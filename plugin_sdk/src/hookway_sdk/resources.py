"""The registry of resources: collections, their variants, shapes and fields, and who owns what.

A resource is a row of a collection (``models``, ``api_keys`` …). The SDK owns the shared
collections: their identity, references and common fields, defined in ``shared_resources``. Plugins
contribute to them: a ``guardrails`` row of a new kind is a *variant*, a model that is more than one
deployment is a *shape*, and what a limit or an auth plugin needs on a key are *fields*. The core
composes one closed Struct per collection from all of it, so that an unknown field is an error with
a file and a line, and every field has exactly one owner.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar, cast

import msgspec

from hookway_sdk.problems import Place
from hookway_sdk.settings import Row

T = TypeVar("T")
RowT = TypeVar("RowT", bound=Row)


class Registry(Protocol):
    """What ``register_resources`` writes to. Each call is made once, at start.

    Attributes:
        plugin: entry-point name of the plugin that is registering.
    """

    plugin: str

    def collection(self, name: str, row: type[Row], *, identity: str = "name") -> None:
        """Add a collection of one's own.

        Args:
            name: root key in resources files, kind segment in etcd, path in the Admin API.
            row: its common fields, the identity among them.
            identity: the field that names a row, unique within the collection.

        Raises:
            PluginError: another plugin, or the SDK, owns a collection of that name.
        """

    def variant(self, collection: str, *, kind: str, row: type[Row]) -> None:
        """Add a kind of row to a collection whose rows have a ``kind``.

        Args:
            collection: name of the collection (``guardrails``).
            kind: value of the row's ``kind``.
            row: the fields that only this kind has.

        Raises:
            PluginError: the collection has no kinds, or another plugin owns this one.
        """

    def shape(self, collection: str, *, key: str, row: type[Row]) -> None:
        """Add an alternative shape of a row, told by a field of its own (``models`` with ``semantic:``).

        Raises:
            PluginError: another plugin owns a shape or a field of that name.
        """

    def fields(self, collection: str, fields: type[Row]) -> None:
        """Add fields to every row of a collection, or of a nested object (``models.routing``).

        Every field needs a default, since rows are written without the plugin in mind.

        Raises:
            PluginError: a field has no default, or another owner has a field of that name.
        """


class Resource(msgspec.Struct, frozen=True, eq=False):
    """A row that was accepted.

    Args:
        collection: its collection.
        id: stable row id: UUIDv5 of collection and identity, unless the source gave one.
        name: its identity.
        row: the composed Struct; read contributed fields through :func:`fragment`.
        source: name of the source it came from.
        place: where it stands there.
    """

    collection: str
    id: str
    name: str
    row: Any
    source: str
    place: Place | None = None


def fragment(row: Any, fields: type[RowT]) -> RowT:
    """Read the fields that a plugin contributed from a composed row, as the plugin's own type.

    Costs a Struct; call it when configuration is compiled, not per request.
    """
    return fields(**{name: getattr(row, name) for name in fields.__struct_fields__})


class Compiled(Generic[T]):
    """A typed key for what a plugin compiled from resources; make one at module level.

    Args:
        name: unique by plugin prefix (``auth_keys.by_hash``).
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class SnapshotView(Protocol):
    """One complete configuration of resources; never changes, and a request keeps the one it began with.

    Attributes:
        revision: counts snapshots of this process from 1.
    """

    revision: int

    def rows(self, collection: str) -> Sequence[Resource]:
        """Return a collection's rows in the order of their sources."""

    def find(self, collection: str, name: str) -> Resource | None:
        """Return a row by its identity."""

    def by_id(self, collection: str, id: str) -> Resource | None:
        """Return a row by its id."""

    def compiled(self, key: Compiled[T]) -> T:
        """Return what a plugin compiled under a key.

        Raises:
            KeyError: nothing was compiled under it (the plugin is off).
        """

    def model_names(self) -> Sequence[tuple[str, str]]:
        """Return name and owner of every model that callers may list, sorted by name."""


class Compiler(Protocol):
    """What ``compile`` of a kind is given: the new rows, and a place for what is made of them."""

    @property
    def snapshot(self) -> SnapshotView:
        """The configuration that is being made."""

    def put(self, key: Compiled[T], value: T) -> None:
        """Keep something in the new snapshot."""

    def reject(self, resource: Resource, reason: str, *, guards: bool = True) -> None:
        """Refuse a row that passed its schema but cannot be used; whatever it guards is closed.

        A model, a provider key, an API key and a cache take only themselves along. A row of any other
        collection may guard every request, so nothing is served while a lenient source has one; a strict
        source is refused whole.

        Args:
            guards: false for a row that guards nothing, since what it names is not there (yet); a lenient
                source then serves on without it.
        """


CompileStep = Callable[[Compiler], None]


class Scope(msgspec.Struct, frozen=True):
    """The caller-dependent part of a request, for rows that apply to some callers only.

    Args:
        model_id: row id of the model the caller named.
        key_id: row id of the API key.
        team_id: team of the key, ``""`` for none.
    """

    model_id: str
    key_id: str
    team_id: str


def as_mapping(row: Any) -> Mapping[str, Any]:
    """Return a row's fields by name, nested Structs as they are."""
    return cast("Mapping[str, Any]", msgspec.structs.asdict(row))
