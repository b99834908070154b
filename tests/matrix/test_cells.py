"""What the matrix is made of: endpoints join by being installed, and say enough of themselves."""

from __future__ import annotations

import json
from pathlib import Path

from matrix_cells import PLACEHOLDER, Cell, discover, steps_to
from matrix_policies import PLAIN
from matrix_room import BASE, Enter
from matrix_sets import all_cells

from hookway_sdk import Sample


def pointers(value: object, at: str = "") -> set[str]:
    """Return the pointers of the placeholders below a value."""
    if isinstance(value, str):
        return {at} if PLACEHOLDER.fullmatch(value) else set()
    if isinstance(value, dict):
        below = {f"{at}/{name.replace('~', '~0').replace('/', '~1')}": one for name, one in value.items()}
    elif isinstance(value, list):
        below = {f"{at}/{index}": one for index, one in enumerate(value)}
    else:
        return set()
    return {found for pointer, inner in below.items() for found in pointers(inner, pointer)}


def test_the_matrix_has_every_endpoint_of_every_installed_plugin() -> None:
    paths = {one.endpoint.path for one in all_cells()}
    assert {"/v1/chat/completions", "/v1/models", "/v1/models/{model}"} <= paths
    assert any(one.streams for one in all_cells())
    assert any(one.has_upstream for one in all_cells())


def test_an_endpoint_joins_the_matrix_by_being_installed(tmp_path: Path) -> None:
    without = {one.endpoint.path for one in discover(tmp_path / "without", {})}
    assert {one.endpoint.path for one in all_cells()} - without == {"/matrix/notes", "/matrix/notes/{owner}"}
    assert {one.endpoint.path for one in discover(tmp_path / "with", BASE)} > without


def test_samples_name_exactly_their_text_slots(cell: Cell) -> None:
    sample: Sample | None = cell.sample
    if sample is None:
        return
    assert pointers(sample.body) == set(sample.slots)
    assert all(steps_to(pointer) for pointer in sample.slots)


def test_an_endpoint_with_an_upstream_scripts_it_and_its_usage(asking_cell: Cell) -> None:
    assert asking_cell.sample is not None
    assert asking_cell.sample.upstream is not None
    assert asking_cell.sample.usage is not None
    assert asking_cell.whole is not None, "a held stream is asked for whole"


def test_every_sample_is_served(enter: Enter, cell: Cell) -> None:
    room = enter(PLAIN)
    reply = room.ask(cell)
    assert reply.status == 200, reply.body
    assert len(room.upstream.requests) == (1 if cell.has_upstream else 0)
    if cell.streams:
        assert reply.headers["content-type"].startswith("text/event-stream")
    else:
        assert json.loads(reply.body)
    (ended,) = room.ended()
    assert (ended.status, ended.endpoint) == (200, cell.endpoint.path)
    assert room.failures == {}
