"""What a chain of steps costs against a bare loop over the same functions.

``python tests/bench/hooks_grid.py`` prints microseconds per run of the whole chain. 0, 1, 5 and 20 steps,
each and first. Three runners take turns: a bare loop (the floor), the core's chains (``hookway.chains``,
when it is installed), and pluggy's own ``hook(…)`` call for plain functions, which is what the core's
chains exist to avoid. Steps do nothing and answer ``None``, so that *first* runs to its end like *each*.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from statistics import median
from types import SimpleNamespace
from typing import Any

STEPS = (0, 1, 5, 20)
MODES = ("each", "first", "each plain", "first plain")

Run = Callable[[Any], Awaitable[Any]]
"""Runs a whole chain once, on one exchange."""

Runner = Callable[[str, int], Run | None]
"""Makes the run of a mode and a number of steps; ``None`` where the runner has no such mode."""


async def _awaited(exchange: Any) -> None:
    """Do nothing, in the colour of most steps."""


def _plain(exchange: Any) -> None:
    """Do nothing, in the colour of settle, record and local guardrails."""


def bare_loop(mode: str, steps: int) -> Run:
    """Return a loop with nothing around the calls."""
    awaited: Sequence[Callable[[Any], Awaitable[Any]]] = (_awaited,) * steps
    plain: Sequence[Callable[[Any], Any]] = (_plain,) * steps

    async def each(exchange: Any) -> None:
        for call in awaited:
            await call(exchange)

    async def first(exchange: Any) -> Any:
        for call in awaited:
            answer = await call(exchange)
            if answer is not None:
                return answer
        return None

    async def each_plain(exchange: Any) -> None:
        for call in plain:
            call(exchange)

    async def first_plain(exchange: Any) -> Any:
        for call in plain:
            answer = call(exchange)
            if answer is not None:
                return answer
        return None

    return {"each": each, "first": first, "each plain": each_plain, "first plain": first_plain}[mode]


def core_chain(mode: str, steps: int) -> Run:
    """Return the core's own way: compiled steps, failure policies, the look for a trace."""
    from hookway.chains import ChainRunner, Step, sorted_chain
    from hookway_sdk import OnError, Phase

    def note(*_: Any) -> None:
        raise AssertionError("a step that does nothing has failed")

    runner, phase = ChainRunner(note), Phase.INSPECT_REQUEST
    call = _plain if mode.endswith("plain") else _awaited
    chain = sorted_chain(
        Step(500, 0, f"step{number}", "bench", call, OnError.CLOSED) for number in range(steps)
    )

    async def each_plain(exchange: Any) -> None:
        runner.each_now(phase, chain, exchange)

    async def first_plain(exchange: Any) -> Any:
        return runner.first_now(phase, chain, exchange)

    runs: dict[str, Run] = {
        "each": lambda exchange: runner.each(phase, chain, exchange),
        "first": lambda exchange: runner.first(phase, chain, exchange),
        "each plain": each_plain,
        "first plain": first_plain,
    }
    return runs[mode]


def pluggy_call(mode: str, steps: int) -> Run | None:
    """Return a call through pluggy, which knows plain functions only."""
    if not mode.endswith("plain"):
        return None
    import pluggy

    spec, impl = pluggy.HookspecMarker("bench"), pluggy.HookimplMarker("bench")

    class Spec:
        @spec(firstresult=mode.startswith("first"))
        def step(self, exchange: Any) -> Any:
            """Be called."""

    class Plugin:
        @impl
        def step(self, exchange: Any) -> Any:
            """Do nothing."""

    manager = pluggy.PluginManager("bench")
    manager.add_hookspecs(Spec)
    for _ in range(steps):
        manager.register(Plugin())
    hook = manager.hook.step

    async def run(exchange: Any) -> Any:
        return hook(exchange=exchange)

    return run


def runners() -> dict[str, Runner]:
    """Return who is measured here."""
    found: dict[str, Runner] = {"bare loop": bare_loop}
    if importlib.util.find_spec("hookway") and importlib.util.find_spec("hookway.chains"):
        found["hookway"] = core_chain
    found["pluggy"] = pluggy_call
    return found


async def _microseconds(run: Run, exchange: Any, loops: int) -> float:
    began = time.perf_counter()
    for _ in range(loops):
        await run(exchange)
    return (time.perf_counter() - began) / loops * 1e6


async def measure(
    grid_runners: Mapping[str, Runner], rounds: int, loops: int
) -> dict[tuple[str, int], dict[str, float]]:
    """Return µs per run of a chain by (mode, steps) and runner; medians of interleaved rounds."""
    exchange = SimpleNamespace(trace=None, id="bench")
    grid: dict[tuple[str, int], dict[str, float]] = {}
    for mode in MODES:
        for steps in STEPS:
            runs = {
                name: run for name, make in grid_runners.items() if (run := make(mode, steps)) is not None
            }
            taken: dict[str, list[float]] = {name: [] for name in runs}
            for _ in range(rounds):
                for name, run in runs.items():
                    taken[name].append(await _microseconds(run, exchange, loops))
            grid[mode, steps] = {name: median(values) for name, values in taken.items()}
    return grid


def main(arguments: Sequence[str]) -> None:
    """Measure and print the grid."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--loops", type=int, default=2000, help="runs of a chain per round")
    wishes = parser.parse_args(arguments)
    who = runners()
    if "hookway" not in who:
        print("without hookway: hookway.chains cannot be imported; try: make dev")
    grid = asyncio.run(measure(who, wishes.rounds, wishes.loops))
    print(f"{'µs per chain':<14}{'steps':>6}" + "".join(f"{name:>12}" for name in who))
    for (mode, steps), taken in grid.items():
        cells = (f"{taken[name]:>12.2f}" if name in taken else f"{'-':>12}" for name in who)
        print(f"{mode:<14}{steps:>6}" + "".join(cells))


if __name__ == "__main__":
    main(sys.argv[1:])
