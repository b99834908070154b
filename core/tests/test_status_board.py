"""What operators are told of the configuration: what serves, since when, and what does not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hookway.resources.acceptance import Offer, Rejected, ResourceSet
from hookway.status_board import SourceAway, StatusBoard, error_kind, hash_of
from hookway_sdk import (
    ConfigError,
    Place,
    PluginError,
    Problem,
    Resource,
    Row,
    Secret,
    SourceDocument,
    StartError,
)
from hookway_sdk.testing import FakeClock


class Account(Row):
    """A row with a secret."""

    display_name: str
    api_key: Secret


def rows(*names: str, secret: str = "s") -> ResourceSet:
    made = tuple(
        Resource("provider_keys", f"id-{name}", name, Account(name, Secret(secret)), "source_file")
        for name in names
    )
    return ResourceSet({"provider_keys": made})


def rejected(name: str = "bad", *, last_good: bool = False) -> Rejected:
    problem = Problem(key=f'provider_keys[0] ("{name}").api_base', message="is no URL")
    return Rejected("provider_keys", name, "source_etcd", (problem,), last_good, f"id-{name}")


def wrong(name: str = "bad") -> ConfigError:
    return ConfigError(
        [Problem(f'models[3] ("{name}").timeout', "is negative", place=Place("resources.yaml", 7))]
    )


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def board(clock: FakeClock) -> StatusBoard:
    return StatusBoard(clock)


async def test_before_anything_was_applied(board: StatusBoard) -> None:
    status = await board.config()
    assert (status.state, status.applied, board.ready) == ("never_loaded", None, False)
    board.refused(wrong())
    assert (await board.config()).state == "never_loaded"
    assert list(await board.models()) == []


async def test_a_configuration_that_serves(board: StatusBoard, clock: FakeClock) -> None:
    board.observed(
        [
            Offer("source_file", SourceDocument({}, revision="abc")),
            Offer("state_dir", SourceDocument({}), own=True),
        ]
    )
    board.applied(1, rows("a", "b"))
    status = await board.config()
    assert (status.state, status.last_reload_ok, board.ready) == ("synced", True, True)
    assert status.applied is not None
    assert (status.applied.apply_seq, status.applied.counts) == (1, {"provider_keys": 2})
    assert len(status.applied.config_hash) == 64
    (source,) = status.sources
    assert (source.name, source.type, source.revision) == ("source_file", "file", "abc")
    assert source.observed_at == clock.now()


async def test_the_sequence_counts_changes_of_what_serves(board: StatusBoard) -> None:
    seen = []
    for one in (rows("a"), rows("a"), rows("a", "b"), rows("a", "b", secret="other"), rows("a")):
        board.applied(1, one)
        applied = (await board.config()).applied
        assert applied is not None
        seen.append((applied.apply_seq, applied.config_hash))
    assert [seq for seq, _ in seen] == [1, 1, 2, 3, 4]
    assert len({digest for _, digest in seen}) == 3
    assert seen[0][1] == seen[-1][1]


async def test_a_large_configuration_is_hashed_beside_the_loop(
    board: StatusBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hookway.status_board.SMALL", 1)
    many = rows("a", "b")
    board.applied(1, many)
    applied = (await board.config()).applied
    assert applied is not None
    assert applied.config_hash == hash_of(many.rows)


async def test_the_order_of_rows_does_not_matter_to_the_hash() -> None:
    assert hash_of(rows("a", "b").rows) == hash_of(rows("b", "a").rows)


@pytest.mark.parametrize(
    ("served", "bad", "state"),
    [(("a",), False, "synced"), ((), False, "empty"), (("a",), True, "degraded"), ((), True, "out_of_sync")],
)
async def test_the_word_for_it(board: StatusBoard, served: tuple[str, ...], bad: bool, state: str) -> None:
    resources = rows(*served)
    if bad:
        resources = msgspec.structs.replace(resources, rejected=(rejected(),))
    board.applied(1, resources)
    assert (await board.config()).state == state


async def test_a_rejected_row_has_a_history(board: StatusBoard, clock: FakeClock) -> None:
    first = clock.now()
    for _ in range(3):
        board.applied(1, msgspec.structs.replace(rows("a"), rejected=(rejected(last_good=True),)))
        clock.advance(10)
    (row,) = (await board.config()).rejected
    assert (row.collection, row.name, row.id, row.kind) == ("provider_keys", "bad", "id-bad", "schema_failed")
    assert (row.first_seen_at, row.last_seen_at, row.stale_since) == (first, first + 20, first)
    board.applied(2, rows("a"))
    assert (await board.config()).rejected == ()


async def test_a_refused_document_and_the_recovery(board: StatusBoard, clock: FakeClock) -> None:
    board.applied(1, rows("a"))
    clock.advance(5)
    board.refused(wrong())
    status = await board.config()
    assert (status.state, status.last_reload_ok) == ("out_of_sync", False)
    assert status.applied is not None
    assert status.applied.counts == {"provider_keys": 1}
    (row,) = status.rejected
    assert (row.collection, row.name) == ("models", "bad")
    assert "resources.yaml:7" in row.error
    assert status.failures == {"validate": 1}
    failure = status.last_failure
    assert failure is not None
    clock.advance(5)
    board.applied(2, rows("a", "b"))
    status = await board.config()
    assert (status.state, status.last_failure, status.rejected) == ("synced", failure, ())
    assert status.last_success_at == clock.now()
    assert status.reloads == 3


async def test_a_source_that_is_away_rejects_nothing(board: StatusBoard) -> None:
    board.observed([Offer(name, SourceDocument({})) for name in ("source_file", "source_etcd")])
    board.applied(1, rows("a"))
    board.refused(SourceAway("source_etcd", "connection refused by 10.0.0.1"))
    status = await board.config()
    assert (status.state, status.rejected, status.failures) == ("synced", (), {"fetch": 1})
    assert status.last_failure is not None
    assert status.last_failure.error == "configuration source unreachable"
    assert [one.reachable for one in status.sources] == [True, False]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConfigError([Problem("", "is no YAML: a tab")]), "non_json"),
        (wrong(), "schema_failed"),
        (PluginError("limit_rate", "cannot compile"), "parse_failed"),
        (SourceAway("source_etcd", "away"), "fetch"),
        (StartError("no such thing"), "parse_failed"),
    ],
)
def test_the_sort_of_mistake(error: Any, kind: str) -> None:
    assert error_kind(error) == kind


async def test_a_mistake_in_conf_d_is_no_rejected_row(board: StatusBoard) -> None:
    board.applied(1, rows("a"))
    board.refused(ConfigError([Problem("plugins.auth_kees", "no plugin of this name")]), rows=False)
    status = await board.config()
    assert (status.state, status.rejected) == ("out_of_sync", ())
    assert status.last_failure is not None
