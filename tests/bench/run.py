"""``make bench``: measure Hookway against the floors, print tables, keep the raw figures.

Starts the mock upstream and every contender, then plays rounds (see ``rounds.py``) of every scenario (see
``scenarios.py``), then takes footprints (``footprint.py``). CPU is that of the gateway's process alone.
What is printed are medians; the raw figures go to ``results/``, which git ignores.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import footprint
import msgspec
from contenders import HERE, Contender, Launch, NotStarted, Running, contenders, start, start_mock
from load_process import LoadProcess
from report import footprint_table, scenario_table
from rounds import DIRECT, Measured, Slice, conclude, run_rounds, run_slice
from scenarios import SCENARIOS, Scenario

FOOTPRINTS = ("start", "memory", "peak")
_FOOTPRINT_CONTENDERS = ("bare", "hookway", "litellm", "portkey")


@dataclass(frozen=True)
class Size:
    """How much of everything is done.

    Args:
        rounds: rounds of a scenario of whole answers.
        seconds: window of one slice of it.
        stream_rounds: rounds of streams.
        stream_seconds: window of one slice of streams.
        requests: of the memory run.
        starts: cold starts.
    """

    rounds: int
    seconds: float
    stream_rounds: int
    stream_seconds: float
    requests: int
    starts: int


FULL = Size(rounds=25, seconds=0.4, stream_rounds=20, stream_seconds=0.8, requests=100_000, starts=10)
QUICK = Size(rounds=7, seconds=0.25, stream_rounds=5, stream_seconds=0.5, requests=10_000, starts=3)
_QUICK_SCENARIOS = ("small-c32", "small-c1", "request-1m", "stream")
_QUICK_CONTENDERS = ("bare", "splice", "hookway")


class Bench:
    """One run.

    Args:
        size: how much is done.
        who: names given by ``--contender``; empty leaves it to the scenarios.
        directory: an empty one, for configuration, logs and state.
    """

    def __init__(self, size: Size, who: tuple[str, ...], directory: Path) -> None:
        self.size = size
        self._who = who
        self._directory = directory
        self._contenders = contenders()
        self._running: dict[str, Running] = {}
        self._stack = ExitStack()
        self._said: set[str] = set()
        self.broken: set[str] = set()

    def __enter__(self) -> Bench:
        self._mock = self._stack.enter_context(start_mock(self._directory / "mock"))
        self._load = self._stack.enter_context(LoadProcess())
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def available(self, proposed: Iterable[str], floor: str) -> list[Contender]:
        """Return who takes part, the floor always; say once who cannot, and why."""
        found = []
        for name in proposed:
            contender = self._contenders.get(name)
            if contender is None or name in self.broken:
                continue
            if self._who and name not in self._who and name != floor:
                continue
            if contender.missing:
                self._say_once(f"without {name}: {contender.missing}")
            else:
                found.append(contender)
        return found

    def compare(self, scenario: Scenario) -> dict[str, Any]:
        """Play one scenario's rounds, print its table, return the raw figures."""
        proposed = self.available(scenario.who, scenario.against)
        measured = [one for contender in proposed if (one := self._measured(contender))]
        if DIRECT in scenario.who:
            none = Contender(DIRECT, lambda *_: Launch([]))
            measured.insert(0, Measured(none, self._mock.port, self._mock.pid, {}))
        seconds = self.size.stream_seconds if scenario.stream else self.size.seconds
        rounds = self.size.stream_rounds if scenario.stream else self.size.rounds

        def run(one: Measured) -> Slice | None:
            try:
                taken = run_slice(scenario, one, seconds, self._load, self._mock.pid)
            except RuntimeError as error:
                if one.contender.ours:
                    raise
                self._say_once(f"without {error}")
                return None
            if one.contender.name == DIRECT:
                taken.cost = taken.whole_cost = 0.0  # the mock's own CPU is no gateway's
            return taken

        played = run_rounds(measured, rounds, run)
        figures = conclude(scenario, played)
        print(scenario_table(scenario, figures, played), flush=True)
        return {"figures": figures, "rounds": played}

    def footprints(self, kinds: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Take cold starts, memory and peaks, print their table, return the figures."""
        found: dict[str, dict[str, Any]] = {}
        for contender in self.available(_FOOTPRINT_CONTENDERS, "bare"):
            if self._measured(contender) is None:
                continue
            figures = found[contender.name] = {}
            for kind in kinds:
                figures |= self._take(kind, contender)
        if any(found.values()):
            print(footprint_table(found), flush=True)
        return found

    def _take(self, kind: str, contender: Contender) -> dict[str, Any]:
        mock, directory = self._mock.port, self._directory
        takers: dict[str, Callable[[], dict[str, Any]]] = {
            "start": lambda: footprint.cold_start(contender, mock, directory, self.size.starts),
            "memory": lambda: footprint.memory_over_requests(
                contender, mock, directory, self._load, self.size.requests
            ),
            "peak": lambda: footprint.allocation_peaks(contender, mock, directory, self._load),
        }
        if kind == "peak" and not contender.ours:
            return {}
        return takers[kind]()

    def _measured(self, contender: Contender) -> Measured | None:
        """Return the contender's process, started at first use and kept; ``None`` when it does not start."""
        name = contender.name
        if name not in self._running:
            process = self._stack.enter_context(start(contender, self._mock.port, self._directory / name))
            try:
                process.wait_ready(contender.ready)
            except NotStarted as error:
                self.broken.add(name)
                self._say_once(f"without {name}: {error}")
                return None
            self._running[name] = process
        process = self._running[name]
        return Measured(contender, process.port, process.pid, contender.headers_for(self._mock.port))

    def _say_once(self, sentence: str) -> None:
        if sentence not in self._said:
            self._said.add(sentence)
            print(sentence, flush=True)


def environment() -> dict[str, Any]:
    """Return what the figures depend on."""
    packages = ("aiohttp", "uvloop", "httptools", "msgspec", "hookway-core", "litellm")
    versions: dict[str, str] = {}
    for name in packages:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%S"),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg(),
        "packages": versions,
    }


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Return the command line's wishes."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=(__doc__ or "").splitlines()[0])
    scenarios = [scenario.name for scenario in SCENARIOS]
    parser.add_argument(
        "--quick", action="store_true", help="short rounds of the main scenarios, under a minute"
    )
    parser.add_argument(
        "--scenario", action="append", choices=[*scenarios, *FOOTPRINTS], help="may be repeated"
    )
    parser.add_argument("--contender", action="append", choices=list(contenders()), help="may be repeated")
    parser.add_argument("--rounds", type=int, help=f"rounds of each scenario (usually {FULL.rounds})")
    parser.add_argument("--seconds", type=float, help="window of one slice")
    parser.add_argument("--requests", type=int, help="requests of the memory run")
    return parser.parse_args(arguments)


def sized(wishes: argparse.Namespace) -> Size:
    """Return how much is to be done."""
    base = QUICK if wishes.quick else FULL
    return Size(
        rounds=wishes.rounds or base.rounds,
        stream_rounds=wishes.rounds or base.stream_rounds,
        seconds=wishes.seconds or base.seconds,
        stream_seconds=wishes.seconds or base.stream_seconds,
        requests=wishes.requests or base.requests,
        starts=base.starts,
    )


def main(arguments: list[str]) -> int:
    """Run the benchmark; 0 when everyone who is installed could be measured, whatever the figures say."""
    wishes = parse_arguments(arguments)
    quick = wishes.quick
    chosen = wishes.scenario or [
        *(_QUICK_SCENARIOS if quick else [one.name for one in SCENARIOS]),
        *FOOTPRINTS,
    ]
    who = tuple(wishes.contender or (_QUICK_CONTENDERS if quick else ()))
    report: dict[str, Any] = {"environment": environment(), "arguments": arguments, "scenarios": {}}
    with tempfile.TemporaryDirectory(prefix="hookway-bench-") as directory:
        try:
            with Bench(sized(wishes), who, Path(directory)) as bench:
                for scenario in SCENARIOS:
                    if scenario.name in chosen:
                        report["scenarios"][scenario.name] = bench.compare(scenario)
                if kinds := [kind for kind in FOOTPRINTS if kind in chosen]:
                    report["footprint"] = bench.footprints(kinds)
                broken = bench.broken
        except (RuntimeError, OSError) as error:
            print(f"\nthe benchmark stops here, its figures are void: {error}", file=sys.stderr)
            return 1
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    path = results / (time.strftime("%Y%m%d-%H%M%S") + ".json")
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1))
    print(f"\nraw figures: {os.path.relpath(path)}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
