"""Who may come in, and who may use which model."""

from __future__ import annotations

from matrix_cells import Cell
from matrix_plugins.header_auth import HEADER
from matrix_policies import HEADER as HEADER_POLICY
from matrix_policies import PLAIN
from matrix_room import NARROW_KEY, Enter, Room, wait_until

from hookway_sdk import AuthDenied, PermissionDenied, Unauthenticated


def denials(room: Room) -> list[AuthDenied]:
    """Wait for a denial, and return all of them."""
    wait_until(lambda: bool(room.running.of(AuthDenied)), "nobody was denied")
    return room.running.of(AuthDenied)


def test_nobody_comes_in_without_a_credential(enter: Enter, cell: Cell) -> None:
    room = enter(PLAIN)
    reply = room.ask(cell, key=None)
    room.refuses(reply, cell, Unauthenticated("missing or malformed Authorization header"))
    (denied,) = denials(room)
    assert (denied.reason, denied.method) == ("missing_credentials", "none")
    assert (denied.endpoint, denied.path) == (cell.endpoint.path, cell.path())
    assert room.upstream.requests == []
    assert room.book.held == []


def test_an_unknown_key_is_refused_before_the_body_is_read(enter: Enter, cell: Cell) -> None:
    room = enter(PLAIN)
    reply = room.ask(cell, b"no body of any endpoint", key="hw-unknown")
    room.refuses(reply, cell, Unauthenticated("invalid API key"))
    assert [one.reason for one in denials(room)] == ["unknown_key"]
    assert room.upstream.requests == []


def test_a_key_without_the_model_is_forbidden_and_nothing_is_reserved_or_sent(
    enter: Enter, model_cell: Cell
) -> None:
    room = enter(PLAIN)
    reply = room.ask(model_cell, key=NARROW_KEY)
    name = model_cell.model()
    room.refuses(reply, model_cell, PermissionDenied(f'API key is not allowed to use model "{name}"'))
    (ended,) = room.ended()
    assert (ended.status, ended.error_type, ended.key_name) == (403, "permission_denied", "narrow")
    assert room.upstream.requests == []
    assert room.book.held == []


def test_another_way_to_prove_oneself_stands_beside_keys(enter: Enter, cell: Cell) -> None:
    room = enter(HEADER_POLICY)
    assert room.ask(cell, key=None, headers={HEADER: "ada"}).status == 200
    assert room.ask(cell).status == 200
    first, second = room.ended(2)
    assert (first.key_id, first.auth_method) == ("ada", "header")
    assert (second.key_name, second.auth_method) == ("good", "api_key")


def test_a_credential_that_its_plugin_refuses_is_final(enter: Enter, cell: Cell) -> None:
    room = enter(HEADER_POLICY)
    reply = room.ask(cell, key=None, headers={HEADER: "banned"})
    room.refuses(reply, cell, Unauthenticated("this user is banned"))
    (denied,) = denials(room)
    assert (denied.reason, denied.method, denied.key_id) == ("user_banned", "header", "banned")


def test_the_credential_reaches_no_upstream(enter: Enter, asking_cell: Cell) -> None:
    room = enter(PLAIN)
    assert room.ask(asking_cell).status == 200
    (sent,) = room.upstream.requests
    assert room.running.key not in repr(sent.headers) + sent.body.decode()
