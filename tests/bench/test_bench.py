"""The benchmark tells the truth: floors relay faithfully, wrong answers end a job, ratios are per round."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from contenders import Contender, Launch, Running, contenders, free_port, start, start_mock
from hooks_grid import bare_loop, runners
from load import Job, Result, request_bytes, requests_of
from load_process import LoadProcess
from mock_upstream import answer_body_bytes
from process_meter import cpu_seconds, process_tree
from rounds import Measured, Slice, conclude, run_rounds
from scenarios import SCENARIOS

FLOORS = ("bare", "splice")
PATH = "/v1/chat/completions"


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with start_mock(tmp_path_factory.mktemp("mock") / "mock") as process:
        yield process


@pytest.fixture(scope="module")
def floors(mock: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Running]]:
    directory = tmp_path_factory.mktemp("floors")
    started = {name: start(contenders()[name], mock.port, directory / name) for name in FLOORS}
    for process in started.values():
        process.wait_ready()
    yield started
    for process in started.values():
        process.stop()


@pytest.fixture(scope="module")
def load() -> Iterator[LoadProcess]:
    with LoadProcess() as process:
        yield process


def ask(port: int, **fields: Any) -> tuple[int, str | None, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        body = json.dumps({"model": "fast", **fields})
        connection.request("POST", PATH, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.getheader("content-type"), answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("floor", FLOORS)
@pytest.mark.parametrize(
    "fields",
    [
        {"max_tokens": 60},
        {"max_tokens": 250_000},
        {"max_tokens": 60, "messages": "x" * 1_000_000},
        {"max_tokens": 5, "stream": True},
        {"max_tokens": 5, "stream": True, "stream_options": {"include_usage": True}},
    ],
    ids=["small", "1 MB answer", "1 MB request", "stream", "stream with usage"],
)
def test_floors_relay_what_the_upstream_says(
    floor: str, fields: dict[str, Any], mock: Running, floors: dict[str, Running]
) -> None:
    told = ask(mock.port, **fields)

    assert told[0] == 200
    assert ask(floors[floor].port, **fields) == told


@pytest.mark.parametrize("floor", FLOORS)
def test_floors_answer_502_when_the_upstream_is_away(floor: str, tmp_path: Path) -> None:
    with start(contenders()[floor], free_port(), tmp_path / floor) as process:
        while not _listens(process.port):
            time.sleep(0.01)
        assert ask(process.port, max_tokens=1)[0] == 502


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_mock_sends_usage_only_to_who_asks(mock: Running) -> None:
    plain = ask(mock.port, max_tokens=3, stream=True)[2]
    with_usage = ask(mock.port, max_tokens=3, stream=True, stream_options={"include_usage": True})[2]

    assert plain.count(b"\n\n") == 3 + 3
    assert b"completion_tokens" not in plain
    assert with_usage.count(b"\n\n") == 3 + 4
    assert b'"completion_tokens":3' in with_usage
    assert plain.endswith(b"data: [DONE]\n\n")


def test_mock_answers_have_the_length_that_jobs_expect(mock: Running) -> None:
    for tokens in (20, 60, 25_000):
        body = ask(mock.port, max_tokens=tokens)[2]

        assert len(body) == answer_body_bytes(tokens)
        assert json.loads(body)["choices"][0]["message"]["content"].endswith("@end@")


def test_requests_are_json_of_the_length_asked_for() -> None:
    head, _, body = request_bytes(Job(port=1, request_bytes=100_000)).partition(b"\r\n\r\n")

    assert len(body) == 100_000
    assert json.loads(body)["model"] == "fast"
    assert b"content-length: 100000" in head


def test_callers_take_turns_with_requests_of_one_length() -> None:
    requests = requests_of(Job(port=1, keys=3))
    seen = [next(requests) for _ in range(6)]

    assert seen[:3] == seen[3:]
    assert len({len(one) for one in seen}) == 1
    assert [one.count(b"Bearer bench-000%d" % number) for number, one in enumerate(seen[:3])] == [1, 1, 1]


def test_job_counts_answers_and_the_cpu_of_the_process_alone(load: LoadProcess, mock: Running) -> None:
    before = cpu_seconds([mock.pid])
    result = load.run(
        Job(
            port=mock.port,
            requests=500,
            warmup_seconds=0,
            answer_bytes=answer_body_bytes(20),
            pids=[mock.pid],
        )
    )

    assert result.answers == 500
    assert 0 < result.cpu <= result.cpu_whole <= cpu_seconds([mock.pid]) - before
    assert 0 < result.p50 <= result.p99


def test_stream_job_sees_every_frame_uncoalesced(load: LoadProcess, mock: Running) -> None:
    job = Job(port=mock.port, stream=True, connections=10, max_tokens=60, warmup_seconds=0.05, seconds=0.3)
    result = load.run(job)

    assert result.answers == 10
    assert result.chunks_whole == 10 * (60 + 3)
    assert result.chunks / result.reads < 1.1


def test_job_fails_when_an_answer_has_another_length(load: LoadProcess, mock: Running) -> None:
    with pytest.raises(RuntimeError, match="instead of 7"):
        load.run(Job(port=mock.port, requests=10, warmup_seconds=0, answer_bytes=7))


def test_job_fails_when_nobody_listens(load: LoadProcess) -> None:
    with pytest.raises(RuntimeError, match="refused"):
        load.run(Job(port=free_port(), requests=10))


@pytest.mark.parametrize(
    ("stream", "answer", "reason"),
    [
        (False, b"HTTP/1.1 500 No\r\ncontent-length: 4\r\n\r\nsorry"[:-1], "status 500"),
        (False, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "body of 2 bytes"),
        (False, b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{}", "in the middle of an answer"),
        (True, b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\ndata: {}\n\n", "stream of 1 frames"),
        (True, b"spam", "cannot be parsed"),
    ],
    ids=["status", "short body", "cut body", "stream without its end", "no HTTP"],
)
def test_job_fails_on_a_wrong_answer(load: LoadProcess, stream: bool, answer: bytes, reason: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve_once() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)
                connection.shutdown(socket.SHUT_WR)
                connection.recv(65536)

        thread = threading.Thread(target=serve_once)
        thread.start()
        port = listener.getsockname()[1]
        with pytest.raises(RuntimeError, match=reason):
            load.run(Job(port=port, connections=1, requests=1, stream=stream, timeout=10))
        thread.join(5)
        assert not thread.is_alive()


def measured(name: str) -> Measured:
    return Measured(Contender(name, lambda *_: Launch([])), 0, 0, {})


def one_slice(cost: float) -> Slice:
    return Slice(cost, cost, rate=1, p50=1, p99=1, coalesced=1, foreign=0, result=Result())


def test_figures_are_medians_of_the_ratios_within_each_round() -> None:
    # The machine slows down fourfold: absolute medians say nothing, ratios do.
    drift = [100.0, 200.0, 400.0]
    played = [{"bare": one_slice(base), "hookway": one_slice(base * 0.7)} for base in drift]
    figures = conclude(SCENARIOS[0], played)

    assert figures["hookway"].ratio == pytest.approx(0.7)
    assert figures["hookway"].difference == pytest.approx(-60.0)
    assert figures["bare"].ratio == 1.0


def test_contenders_take_turns_in_changing_order() -> None:
    order: list[str] = []

    def run(one: Measured) -> Slice:
        order.append(one.contender.name)
        return one_slice(1)

    played = run_rounds([measured("a"), measured("b"), measured("c")], 3, run)

    assert order == ["a", "b", "c", "a", "c", "b", "c", "a", "b"]
    assert [list(slices) for slices in played] == [["a", "b", "c"]] * 3


def test_contender_that_gives_up_is_left_out_of_all_rounds() -> None:
    turns = iter([one_slice(1), one_slice(2), one_slice(3), None, one_slice(5)])
    played = run_rounds([measured("a"), measured("b")], 3, lambda _: next(turns))

    assert [list(slices) for slices in played] == [["a"], ["a"], ["a"]]


def test_process_tree_names_children() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert child.pid in process_tree(os.getpid())
    finally:
        child.communicate(b"\n")


async def test_every_runner_of_the_hook_grid_runs_a_chain() -> None:
    for make in runners().values():
        for mode in ("each plain", "first plain"):
            run = make(mode, 5)
            assert run is not None
            await run(type("Exchange", (), {"trace": None, "id": "x"})())
    assert await bare_loop("first", 3)(None) is None
