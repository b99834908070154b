"""Rounds in which every contender has its turn, and what is concluded from them.

A shared machine drifts by tens of percent within minutes, so a contender is compared only with the floor of
the same round, and the median of these ratios is the figure. The order turns round by round: nobody always
follows the same one, and nobody is always last.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median, quantiles

import msgspec
from contenders import ALIAS, KEY, Contender
from load import Job, Result
from load_process import LoadProcess
from mock_upstream import answer_body_bytes
from process_meter import cpu_seconds, process_tree
from scenarios import Scenario

DIRECT = "direct"
_CLOCK_TICK = 0.01  # seconds; /proc/stat


class Slice(msgspec.Struct):
    """One contender's turn in one round.

    Args:
        cost: µs of the gateway's CPU per answer; for streams per chunk.
        whole_cost: the same from the first connection to the last answer, opening and closing included.
        rate: answers (chunks) per second.
        p50, p99: milliseconds per answer; for streams, until the first frame.
        coalesced: chunks per read; 1.0 when each frame arrived by itself.
        foreign: cores that other work on the machine took meanwhile.
        result: what the load generator reported.
    """

    cost: float
    whole_cost: float
    rate: float
    p50: float
    p99: float
    coalesced: float
    foreign: float
    result: Result


class Figures(msgspec.Struct):
    """A contender's medians over the rounds.

    Args:
        cost, whole_cost, rate, p50, p99, coalesced: medians of :class:`Slice`.
        ratio: median of cost / cost of the floor in the same round; ``ratio_low``, ``ratio_high``: its
        quartiles.
        difference: median of cost - cost of the floor in the same round, µs; also with its quartiles.
        added_p50: median of p50 - p50 without a gateway in the same round, ms; where that is measured.
    """

    cost: float
    whole_cost: float
    rate: float
    p50: float
    p99: float
    coalesced: float
    ratio: float
    ratio_low: float
    ratio_high: float
    difference: float
    difference_low: float
    difference_high: float
    added_p50: float | None


class Measured(msgspec.Struct, frozen=True):
    """A running contender as the load generator sees it."""

    contender: Contender
    port: int
    pid: int
    headers: dict[str, str]


def job_for(scenario: Scenario, measured: Measured, seconds: float) -> Job:
    """Return the job of one slice."""
    warmup = seconds / 4
    tokens = scenario.frames_for(warmup + seconds) if scenario.stream else scenario.tokens
    exact = measured.contender.same_length and not scenario.stream
    return Job(
        port=measured.port,
        key=KEY,
        model=ALIAS,
        headers=measured.headers,
        request_bytes=scenario.request,
        max_tokens=tokens,
        stream=scenario.stream,
        connections=scenario.connections,
        warmup_seconds=warmup,
        seconds=seconds,
        answer_bytes=answer_body_bytes(tokens) if exact else 0,
        pids=process_tree(measured.pid),
        timeout=seconds * 4 + 30,
    )


def run_slice(
    scenario: Scenario, measured: Measured, seconds: float, load: LoadProcess, mock_pid: int
) -> Slice:
    """Give one contender its turn.

    Raises:
        RuntimeError: an answer was wrong.
    """
    job = job_for(scenario, measured, seconds)
    ours = sorted({*job.pids, load.pid, mock_pid})
    began, busy, own = time.monotonic(), machine_busy(), cpu_seconds(ours)
    try:
        result = load.run(job)
    except RuntimeError as error:
        raise RuntimeError(f"{measured.contender.name}, scenario {scenario.name}: {error}") from error
    foreign = (machine_busy() - busy) - (cpu_seconds(ours) - own)
    done = result.chunks if scenario.stream else result.answers
    done_whole = result.chunks_whole if scenario.stream else result.answers_whole
    return Slice(
        cost=result.cpu / done * 1e6,
        whole_cost=result.cpu_whole / done_whole * 1e6,
        rate=done / result.seconds,
        p50=result.p50,
        p99=result.p99,
        coalesced=result.chunks / result.reads if result.reads else 1.0,
        foreign=max(0.0, foreign) / (time.monotonic() - began),
        result=result,
    )


def machine_busy() -> float:
    """Return the CPU seconds that the machine has spent on anything since it booted."""
    user, nice, system, _idle, _iowait, irq, softirq, *_ = (
        Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    )
    return sum(map(int, (user, nice, system, irq, softirq))) * _CLOCK_TICK


def run_rounds(
    everyone: Sequence[Measured], rounds: int, run: Callable[[Measured], Slice | None]
) -> list[dict[str, Slice]]:
    """Play the rounds, one slice of each contender in each; who gives up (``None``) is left out of all."""
    names = [measured.contender.name for measured in everyone]
    staying = list(everyone)
    played: list[dict[str, Slice]] = []
    for number in range(rounds):
        start = number % len(staying)
        turn = staying[start:] + staying[:start]
        if number % 2:
            turn.reverse()
        slices: dict[str, Slice] = {}
        for measured in turn:
            if (taken := run(measured)) is None:
                staying.remove(measured)
            else:
                slices[measured.contender.name] = taken
        played.append(slices)
    stayed = [name for name in names if any(name == measured.contender.name for measured in staying)]
    return [{name: slices[name] for name in stayed} for slices in played]


def conclude(scenario: Scenario, played: Sequence[Mapping[str, Slice]]) -> dict[str, Figures]:
    """Return each contender's medians, compared with the scenario's floor round by round."""
    return {name: _figures(scenario, name, played) for name in played[0]}


def _figures(scenario: Scenario, name: str, played: Sequence[Mapping[str, Slice]]) -> Figures:
    own = [slices[name] for slices in played]
    floors = [slices[scenario.against] for slices in played]
    ratios = [mine.cost / floor.cost for mine, floor in zip(own, floors, strict=True)]
    differences = [mine.cost - floor.cost for mine, floor in zip(own, floors, strict=True)]
    added = [slices[name].p50 - slices[DIRECT].p50 for slices in played if DIRECT in slices]
    return Figures(
        cost=median(one.cost for one in own),
        whole_cost=median(one.whole_cost for one in own),
        rate=median(one.rate for one in own),
        p50=median(one.p50 for one in own),
        p99=median(one.p99 for one in own),
        coalesced=median(one.coalesced for one in own),
        ratio=median(ratios),
        ratio_low=quartile(ratios, 1),
        ratio_high=quartile(ratios, 3),
        difference=median(differences),
        difference_low=quartile(differences, 1),
        difference_high=quartile(differences, 3),
        added_p50=median(added) if added else None,
    )


def quartile(values: Sequence[float], which: int) -> float:
    """Return the first (1) or third (3) quartile; of a single value, that value."""
    return quantiles(values, n=4, method="inclusive")[which - 1] if len(values) > 1 else values[0]
