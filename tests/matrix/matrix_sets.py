"""Which cells a test is given: sets of cells, told apart by what their endpoints declare."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from matrix_cells import Cell, discover
from matrix_room import BASE

from hookway_sdk import Phase

SETS: dict[str, Callable[[Cell], bool]] = {
    "cell": lambda one: True,
    "asking_cell": lambda one: one.has_upstream,
    "streaming_cell": lambda one: one.streams,
    "whole_cell": lambda one: one.has_upstream and not one.streams,
    "own_cell": lambda one: (
        not one.has_upstream and one.sample is not None and one.runs(Phase.INSPECT_ANSWER)
    ),
    "chat_cell": lambda one: one.chat,
    "read_cell": lambda one: one.sample is not None and one.runs(Phase.INSPECT_REQUEST),
    "answer_cell": lambda one: one.runs(Phase.INSPECT_ANSWER),
    "cached_cell": lambda one: one.has_upstream and one.runs(Phase.LOOKUP) and one.runs(Phase.STORE),
    "model_cell": lambda one: one.has_upstream and one.runs(Phase.AUTHORIZE),
    "admitted_cell": lambda one: one.runs(Phase.ADMIT_REQUEST),
}
"""Sets of cells by the argument under which a test takes them."""

SLOT_SETS = {"slot": SETS["cell"], "sent_slot": SETS["asking_cell"]}
"""Sets of cells whose text slots a test takes one by one."""


@cache
def all_cells() -> list[Cell]:
    """Return the cells, found once."""
    with tempfile.TemporaryDirectory() as directory:
        return discover(Path(directory), BASE)


def text_slots(belongs: Callable[[Cell], bool]) -> list[tuple[Cell, str]]:
    """Return every text slot of those cells whose texts are read."""
    return [
        (one, pointer)
        for one in all_cells()
        if SETS["read_cell"](one) and belongs(one) and one.sample is not None
        for pointer in one.sample.slots
    ]
