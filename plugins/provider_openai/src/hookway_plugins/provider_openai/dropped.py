"""What a request loses on its way into OpenAI's wire, as JSON pointers into its canonical form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from hookway_plugins.provider_openai.wire import WIRE


class Dropped:
    """Collects pointers (RFC 6901) in the order in which things are found missing."""

    def __init__(self) -> None:
        self.pointers: list[str] = []

    def note(self, pointer: str) -> None:
        """Note a member or part that is not sent."""
        self.pointers.append(pointer)

    def note_if(self, value: object, pointer: str) -> None:
        """Note a member if it says something."""
        if value:
            self.pointers.append(pointer)

    def own_extra(self, extra: Mapping[str, msgspec.Raw], wire: str, pointer: str) -> dict[str, Any]:
        """Return the members of an ``extra`` that are this wire's own; note those of another wire.

        Args:
            pointer: of the thing that has the ``extra``, ``""`` for the request itself.
        """
        if wire == WIRE:
            return dict(extra)
        self.pointers.extend(f"{pointer}/extra/{_escaped(name)}" for name in extra)
        return {}


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def merged(extra: dict[str, Any], name: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Take ``name`` out of ``extra`` and return its members with the fields put over them."""
    kept = extra.pop(name, None)
    if kept is None:
        return fields
    members = msgspec.json.decode(kept)
    return {**members, **fields} if isinstance(members, dict) else fields
