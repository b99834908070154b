"""Which events become lines, where the lines go, and what happens when they cannot go there."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import signal
import stat
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from hookway_plugins.sink_access_log import AccessLogSink, plugin, writer_thread
from hookway_plugins.sink_access_log.output import PIPE_BYTES
from hookway_sdk import AuthDenied, ConfigError, PluginError, RequestEnded, walker
from hookway_sdk.testing.contracts.sink import SinkContract
from hookway_sdk.testing.fake_clock import ScriptedRandom
from hookway_sdk.testing.services import RecordingServices, make_services

LOST = "access_log_lost_lines_total"


def ended(name: str, status: int = 200, key_id: str = "key-1", **facts: Any) -> RequestEnded:
    return RequestEnded(request_id=name, status=status, key_id=key_id, **facts)


class Running:
    """A started sink that writes to a file."""

    def __init__(self, path: Path, services: RecordingServices, settings: dict[str, Any]) -> None:
        self.path = path
        self.services = services
        read = walker.convert({"path": str(path), **settings}, AccessLogSink.Settings)
        self.sink = AccessLogSink("sink_access_log", read, services)

    async def write(self, *events: RequestEnded) -> None:
        """Record events, tick, and wait until the thread has written."""
        for event in events:
            self.sink.record(event)
        self.services.tasks.run_ticks()
        await self.settle()

    async def settle(self) -> None:
        writer = self.sink._writer
        assert writer is not None
        async with asyncio.timeout(5):
            while writer._done < writer._handed_over:  # noqa: ASYNC110  # the thread tells nobody
                await asyncio.sleep(0.001)

    def ids(self, path: Path | None = None) -> list[str]:
        return [json.loads(line)["request_id"] for line in (path or self.path).read_text().splitlines()]


@contextlib.asynccontextmanager
async def running(
    path: Path, services: RecordingServices | None = None, **settings: Any
) -> AsyncIterator[Running]:
    started = Running(path, services or make_services("sink_access_log"), settings)
    await started.sink.start()
    try:
        yield started
    finally:
        await started.sink.stop()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


class TestContract(SinkContract):
    plugin = AccessLogSink

    @pytest.fixture(autouse=True)
    def _file(self, tmp_path: Path) -> None:
        self.settings = {"path": str(tmp_path / "access.log")}


# ── which events ────────────────────────────────────────────────────────────────────────────


async def test_each_request_is_one_line_in_the_order_of_their_ends(path: Path) -> None:
    async with running(path) as log:
        await log.write(ended("a"), ended("b", 404), ended("c", 499))
        await log.write()
        await log.write(ended("d", 502))
        assert log.ids() == ["a", "b", "c", "d"]


async def test_lines_of_one_tick_are_written_at_the_tick_and_not_before(path: Path) -> None:
    async with running(path) as log:
        log.sink.record(ended("a"))
        assert path.read_bytes() == b""
        await log.write()
        assert log.ids() == ["a"]


async def test_who_was_turned_away_unknown_has_no_line(path: Path) -> None:
    denied = AuthDenied(
        request_id="d",
        at=1.0,
        reason="unknown_key",
        method="api_key",
        endpoint="/",
        http_method="GET",
        path="/",
    )
    async with running(path) as log:
        log.sink.record(denied)
        await log.write(ended("a", 401, key_id=""), ended("b", 413, key_id=""), ended("c", 401))
        assert log.ids() == ["b", "c"]


async def test_sampling_spares_successes_and_never_failures(path: Path) -> None:
    services = make_services("sink_access_log", random=ScriptedRandom([0.24, 0.25, 0.99, 0.0]))
    async with running(path, services, sample=0.25) as log:
        await log.write(ended("a"), ended("b"), ended("c"), ended("d", 500), ended("e", 200, error_type="x"))
        await log.write(ended("f"))
        assert log.ids() == ["a", "d", "e", "f"]


@pytest.mark.parametrize(("sample", "found"), [(0, ["b"]), (1, ["a", "b"])])
async def test_none_and_all_can_be_sampled(path: Path, sample: float, found: list[str]) -> None:
    async with running(path, sample=sample) as log:
        await log.write(ended("a"), ended("b", 500))
        assert log.ids() == found


async def test_fields_are_a_setting(path: Path) -> None:
    async with running(path, fields=["status", "method"]) as log:
        await log.write(ended("a", method="POST"))
    assert path.read_text() == '{"message":"proxy request completed","method":"POST","status":200}\n'


async def test_what_was_recorded_last_is_written_at_the_stop(path: Path) -> None:
    async with running(path) as log:
        log.sink.record(ended("a"))
    assert log.ids() == ["a"]


@pytest.mark.parametrize(
    "settings", [{"fields": []}, {"fields": ["prompt"]}, {"sample": 1.1}, {"sample": -1}, {"path": ""}]
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        walker.convert(settings, AccessLogSink.Settings)


# ── where to ────────────────────────────────────────────────────────────────────────────────


async def test_a_new_file_is_not_for_everyone(path: Path) -> None:
    async with running(path):
        assert stat.S_IMODE(path.stat().st_mode) & ~0o640 == 0


async def test_lines_are_appended_to_what_is_there(path: Path) -> None:
    path.write_text('{"request_id": "before"}\n')
    async with running(path) as log:
        await log.write(ended("a"))
        assert log.ids() == ["before", "a"]


@pytest.mark.parametrize("remove", [False, True])
async def test_a_file_that_was_moved_or_removed_is_opened_anew_within_a_second(
    path: Path, remove: bool
) -> None:
    async with running(path) as log:
        await log.write(ended("a"))
        moved = path.with_suffix(".1")
        path.rename(moved)
        if remove:
            path.write_text("")
        log.services.clock.advance(0.5)
        await log.write(ended("b"))
        assert log.ids(moved) == ["a", "b"], "it looks once a second, and until then nothing is lost"
        log.services.clock.advance(0.5)
        await log.write(ended("c"))
        assert log.ids() == ["c"]
        assert log.ids(moved) == ["a", "b"]


async def test_a_file_that_cannot_be_opened_anew_is_reported_and_the_old_one_serves(tmp_path: Path) -> None:
    directory = tmp_path / "logs"
    directory.mkdir()
    async with running(directory / "access.log") as log:
        away = tmp_path / "away"
        directory.rename(away)
        log.services.clock.advance(1)
        await log.write(ended("a"))
        await log.write(ended("b"))
        assert log.services.log.events() == ["access_log_write_failed"]
        assert log.services.log.lines[0].fields["error"] == "no such file or directory"
        directory.mkdir()
        log.services.clock.advance(1)
        await log.write(ended("c"))
        await log.write()
        assert log.ids(away / "access.log") == ["a", "b"]
        assert log.ids() == ["c"]
        assert log.services.log.events() == ["access_log_write_failed", "access_log_written_again"]
        assert log.services.metrics.value(LOST) == 0


@pytest.mark.parametrize("name", ["missing/access.log", "."])
async def test_a_file_that_cannot_be_opened_refuses_the_start(tmp_path: Path, name: str) -> None:
    with pytest.raises(PluginError, match="cannot write to"):
        async with running(tmp_path / name):
            pass


async def test_a_pipe_without_a_reader_refuses_the_start_and_does_not_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PluginError, match="cannot write to"):
        async with running(tmp_path / "pipe"):
            pass


async def test_standard_output_is_the_default(capfd: pytest.CaptureFixture[str]) -> None:
    sink = AccessLogSink("sink_access_log", AccessLogSink.Settings(), make_services("sink_access_log"))
    await sink.start()
    sink.record(ended("a"))
    await sink.stop()
    assert json.loads(capfd.readouterr().out)["request_id"] == "a"
    os.fstat(1)


# ── when it fails ───────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def full_disk_after(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size: a write fails in the middle, as on a full disk."""
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)


async def test_a_full_disk_loses_lines_counts_them_and_is_reported_once(path: Path) -> None:
    async with running(path, fields=["request_id"]) as log:
        await log.write(ended("a"))
        line = path.stat().st_size
        with full_disk_after(2 * line + 5):
            await log.write(ended("b"), ended("c"), ended("d"))
            await log.write(ended("e"))
            await log.write()
        assert log.services.log.events() == ["access_log_write_failed"]
        assert log.services.log.lines[0].fields["error"] == "file too large"
        assert log.services.metrics.value(LOST) == 3
        await log.write(ended("f"))
        await log.write()
        torn = path.read_text().splitlines()
        assert [json.loads(torn[index])["request_id"] for index in (0, 1, 3)] == ["a", "b", "f"]
        assert torn[2] == torn[1][:5], "the line that was cut is ended before the next one"
        assert log.services.log.events() == ["access_log_write_failed", "access_log_written_again"]
        assert log.services.log.lines[1].fields["lost_lines"] == 3


async def test_a_closed_pipe_loses_lines_and_harms_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    async with running(tmp_path / "pipe") as log:
        await log.write(ended("a"))
        os.close(reader)
        await log.write(ended("b"), ended("c"))
        await log.write()
        assert log.services.metrics.value(LOST) == 2
        assert log.services.log.lines[0].fields["error"] == "broken pipe"


async def test_a_reader_that_sleeps_stops_nobody_and_the_backlog_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_thread, "BACKLOG_BYTES", 200_000)
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    async with running(tmp_path / "pipe") as log:
        for _ in range(10):
            for _ in range(500):
                log.sink.record(ended("x" * 100))
            log.services.tasks.run_ticks()
        lost = int(log.services.metrics.value(LOST))
        assert 0 < lost < 5_000
        assert log.services.log.lines[0].fields["error"] == "the writer does not keep up"
        os.set_blocking(reader, True)
        found: list[bytes] = []
        drain = threading.Thread(target=lambda: found.extend(iter(lambda: os.read(reader, 65_536), b"")))
        drain.start()
        await log.settle()
        log.services.tasks.run_ticks()
    await asyncio.to_thread(drain.join, 5)
    os.close(reader)
    assert b"".join(found).count(b"\n") == 5_000 - lost
    assert all(json.loads(line) for line in b"".join(found).splitlines())


async def test_two_workers_on_one_pipe_do_not_mix_their_lines(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    found: list[bytes] = []
    drain = threading.Thread(target=lambda: found.extend(iter(lambda: os.read(reader, 65_536), b"")))
    async with running(tmp_path / "pipe") as one, running(tmp_path / "pipe") as other:
        drain.start()
        for _ in range(20):
            for log in (one, other):
                for _ in range(200):
                    log.sink.record(ended(str(id(log)) * 10))
                log.services.tasks.run_ticks()
        await one.settle()
        await other.settle()
    await asyncio.to_thread(drain.join, 5)
    os.close(reader)
    lines = b"".join(found).splitlines()
    assert len(lines) == 2 * 20 * 200
    assert len(b"".join(found)) > 10 * PIPE_BYTES
    assert len({json.loads(line)["request_id"] for line in lines}) == 2


async def test_a_stop_does_not_wait_for_a_reader_that_never_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugin, "STOP_SECONDS", 0.05)
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    async with running(tmp_path / "pipe") as log:
        for _ in range(1_000):
            log.sink.record(ended("x" * 200))
    assert log.services.log.events("error") == ["access_log_not_flushed"]
    os.close(reader)
