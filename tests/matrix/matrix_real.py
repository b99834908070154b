"""Rooms in which the real limit and the real metrics stand, and keys that are limited there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from matrix_cells import Cell
from matrix_plugins.dict_cache import dict_cache
from matrix_plugins.word_blocker import word_blocker
from matrix_room import Enter, Policy, Room, wait_until
from matrix_sets import all_cells
from prometheus_client.parser import text_string_to_metric_families

from hookway.testing import HttpReply
from hookway_sdk import NoSettings, Store
from hookway_sdk.memory_state import MemoryState

ROOMY = 1_000_000
"""A limit that nobody meets."""

LIMITS: dict[str, dict[str, int]] = {
    "roomy": {"rpm": ROOMY, "tpm": ROOMY, "concurrency": ROOMY},
    "once": {"rpm": 1, "tpm": ROOMY, "concurrency": 1},
    "alone": {"rpm": ROOMY, "tpm": ROOMY, "concurrency": 1},
}
"""What the keys of these rooms may use, by name; beside them is one for each cell (see :func:`spender`)."""


def secret(name: str) -> str:
    """Return a key by its name."""
    return f"hw-matrix-{name}-0123456789abcdefghijklmnopqrstuv"


def spender(cell: Cell) -> str:
    """Return the name of the key that may use just as many tokens as one answer of a cell uses."""
    return f"spender-{all_cells().index(cell)}"


def tokens_of(cell: Cell) -> int:
    """Return how many tokens an answer of a cell uses."""
    return cell.sample.usage.total_tokens if cell.sample is not None and cell.sample.usage is not None else 0


def asking_cell() -> Cell:
    """Return one of the cells whose requests use tokens."""
    return next(one for one in all_cells() if one.has_upstream)


def keys(cells: list[Cell]) -> list[dict[str, Any]]:
    """Return the rows of all limited keys."""
    spenders = {spender(one): {"tpm": tokens_of(one)} for one in cells if one.has_upstream}
    return [
        {"name": name, "key": secret(name), "allowed_models": ["*"], "rate_limit": limits}
        for name, limits in {**LIMITS, **spenders}.items()
    ]


class QuickStore(Store[NoSettings]):
    """The state as gateways have it by default: nobody waits for it."""

    async def start(self) -> None:
        """Make the state."""
        self.memory = MemoryState(self.services.clock)

    def state(self) -> MemoryState:
        """Return the one state."""
        return self.memory


QUICK = "store_quick"


def capped_groups(cells: list[Cell]) -> list[dict[str, Any]]:
    """Return a group for each wire that is limited itself: one request a minute, whoever asks."""
    wires = {one.endpoint.wire: one for one in cells if one.has_upstream}
    return [
        {
            "name": one.model("capped"),
            "rate_limit": {"rpm": 1},
            "routing": {"targets": [{"model": one.model("sample")}]},
        }
        for one in wires.values()
    ]


def real_policy(
    name: str,
    plugins: tuple[str, ...] = (),
    *,
    quick: bool = False,
    settings: Mapping[str, Any] | None = None,
    **rows: Any,
) -> Policy:
    """Return a policy with the limited keys.

    Args:
        plugins: which of the matrix' own plugins stand beside the real ones.
        quick: its state does not have to be waited for; otherwise it can be killed.
        settings: settings of ``limit_rate``.
        rows: further resources.
    """

    def made(room: Room) -> dict[str, Any]:
        own = {
            "guardrail_word": word_blocker(room.controls),
            "cache_dict": dict_cache(room.controls, room.book, room.kept),
        }
        return {one: own[one] for one in plugins} | ({QUICK: QuickStore} if quick else {})

    return Policy(
        name,
        made,
        {"plugins": {"limit_rate": dict(settings or {})}},
        lambda cells: {"api_keys": keys(cells), "models": capped_groups(cells), **rows},
        off=("store_killable",) if quick else (),
    )


WORD_ROW = {"name": "no-words", "kind": "word"}

REAL = real_policy("real")
REAL_QUICK = real_policy("real_quick", quick=True)
REAL_OPEN = real_policy("real_open", settings={"on_error": "open"})
REAL_OFF = real_policy("real_off", settings={"enabled": False})
REAL_IGNORED = real_policy("real_ignored", settings={"enabled": False, "dormant": "ignore"})
REAL_INPUT = real_policy("real_input", ("guardrail_word",), guardrails=[{**WORD_ROW, "hook_point": "input"}])
REAL_OUTPUT = real_policy(
    "real_output", ("guardrail_word",), guardrails=[{**WORD_ROW, "hook_point": "output"}]
)
REAL_CACHE = real_policy(
    "real_cache",
    ("cache_dict", "guardrail_word"),
    cache_policies=[{"name": "all", "backend": "dict"}],
    # It holds streams back: what is not held is not whole, and is not kept.
    guardrails=[{**WORD_ROW, "hook_point": "output", "action": "mask"}],
)


def target_policies(cells: list[Cell]) -> dict[str, Any]:
    """Return limited keys, and for each wire a policy that gives its first target one request."""
    firsts = {one.model("sample") for one in cells if one.has_upstream}
    policies = [
        {
            "name": f"one for {first}",
            "scope": "model",
            "scope_ref": first,
            "window": "hour",
            "max_requests": 1,
        }
        for first in sorted(firsts)
    ]
    return {"api_keys": keys(cells), "rate_limit_policies": policies}


REAL_TARGETS = Policy("real_targets", rows=target_policies)


def enter_fresh(enter: Enter, policy: Policy) -> Room:
    """Enter a room in which nothing was counted yet; the matrix empties its own store alone."""
    room = enter(policy)
    loaded = room.running.gateway.serve.runtime.plugins.get(QUICK)
    if loaded is not None:
        store: Any = loaded.entries[0]

        async def clear() -> None:
            store.memory.clear()

        room.running.run(clear())
    return room


# ── limits ──────────────────────────────────────────────────────────────────────────────────


def told_limits(reply: HttpReply) -> dict[str, str]:
    """Return the limit headers of an answer, without their prefix."""
    prefix = "x-ratelimit-"
    return {
        name.removeprefix(prefix): value for name, value in reply.headers.items() if name.startswith(prefix)
    }


def used(room: Room, name: str) -> dict[str, int]:
    """Ask an endpoint that uses no tokens what is counted for a key; the question itself is left out."""
    reply = room.running.get("/v1/models", key=secret(name))
    assert reply.status == 200, reply.body
    told = told_limits(reply)
    found = {
        word: int(told[f"limit-{word}"]) - int(told[f"remaining-{word}"])
        for word in ("requests", "tokens")
        if f"limit-{word}" in told
    }
    if "requests" in found:
        found["requests"] -= 1
    return found


# ── metrics ─────────────────────────────────────────────────────────────────────────────────


class Scrape:
    """Counters of a room, and how they have moved since."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._before = dict(samples(room))

    def moved(self, name: str, **labels: str) -> float:
        """Return by how much the series that have these labels grew together."""
        wanted = frozenset(labels.items())
        return sum(
            value - self._before.get((found, those), 0.0)
            for (found, those), value in samples(self._room)
            if found == f"hookway_{name}" and wanted <= those
        )

    def moves(self, name: str, by: float, **labels: str) -> None:
        """Wait until those series have grown by so much, and fail if they do not."""
        with contextlib.suppress(TimeoutError):
            wait_until(lambda: self.moved(name, **labels) == by, name, 2.0)
        assert (name, labels, self.moved(name, **labels)) == (name, labels, by)


def samples(room: Room) -> Iterator[tuple[tuple[str, frozenset[tuple[str, str]]], float]]:
    """Yield what the metrics listener shows."""
    reply = room.running.operator("/metrics")
    assert reply.status == 200
    for family in text_string_to_metric_families(reply.body.decode()):
        for sample in family.samples:
            yield (sample.name, frozenset(sample.labels.items())), sample.value
