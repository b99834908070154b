"""What a gateway takes beside CPU per request: start, memory over many requests and of one large one."""

from __future__ import annotations

import socket
import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from contenders import ALIAS, CALLERS, HERE, KEY, Contender, Launch, start, with_callers
from load import Job
from load_process import LoadProcess
from mock_upstream import answer_body_bytes
from process_meter import cpu_seconds, process_tree, resident_bytes
from scenarios import MB_REQUEST, MB_TOKENS, SMALL_REQUEST, SMALL_TOKENS

_MB = 1e6


def cold_start(contender: Contender, upstream: int, directory: Path, times: int) -> dict[str, Any]:
    """Return seconds from exec to the first 200 of ``/livez``; one start before makes the compiled files.

    For the floors ``/livez`` is relayed to the mock, so their figure includes the first upstream connection.
    CPU seconds stand beside: on a busy machine they say more than the clock does.
    """
    taken: list[float] = []
    cpu: list[float] = []
    for number in range(times + 1):
        began = time.perf_counter()
        with start(contender, upstream, directory / f"start-{contender.name}-{number}") as process:
            process.wait_ready(contender.ready)
            taken.append(time.perf_counter() - began)
            cpu.append(cpu_seconds(process_tree(process.pid)))
    return {"start": median(taken[1:]), "start_cpu": median(cpu[1:]), "starts": taken[1:]}


def memory_over_requests(
    contender: Contender, upstream: int, directory: Path, load: LoadProcess, requests: int
) -> dict[str, Any]:
    """Return resident MB of a fresh process after its start, a fifth of the requests, and all of them.

    The requests of our own gateways are those of a thousand callers in turn.
    """
    measured = with_callers(contender) if contender.ours else contender
    with start(measured, upstream, directory / f"memory-{contender.name}") as process:
        process.wait_ready(contender.ready)

        def job(count: int) -> Job:
            return Job(
                port=process.port,
                key=KEY,
                keys=CALLERS if contender.ours else 1,
                model=ALIAS,
                headers=contender.headers_for(upstream),
                request_bytes=SMALL_REQUEST,
                max_tokens=SMALL_TOKENS,
                warmup_seconds=0,
                requests=count,
                answer_bytes=answer_body_bytes(SMALL_TOKENS) if contender.same_length else 0,
                timeout=count * 0.02 + 30,
            )

        at_start = resident_bytes(process_tree(process.pid))
        load.run(job(requests // 5))
        early = resident_bytes(process_tree(process.pid))
        load.run(job(requests - requests // 5))
        late = resident_bytes(process_tree(process.pid))
    return {
        "requests": requests,
        "rss_start": at_start / _MB,
        "rss_early": early / _MB,
        "rss": late / _MB,
        "growth": (late - early) / _MB,
    }


def allocation_peaks(
    contender: Contender, upstream: int, directory: Path, load: LoadProcess
) -> dict[str, Any]:
    """Return MB that one 1 MB request, and one 1 MB answer, hold allocated at their peak; medians of five.

    The process runs under tracemalloc, warmed up with requests of the same kind, one connection.
    """
    probe = str(directory / f"probe-{contender.name}.sock")

    def launch(port: int, mock: int, own: Path) -> Launch:
        plain = contender.launch(port, mock, own)
        script = plain.argv[1:] if plain.argv[0] == sys.executable else plain.argv
        return Launch([sys.executable, str(HERE / "peak_probe.py"), probe, *script], plain.env)

    traced = replace(contender, launch=launch)
    with start(traced, upstream, directory / f"peak-{contender.name}") as process:
        process.wait_ready(contender.ready)
        peaks: dict[str, list[float]] = {"peak_request": [], "peak_answer": []}
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(probe)
            with connection.makefile("rw", encoding="ascii") as lines:

                def ask(word: str) -> str:
                    lines.write(word + "\n")
                    lines.flush()
                    return lines.readline()

                for kind, job in _large_jobs(process.port, contender, upstream).items():
                    job.requests = 10
                    load.run(job)
                    job.requests = 1
                    for _ in range(5):
                        ask("reset")
                        load.run(job)
                        peaks[kind].append(int(ask("peak")) / _MB)
    return {kind: median(values) for kind, values in peaks.items()} | {"peaks": peaks}


def _large_jobs(port: int, contender: Contender, upstream: int) -> dict[str, Job]:
    def job(request: int, tokens: int) -> Job:
        return Job(
            port=port,
            key=KEY,
            model=ALIAS,
            headers=contender.headers_for(upstream),
            request_bytes=request,
            max_tokens=tokens,
            connections=1,
            warmup_seconds=0,
            answer_bytes=answer_body_bytes(tokens) if contender.same_length else 0,
        )

    return {"peak_request": job(MB_REQUEST, SMALL_TOKENS), "peak_answer": job(SMALL_REQUEST, MB_TOKENS)}
