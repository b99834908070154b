"""The policies of the matrix, one gateway each."""

from __future__ import annotations

from typing import Any

from matrix_cells import Cell
from matrix_plugins.dict_cache import dict_cache
from matrix_plugins.every_hook import every_hook
from matrix_plugins.header_auth import HeaderAuth
from matrix_plugins.panel import Panel
from matrix_plugins.remote_judge import remote_judge
from matrix_plugins.target_rules import target_rules
from matrix_plugins.token_budget import token_budget
from matrix_plugins.window_limit import WindowLimit
from matrix_plugins.word_blocker import word_blocker
from matrix_room import Policy, Room


def words(**row: Any) -> dict[str, Any]:
    """Return a row of the word blocker."""
    return {"guardrails": [{"name": "no-words", "kind": "word", **row}]}


def word_policy(name: str, *, settings: dict[str, Any] | None = None, **row: Any) -> Policy:
    """Return a policy with one row of the word blocker."""
    return Policy(
        name, lambda room: {"guardrail_word": word_blocker(room.controls)}, settings or {}, words(**row)
    )


def remote_policy(name: str, *, settings: dict[str, Any] | None = None, **row: Any) -> Policy:
    """Return a policy with one row of the remote guardrail."""
    rows = {"guardrails": [{"name": "far-judge", "kind": "far", **row}]}
    return Policy(name, lambda room: {"guardrail_far": remote_judge(room.controls)}, settings or {}, rows)


PLAIN = Policy("plain")

BLOCK = word_policy("block")
BLOCK_INPUT = word_policy("block_input", hook_point="input")
BLOCK_OUTPUT = word_policy("block_output", hook_point="output")
MASK = word_policy("mask", action="mask")
MONITOR = word_policy("monitor", enforcement_mode="monitor")
WORD_OPEN = word_policy("word_open", fail_open=True, output_fail_open=True)
WORD_MANDATORY = word_policy("word_mandatory", fail_open=True, output_fail_open=True, mandatory=True)
SAID_OPEN = word_policy("said_open", settings={"plugins": {"guardrail_word": {"on_error": "open"}}})
SAID_CLOSED = word_policy(
    "said_closed",
    settings={"plugins": {"guardrail_word": {"on_error": "closed"}}},
    fail_open=True,
    output_fail_open=True,
)

REMOTE = remote_policy("remote")
REMOTE_OPEN = remote_policy("remote_open", fail_open=True, output_fail_open=True)

HEADER = Policy("header", lambda room: {"auth_header": HeaderAuth})

ONE_REQUEST = Policy(
    "one_request",
    lambda room: {"limit_window": WindowLimit, "guardrail_word": word_blocker(room.controls)},
    {"plugins": {"limit_window": {"requests": 1}}},
    words(hook_point="input"),
)
ONE_AT_ONCE = Policy(
    "one_at_once",
    lambda room: {"limit_window": WindowLimit},
    {"plugins": {"limit_window": {"at_once": 1}}},
)
LIMIT_OPEN = Policy(
    "limit_open",
    lambda room: {"limit_window": WindowLimit},
    {"plugins": {"limit_window": {"on_error": "open"}}},
)
NO_STORE = Policy("no_store", lambda room: {"limit_window": WindowLimit}, off=("store_killable",))
BUDGET = Policy("budget", lambda room: {"budget_tokens": token_budget(room.controls)})

CRASH = Policy("crash", lambda room: {"hook_every": every_hook(room.controls)})
CRASH_CLOSED = Policy(
    "crash_closed",
    lambda room: {"hook_every": every_hook(room.controls)},
    {"plugins": {"hook_every": {"on_error": "closed"}}},
)
CRASH_OPEN = Policy(
    "crash_open",
    lambda room: {"hook_every": every_hook(room.controls)},
    {"plugins": {"hook_every": {"on_error": "open"}}},
)


def cached(room: Room) -> dict[str, Any]:
    """Return cache and word blocker of a room."""
    return {
        "cache_dict": dict_cache(room.controls, room.book, room.kept),
        "guardrail_word": word_blocker(room.controls),
    }


CACHE = Policy(
    "cache",
    cached,
    rows={
        "cache_policies": [{"name": "all", "backend": "dict"}],
        **words(hook_point="output", action="mask"),
    },
)
CACHE_BLOCK = Policy(
    "cache_block",
    cached,
    rows={"cache_policies": [{"name": "all", "backend": "dict"}], **words(hook_point="output")},
)
CACHE_ALONE = Policy("cache_alone", cached, rows={"cache_policies": [{"name": "all", "backend": "dict"}]})

TARGETS = Policy("targets", lambda room: {"resilience_rules": target_rules(room.controls, room.book)})


def panels(cells: list[Cell]) -> dict[str, Any]:
    """Return a panel of both models for each wire that can be conducted, and a word blocker."""
    wires = {one.endpoint.wire: one for one in cells if one.chat}
    models = [
        {"name": one.model("panel"), "panel": {"members": [one.model("sample"), one.model("other")]}}
        for one in wires.values()
    ]
    return {"models": models, **words()}


PANEL = Policy(
    "panel",
    lambda room: {"conductor_panel": Panel, "guardrail_word": word_blocker(room.controls)},
    rows=panels,
)
