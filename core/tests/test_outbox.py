"""Writes of one turn leave together, in order, and none waits for longer than a turn."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from hookway.outbox import MOST, Outbox, outbox_of


class Sent:
    """A transport that notes what is written to it."""

    def __init__(self, log: list[bytes]) -> None:
        self.log = log
        self.closing = False

    def write(self, data: bytes) -> None:
        assert not self.closing
        self.log.append(data)

    def is_closing(self) -> bool:
        return self.closing


def transport(log: list[bytes]) -> Any:
    return cast("asyncio.WriteTransport", Sent(log))


async def turn() -> None:
    await asyncio.sleep(0)


async def test_a_request_alone_is_sent_at_once() -> None:
    log: list[bytes] = []
    Outbox(asyncio.get_running_loop()).write(transport(log), b"a")
    assert log == [b"a"]


async def test_the_last_of_those_expected_sends_for_all_in_order() -> None:
    outbox, log = Outbox(asyncio.get_running_loop()), []
    outbox.expected = 3
    one, other = transport(log), transport(log)
    for to, data in ((one, b"1"), (other, b"2"), (one, b"3")):
        assert log == []
        outbox.expected -= 1
        outbox.write(to, data)
    assert log == [b"1", b"2", b"3"]


async def test_where_the_last_one_writes_nothing_the_turn_ends_it() -> None:
    outbox, log = Outbox(asyncio.get_running_loop()), []
    outbox.expected = 1
    outbox.write(transport(log), b"1")
    assert log == []
    await turn()
    assert log == [b"1"]


async def test_no_more_than_a_few_wait() -> None:
    outbox, log = Outbox(asyncio.get_running_loop()), []
    outbox.expected = 1000
    for _ in range(MOST - 1):
        outbox.write(transport(log), b"x")
    assert log == []
    outbox.write(transport(log), b"x")
    assert len(log) == MOST


async def test_what_is_closed_meanwhile_gets_nothing_and_costs_nobody_else_anything() -> None:
    outbox, log = Outbox(asyncio.get_running_loop()), []
    outbox.expected = 1
    gone = transport(log)
    outbox.write(gone, b"1")
    outbox.write(transport(log), b"2")
    gone.closing = True
    outbox.flush()
    assert log == [b"2"]


async def test_a_count_that_went_wrong_heals() -> None:
    outbox, log = Outbox(asyncio.get_running_loop()), []
    outbox.expected = -5  # tasks ran that nobody had expected
    outbox.write(transport(log), b"1")
    assert (log, outbox.expected) == ([b"1"], 0)
    outbox.expected = 3  # tasks were cancelled before they ran
    for _ in range(3):
        outbox.write(transport(log), b"x")
        await turn()
    outbox.write(transport(log), b"2")
    assert log[-1] == b"2"


async def test_a_loop_has_one_outbox() -> None:
    loop = asyncio.get_running_loop()
    assert outbox_of(loop) is outbox_of(loop)
