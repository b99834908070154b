"""Check the rows of all sources together and make one set of resources of them.

Everything that is wrong is found before anything is refused. A strict source (a file) is refused as
a whole; in a lenient one (etcd, a database) a bad row alone is refused and its last good value serves.
"""

from __future__ import annotations

from collections.abc import Collection as Names
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from hookway.resources.collections import Collection
from hookway.resources.identity import row_id
from hookway.resources.references import broken_references
from hookway.resources.sugar import write_out_model
from hookway_sdk import ConfigError, Place, Problem, Resource, SourceDocument, SourceRow, nearest_name
from hookway_sdk.walker import convert


class Offer(msgspec.Struct):
    """What one source has at the moment.

    Args:
        source: instance name of the source.
        document: its rows.
        strict: one bad row refuses it whole.
        yields: it gives way to any other source that has rows.
        own: the gateway's own rows; nobody gives way to them, and they give way to nobody.
    """

    source: str
    document: SourceDocument
    strict: bool = True
    yields: bool = False
    own: bool = False


class Rejected(msgspec.Struct, frozen=True):
    """A row that was refused alone."""

    collection: str
    name: str
    source: str
    problems: tuple[Problem, ...]
    serving_last_good: bool
    id: str = ""


class ResourceSet(msgspec.Struct):
    """Every accepted row.

    Args:
        rows: resources by collection, in source order.
        closed: why a row is accepted and cannot serve (its plugin is off), by collection and id.
        rejected: rows of lenient sources that were refused.
        warnings: what an operator should know, one sentence each.
    """

    rows: dict[str, tuple[Resource, ...]]
    closed: dict[tuple[str, str], str] = {}
    rejected: tuple[Rejected, ...] = ()
    warnings: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        """Return the number of rows of each collection that has any."""
        return {name: len(rows) for name, rows in self.rows.items() if rows}


class Draft(msgspec.Struct):
    """A row on its way through the checks."""

    collection: str
    index: int
    name: str
    row: SourceRow
    offer: Offer
    value: dict[str, Any]
    id: str = ""


class Acceptance:
    """One pass over all offers; :meth:`run` returns the set or raises with every problem."""

    def __init__(
        self,
        collections: Mapping[str, Collection],
        last_good: ResourceSet | None = None,
        dormant: Names[str] = (),
    ) -> None:
        """Prepare a pass.

        Args:
            collections: the composed collections.
            last_good: what served so far, for rows of lenient sources that went bad.
            dormant: plugins that are off and whose rows and fields the operator wants ignored.
        """
        self._collections = collections
        self._last_good = last_good
        self._dormant = frozenset(dormant)
        self._problems: list[Problem] = []
        self._rejected: list[Rejected] = []
        self._closed: dict[tuple[str, str], str] = {}
        self._names: dict[str, dict[str, Draft]] = {name: {} for name in collections}
        self._unwritten: list[str] = []

    def run(self, offers: Sequence[Offer]) -> ResourceSet:
        """Accept the offers.

        Raises:
            ConfigError: strict sources have problems, or two of them name one row.
        """
        offers = without_yielding(offers)
        for offer in offers:
            self._refuse_unnamed(offer, "", "", offer.document.problems)
        drafts = [draft for offer in offers for draft in self._draft(offer)]
        resources: dict[str, list[Resource]] = {name: [] for name in self._collections}
        for draft in drafts:
            unresolved = self._resolve(draft)
            resource = self._refuse(draft, unresolved) if unresolved else self._convert(draft)
            if resource is not None:
                resources[draft.collection].append(resource)
        accepted = {name: tuple(rows) for name, rows in resources.items()}
        refused = [*self._names["models"], *self._unwritten] if self._problems else ()
        self._check_references(accepted, refused, drafts)
        if self._problems:
            raise ConfigError(self._problems)
        return ResourceSet(accepted, self._closed, tuple(self._rejected))

    def _check_references(
        self, accepted: dict[str, tuple[Resource, ...]], refused: Iterable[str], drafts: Iterable[Draft]
    ) -> None:
        """Refuse strict sources for every broken reference; what a lenient one misses may come later.

        A reference of a lenient source that leads nowhere fails the requests that need it.
        """
        lenient = {draft.id: draft for draft in drafts if not draft.offer.strict}
        places = {draft.id: draft.row.places for draft in drafts}
        for broken in list(broken_references(accepted, refused)):
            one = broken.resource
            if one.id not in lenient:
                self._problems.append(broken.problem(places))
            elif not broken.dangling and one in accepted[one.collection]:
                last = self._refuse(lenient[one.id], [broken.problem(places)])
                kept = [last if row is one else row for row in accepted[one.collection]]
                accepted[one.collection] = tuple(row for row in kept if row is not None and row is not one)

    def _draft(self, offer: Offer) -> Iterable[Draft]:
        """Give every row of a source a name, and refuse unknown collections."""
        for collection, rows in offer.document.rows.items():
            if collection not in self._collections:
                unknown = Problem(
                    key=collection,
                    message="no plugin has resources of this name",
                    expected="one of " + ", ".join(sorted(self._collections)),
                    nearest=nearest_name(collection, self._collections),
                    place=offer.document.places.get(collection),
                )
                self._refuse_unnamed(offer, collection, "", [unknown])
                continue
            for index, row in enumerate(rows):
                for target, written in self._written_out(offer, collection, index, row):
                    draft = self._named(offer, target, index, written)
                    if draft is not None:
                        yield draft

    def _written_out(
        self, offer: Offer, collection: str, index: int, row: SourceRow
    ) -> Iterable[tuple[str, SourceRow]]:
        if collection != "models":
            yield collection, row
            return
        model, account, problems = write_out_model(row)
        if problems:
            name = str(row.value.get("display_name", row.value.get("name", "")))
            self._unwritten.append(name)
            named = [
                msgspec.structs.replace(one, key=f'models[{index}] ("{name}").{one.key}') for one in problems
            ]
            self._refuse_unnamed(offer, collection, name, named)
            return
        if account is not None:
            yield "provider_keys", account
        yield collection, model

    def _named(self, offer: Offer, collection: str, index: int, row: SourceRow) -> Draft | None:
        """Find a row's identity and refuse a second row of that name."""
        identity = self._collections[collection].identity
        name = row.value.get(identity, row.value.get("name"))
        if not isinstance(name, str) or not name:
            nameless = Problem(
                key=f"{collection}[{index}]",
                message="the row has no name",
                expected=f"a text under '{identity}'",
                place=row.place,
            )
            self._refuse_unnamed(offer, collection, "", [nameless])
            return None
        draft = Draft(
            collection, index, name, row, offer, dict(row.value), row.id or row_id(collection, name)
        )
        first = self._names[collection].setdefault(name, draft)
        if first is not draft:
            second = Problem(
                key=f"{collection}[{index}]",
                message=f'duplicate {collection} entry "{name}", which {first.offer.source} has '
                f"at {first.row.place or 'another place'}",
                expected="one row of a name",
                place=row.place,
            )
            self._refuse_unnamed(offer, collection, name, [second])
            return None
        return draft

    def _resolve(self, draft: Draft) -> Sequence[Problem]:
        """Turn a name given for an account into its row id; return what is wrong with it."""
        name = draft.value.get("provider_key")
        if draft.collection != "models" or name is None:
            return ()
        where = draft.row.places.get(("provider_key",), draft.row.place)
        if "provider_key_id" in draft.value:
            return [Problem("provider_key", "is given beside provider_key_id", place=where)]
        known = self._names["provider_keys"]
        if not isinstance(name, str) or name not in known:
            return [
                Problem(
                    key="provider_key",
                    message=f'unknown provider key "{name}"',
                    expected="one of " + (", ".join(sorted(known)) or "none: no provider key is defined"),
                    nearest=nearest_name(str(name), known),
                    place=where,
                )
            ]
        draft.value["provider_key_id"] = known[draft.value.pop("provider_key")].id
        return ()

    def _convert(self, draft: Draft) -> Resource | None:
        """Give a row its type; note why it is closed; refuse it alone or with its source."""
        collection = self._collections[draft.collection]
        kind = self._variant(draft, collection)
        if kind is None:
            return None
        places: dict[tuple[str | int, ...], Place] = dict(draft.row.places)
        if draft.row.place is not None:
            places.setdefault((), draft.row.place)
        try:
            row = convert(draft.value, collection.types[kind], places=places)
        except ConfigError as error:
            return self._refuse(draft, error.problems)
        for field, owner in collection.off_fields.items():
            if owner not in self._dormant and value_at(row, field) is not None:
                self._closed[draft.collection, draft.id] = (
                    f"{draft.collection} '{draft.name}' sets '{field}', whose plugin {owner} is off"
                )
        return Resource(draft.collection, draft.id, draft.name, row, draft.offer.source, draft.row.place)

    def _variant(self, draft: Draft, collection: Collection) -> str | None:
        """Return the row's kind, or ``None`` where nobody serves it."""
        field = collection.variant_field
        if not field:
            return ""
        kind = draft.value.get(field, collection.variant_default)
        if isinstance(kind, str) and kind in collection.types:
            return kind
        owner = collection.off_variants.get(str(kind))
        if owner is not None:
            if owner not in self._dormant and draft.value.get("enabled") is not False:
                self._closed[draft.collection, draft.id] = (
                    f"{draft.collection} '{draft.name}' is of kind '{kind}', whose plugin {owner} is off"
                )
            return None
        self._refuse(
            draft,
            [
                Problem(
                    key=field,
                    message=f"no enabled plugin serves '{kind}'" if kind else "the row says no kind",
                    expected="one of " + (", ".join(sorted(collection.types)) or "none is installed"),
                    nearest=nearest_name(str(kind), collection.types),
                    place=draft.row.places.get((field,), draft.row.place),
                )
            ],
        )
        return None

    def _refuse(self, draft: Draft, problems: Sequence[Problem]) -> Resource | None:
        """Refuse a row: with its whole source, or alone with its last good value in its place."""
        named = tuple(
            msgspec.structs.replace(one, key=f"{label(draft)}{'.' if one.key else ''}{one.key}")
            for one in problems
        )
        if draft.offer.strict:
            self._problems.extend(named)
            return None
        last = self._last_row(draft)
        self._rejected.append(
            Rejected(draft.collection, draft.name, draft.offer.source, named, last is not None, draft.id)
        )
        return last

    def _refuse_unnamed(self, offer: Offer, collection: str, name: str, problems: Sequence[Problem]) -> None:
        """Refuse what is no row of its own yet: with its whole source, or alone."""
        if offer.strict:
            self._problems.extend(problems)
        elif problems:
            self._rejected.append(Rejected(collection, name, offer.source, tuple(problems), False))

    def _last_row(self, draft: Draft) -> Resource | None:
        rows = self._last_good.rows.get(draft.collection, ()) if self._last_good else ()
        return next((one for one in rows if one.id == draft.id), None)


def without_yielding(offers: Sequence[Offer]) -> Sequence[Offer]:
    """Leave out sources that give way, if another source has any row."""
    others = [one for one in offers if not one.yields and not one.own]
    if any(any(one.document.rows.values()) for one in others):
        return [one for one in offers if not one.yields]
    return offers


def value_at(row: Any, field: str) -> Any:
    """Return what stands under a dotted field of a row, ``None`` where nothing does."""
    for name in field.split("."):
        row = getattr(row, name, None)
    return row


def label(draft: Draft) -> str:
    """Return how messages name a row: its collection, its place and its identity."""
    return f'{draft.collection}[{draft.index}] ("{draft.name}")'
