"""What is measured, and what issue 2 wants of it."""

from __future__ import annotations

from dataclasses import dataclass

from mock_upstream import FRAME_INTERVAL

SMALL_TOKENS = 60  # an answer of about 0.6 KB
KB100_TOKENS = 25_000  # four bytes of content each
MB_TOKENS = 250_000
SMALL_REQUEST = 1_000  # bytes
MB_REQUEST = 1_000_000

FLOORS_AND_US = ("bare", "splice", "hookway", "litellm", "portkey")
EVERYONE = (
    "bare",
    "bare-again",
    "splice",
    "hookway",
    "hookway-0",
    "hookway-5",
    "hookway-all",
    "litellm",
    "portkey",
)


@dataclass(frozen=True)
class Target:
    """A figure of ``hookway`` that should not be exceeded.

    Args:
        figure: which one (a key of :class:`rounds.Figures`, or of the footprint's figures).
        most: the most it may be.
        unit: for the table.
    """

    figure: str
    most: float
    unit: str


@dataclass(frozen=True)
class Scenario:
    """A load under which contenders are compared round by round.

    Args:
        name: after ``--scenario`` and in tables.
        title: one line for the table.
        connections: how many work at once.
        request: bytes of request body.
        tokens: decides the answer's length; for a stream it is chosen to outlast the window.
        stream: measure chunks of streams.
        against: the floor of the same round that figures are compared with.
        who: who takes part when the command line does not say.
        targets: what ``hookway`` must reach.
    """

    name: str
    title: str
    connections: int
    request: int = SMALL_REQUEST
    tokens: int = SMALL_TOKENS
    stream: bool = False
    against: str = "bare"
    who: tuple[str, ...] = FLOORS_AND_US
    targets: tuple[Target, ...] = ()

    def frames_for(self, seconds: float) -> int:
        """Return how many frames a stream needs to be still running after ``seconds``."""
        return int((seconds + 0.3) / FRAME_INTERVAL)  # 0.3 s cover their opening


SCENARIOS = (
    Scenario(
        "small-c32",
        "1 KB request, 0.6 KB answer, 32 connections",
        32,
        who=EVERYONE,
        targets=(Target("ratio", 0.8, "of bare"),),
    ),
    Scenario(
        "small-c1",
        "1 KB request, 0.6 KB answer, 1 connection",
        1,
        who=("direct", *FLOORS_AND_US),
        targets=(Target("added_p50", 0.3, "ms over direct"),),
    ),
    Scenario("request-100k", "100 KB request, 0.6 KB answer, 8 connections", 8, request=100_000),
    Scenario("answer-100k", "1 KB request, 100 KB answer, 8 connections", 8, tokens=KB100_TOKENS),
    Scenario(
        "request-1m",
        "1 MB request, 0.6 KB answer, 4 connections",
        4,
        request=MB_REQUEST,
        targets=(Target("ratio", 1.0, "of bare"),),
    ),
    Scenario("answer-1m", "1 KB request, 1 MB answer, 4 connections", 4, tokens=MB_TOKENS),
    Scenario(
        "stream",
        "100 streams, one frame per 10 ms, not coalesced; per chunk",
        100,
        stream=True,
        against="splice",
        who=EVERYONE,
        targets=(Target("difference", 6.0, "µs over splice"),),
    ),
)

FOOTPRINT_TARGETS = {
    "start": Target("start", 0.5, "s"),
    "rss": Target("rss", 90.0, "MB"),
    "growth": Target("growth", 2.0, "MB"),
    "peak_request": Target("peak_request", 2.2, "MB"),
}
