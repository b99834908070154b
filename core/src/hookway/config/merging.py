"""Laying one layer of configuration over another, with the places of what each layer sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from hookway_sdk.problems import Place
from hookway_sdk.scalars import LooseText
from hookway_sdk.walker import Path, place_of


class Layer(msgspec.Struct, frozen=True):
    """A map of settings and where each of them stands.

    Args:
        value: plain data, with text from variables.
        places: file and line by path.
    """

    value: dict[str, Any]
    places: Mapping[Path, Place]


def merge(layers: Iterable[Layer]) -> Layer:
    """Return the layers as one: maps are merged, everything else is replaced by the later layer.

    ``null`` is a value like any other, and a list replaces the list below it as a whole. The place of
    a value is that of the layer that set it last.
    """
    value: dict[str, Any] = {}
    places: dict[Path, Place] = {}
    for layer in layers:
        replaced: set[Path] = set()
        set_places: dict[Path, Place] = {}
        value = _over(value, layer.value, (), layer.places, replaced, set_places)
        places = {path: place for path, place in places.items() if not _below(path, replaced)}
        places.update(layer.places)
        places.update(set_places)
    return Layer(value, places)


def _over(
    lower: dict[str, Any],
    upper: dict[str, Any],
    path: Path,
    places: Mapping[Path, Place],
    replaced: set[Path],
    set_places: dict[Path, Place],
) -> dict[str, Any]:
    merged = dict(lower)
    for key, item in upper.items():
        here = (*path, key)
        place = place_of(places, here)
        if place is not None:  # what an alias stands for has no place of its own
            set_places[here] = place
        below = _as_map(merged.get(key))
        above = _as_map(item)
        if below is not None and above is not None:
            merged[key] = _over(below, above, here, places, replaced, set_places)
        else:
            merged[key] = item
            replaced.add(here)
    return merged


def _as_map(value: Any) -> dict[str, Any] | None:
    """Return a map, also one that a variable spells as JSON; ``None`` for everything else."""
    if isinstance(value, LooseText):
        value = value.meaning()
    return value if isinstance(value, dict) else None


def _below(path: Path, replaced: set[Path]) -> bool:
    return any(path[:length] in replaced for length in range(1, len(path) + 1))
