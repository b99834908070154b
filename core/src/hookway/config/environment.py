"""Settings from environment variables: ``HOOKWAY_PROXY__ADDR`` sets ``proxy.addr``.

Two underscores part the segments, one stays inside its segment; names are not case-sensitive. A value
means what the type of its setting says (see :class:`~hookway_sdk.scalars.LooseText`): text, a bare
YAML word, a JSON list or object, or a list with commas. An empty value counts as not set.

Source: ``contracts/aisix-ops.md`` 1.1. Other than there, a stray variable only warns.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from hookway.config.merging import Layer
from hookway_sdk.problems import Place, Problem, nearest_name
from hookway_sdk.scalars import LooseText
from hookway_sdk.walker import Path

PREFIX = "HOOKWAY_"
KNOWN = ("REQUIRE", "KEY", "SECRET", "LOOP")
"""Variables that are read elsewhere and are no settings."""

_KUBERNETES = re.compile(r"SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT(?:_[0-9]+_(?:TCP|UDP|SCTP)\w*)?")
"""What Kubernetes injects into every pod beside a Service called ``hookway``; nobody's mistake."""


class FromEnvironment(msgspec.Struct, frozen=True):
    """What the environment says.

    Args:
        layers: one for each variable, in the order of their names.
        warnings: variables with our prefix that set nothing.
    """

    layers: tuple[Layer, ...]
    warnings: tuple[Problem, ...]


def read_environment(environ: Mapping[str, str], roots: Collection[str]) -> FromEnvironment:
    """Return the settings and the strays of an environment.

    Args:
        environ: the variables.
        roots: the root keys of the settings; a variable whose first segment is none of them sets nothing.
    """
    layers: list[Layer] = []
    warnings: list[Problem] = []
    for name in sorted(environ):
        rest = name.upper().removeprefix(PREFIX)
        if rest == name.upper() or rest in KNOWN or _KUBERNETES.fullmatch(rest):
            continue
        segments = rest.lower().split("__")
        if segments[0] not in roots or "" in segments:
            warnings.append(_stray(name, segments, roots))
        elif environ[name]:
            layers.append(_layer(tuple(segments), environ[name], name))
    return FromEnvironment(tuple(layers), tuple(warnings))


def _layer(path: tuple[str, ...], text: str, name: str) -> Layer:
    value: Any = LooseText(text)
    for key in reversed(path):
        value = {key: value}
    place = Place(f"environment variable {name}")
    places: dict[Path, Place] = {path[:length]: place for length in range(1, len(path) + 1)}
    return Layer(value, places)


def _stray(name: str, segments: list[str], roots: Collection[str]) -> Problem:
    near = nearest_name(segments[0], [*roots, *(word.lower() for word in KNOWN)])
    proper = PREFIX + "__".join([near, *segments[1:]]).upper() if near else ""
    if proper == name.upper():
        proper = ""
    return Problem("", "sets nothing", nearest=proper, place=Place(f"environment variable {name}"))
