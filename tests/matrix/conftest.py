"""The matrix: every endpoint x {stream, not} x every policy; see ``matrix_cells`` for how cells are found.

A test takes ``cell``, or a narrower set of cells below, and enters a room: a gateway that runs one policy.
There is one gateway per policy for the whole run. At the end of each test its room is checked: nothing is
in flight, every reservation ended in exactly one settle or release, every exchange settled exactly once.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from matrix_room import Enter, Policy, Room
from matrix_sets import SETS, SLOT_SETS, all_cells, text_slots
from matrix_upstream import MatrixUpstream


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test every cell of the set it asks for, or every text slot of every cell."""
    for name, belongs in SETS.items():
        if name in metafunc.fixturenames:
            cells = [one for one in all_cells() if belongs(one)]
            metafunc.parametrize(name, cells, ids=[str(one) for one in cells])
    for name, belongs in SLOT_SETS.items():
        if name in metafunc.fixturenames:
            slots = text_slots(belongs)
            metafunc.parametrize(name, slots, ids=[f"{one} {pointer}" for one, pointer in slots])


@pytest.fixture(scope="session")
def upstream() -> Iterator[MatrixUpstream]:
    """The upstream of all rooms."""
    made = MatrixUpstream()
    yield made
    made.close()


@pytest.fixture(scope="session")
def rooms(tmp_path_factory: pytest.TempPathFactory, upstream: MatrixUpstream) -> Iterator[Enter]:
    """Open the room of a policy, once."""
    opened: dict[str, Room] = {}

    def open_room(policy: Policy) -> Room:
        if policy.name not in opened:
            directory = tmp_path_factory.mktemp(policy.name)
            opened[policy.name] = Room(policy, directory, upstream, all_cells())
        return opened[policy.name]

    yield open_room
    for room in opened.values():
        room.close()


@pytest.fixture
def enter(rooms: Enter) -> Iterator[Enter]:
    """Enter the room of a policy; it is checked when the test is over."""
    entered: list[Room] = []

    def enter_room(policy: Policy) -> Room:
        room = rooms(policy)
        room.begin()
        entered.append(room)
        return room

    yield enter_room
    for room in entered:
        room.check()
