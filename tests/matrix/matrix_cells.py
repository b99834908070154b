"""The cells of the matrix: every endpoint that any installed plugin serves, streamed and not.

Endpoints are taken from a running gateway in which every plugin that serves some is on, so a new one joins
by being installed. What a cell can show (it has text slots, it has an upstream) comes from what the endpoint
itself declares.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from hookway.discovery import find_installed
from hookway.testing import GatewayFactory
from hookway_sdk import BodyKind, Endpoint, InvalidRequest, Phase, Provider, Sample
from hookway_sdk.testing import make_exchange

HARMLESS = "plain"
PLACEHOLDER = re.compile(r"\{\{\w+\}\}")
SERVES = frozenset({"dialect", "op"})
"""Words of the kinds that bring endpoints."""


class Cell(msgspec.Struct, frozen=True, eq=False):
    """One endpoint with one of its samples.

    Args:
        endpoint: the endpoint, as the discovering gateway had it.
        sample: what is asked; ``None`` for an endpoint that takes no body.
        whole: the answer of its upstream when it is asked for all of it at once, ``None`` without upstream.
        frames: the frames of its upstream's stream.
        adapter: word under which a provider relays its wire.
        chat: its requests have a canonical form, so they can be translated and conducted.
    """

    endpoint: Endpoint
    sample: Sample | None
    whole: Any
    frames: Any
    adapter: str
    chat: bool

    def __str__(self) -> str:
        how = "-stream" if self.streams else ""
        return f"{self.endpoint.method} {self.endpoint.path}{how}"

    @property
    def streams(self) -> bool:
        """The client asks for a stream."""
        return self.sample is not None and self.sample.stream

    @property
    def has_upstream(self) -> bool:
        """Somebody else answers."""
        return bool(self.endpoint.wire)

    def runs(self, phase: Phase) -> bool:
        """Say whether the endpoint declares a phase."""
        return phase in self.endpoint.order

    def model(self, name: str = "sample") -> str:
        """Return the row that stands for a model of this cell's wire."""
        return f"{name}@{self.endpoint.wire}" if self.has_upstream else f"{name}@any"

    def path(self, model: str = "sample") -> str:
        """Return the path of a request; its variable segments name the model."""
        return re.sub(r"\{\w+\}", self.model(model), self.endpoint.path)

    def body(self, model: str = "sample", **texts: str) -> bytes | None:
        """Return the body of a request, in the very bytes in which a re-encoding writes it.

        Args:
            model: short name of the model row.
            texts: under ``at``, a pointer, and ``text``, what one slot is to say; others are harmless.
        """
        if self.sample is None:
            return None
        body = json.loads(PLACEHOLDER.sub(HARMLESS, json.dumps(self.sample.body)))
        if "model" in body:
            body["model"] = self.model(model)
        if texts:
            put(body, texts["at"], texts["text"])
        return compact(body)


def compact(value: Any) -> bytes:
    """Write JSON as the gateway does."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def steps_to(pointer: str) -> list[str]:
    """Split a JSON pointer (RFC 6901)."""
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def put(value: Any, pointer: str, text: str) -> None:
    """Put a text where a pointer says."""
    *path, last = steps_to(pointer)
    for step in path:
        value = value[int(step)] if isinstance(value, list) else value[step]
    value[int(last) if isinstance(value, list) else last] = text


def strings_in(value: Any) -> Iterator[str]:
    """Yield every string below a value, in order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from strings_in(inner)


def with_strings(value: Any, change: Callable[[str], str]) -> Any:
    """Return a value with every string changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {name: with_strings(inner, change) for name, inner in value.items()}
    if isinstance(value, list):
        return [with_strings(inner, change) for inner in value]
    return value


def discover(directory: Path, brought: Mapping[str, Any]) -> list[Cell]:
    """Return the cells of everything installed, and of the plugins that the tests bring."""
    serving = {
        name: {"enabled": True}
        for name, found in find_installed().items()
        if found.manifest is None or SERVES & set(found.manifest.kinds)
    }
    factory = GatewayFactory(directory)
    try:
        running = factory({"plugins": serving}, plugins=brought)
        runtime = running.gateway.serve.runtime
        cells: list[Cell] = []
        for method, path, _ in runtime.routes.items():
            served = runtime.routes.find(method, path)
            assert served is not None
            cells.extend(cells_of(served.endpoint, runtime.providers))
    finally:
        factory.close()
    return cells


def cells_of(endpoint: Endpoint, providers: Mapping[str, Provider[Any]]) -> list[Cell]:
    """Return the cells of one endpoint.

    Raises:
        AssertionError: it takes a body and declares no sample, so nothing would be known of it.
    """
    samples = endpoint.samples()
    if not samples:
        assert endpoint.body is BodyKind.NONE, f"{endpoint.path} takes a body and declares no samples"
        return [Cell(endpoint, None, None, None, "", False)]
    whole = next((one.upstream for one in samples if not one.stream), None)
    frames = next((one.upstream for one in samples if one.stream), None)
    adapter = adapter_of(endpoint, providers)
    return [Cell(endpoint, one, whole, frames, adapter, has_canonical_form(endpoint, one)) for one in samples]


def adapter_of(endpoint: Endpoint, providers: Mapping[str, Provider[Any]]) -> str:
    """Return the word of a provider that relays an endpoint's wire to an upstream.

    Raises:
        AssertionError: there is none.
    """
    if not endpoint.wire:
        return ""
    for word, provider in providers.items():
        if not provider.local and endpoint.wire in provider.wires:
            return word
    raise AssertionError(f"{endpoint.path} speaks {endpoint.wire}, which no installed provider relays")


def has_canonical_form(endpoint: Endpoint, sample: Sample) -> bool:
    """Say whether requests of an endpoint can be put into canonical form."""
    if not endpoint.wire:
        return False
    exchange = make_exchange(endpoint=endpoint)
    try:
        endpoint.parse(compact(sample.body), exchange).canonical()
    except (NotImplementedError, InvalidRequest):
        return False
    return True
