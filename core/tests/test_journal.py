"""The journal keeps every record within a tick, whatever happens to the process or the disk."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from hookway.journal import Journal
from hookway.journal_lines import DROPPED_KIND, Dropped, Record
from hookway.journal_lock import JournalInUse
from hookway_sdk.errors import StartError
from hookway_sdk.secrets import Secret
from hookway_sdk.testing.fake_clock import FakeClock

TICK = 0.005


class Spent(msgspec.Struct):
    """A record as a test writes it."""

    number: int
    text: str = ""


class Told:
    """Keeps what a journal reports."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, object]]] = []

    def __call__(self, event: str, /, **fields: object) -> None:
        self.events.append((event, fields))

    def names(self) -> list[str]:
        return [event for event, _ in self.events]


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def opened(tmp_path: Path, told: Told) -> Iterator[Callable[..., Journal]]:
    """Make journals that are closed after the test."""
    journals: list[Journal] = []

    def make(directory: Path | None = None, **options: object) -> Journal:
        options = {"tick": TICK, "report": told, **options}
        journal = Journal(directory or tmp_path / "journal", **options)  # type: ignore[arg-type]
        journals.append(journal)
        journal.start()
        return journal

    yield make
    for journal in journals:
        journal.close()


def numbers(records: list[Record]) -> list[int]:
    return [record.decode(Spent).number for record in records if record.kind == "spent"]


def write(journal: Journal, first: int, last: int, text: str = "") -> None:
    for number in range(first, last + 1):
        journal.append("spent", Spent(number, text))
    assert journal.flush()


def wait_until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.002)


def run_python(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# ── writing ─────────────────────────────────────────────────────────────────────────────────


def test_records_come_back_in_order_as_they_were_handed_over(opened: Callable[..., Journal]) -> None:
    clock = FakeClock(now=1_700_000_000.25)
    journal = opened(clock=clock)
    journal.append("spent", Spent(1, "für"))
    clock.advance(1)
    journal.append("other", Spent(2))
    assert journal.flush()

    first, second = journal.reader("ledger")

    assert (first.seq, first.kind, first.at) == (1, "spent", 1_700_000_000.25)
    assert first.decode(Spent) == Spent(1, "für")
    assert (second.seq, second.kind, second.at) == (2, "other", 1_700_000_001.25)
    assert journal.written == 2


def test_a_line_is_plain_json_with_a_checksum(opened: Callable[..., Journal]) -> None:
    journal = opened(clock=FakeClock(now=5.5))
    write(journal, 1, 1)

    line = (journal.directory / "journal-00000000000000000001.jsonl").read_text()

    assert line == '{"seq":1,"kind":"spent","at":5.5,"data":{"number":1,"text":""},"crc":"8df5d456"}\n'
    assert json.loads(line)["data"] == {"number": 1, "text": ""}


def test_a_record_is_on_disk_within_a_tick_although_nobody_flushes(opened: Callable[..., Journal]) -> None:
    journal = opened(tick=0.05)
    reader = journal.reader("ledger")
    for number in (1, 2, 3):
        started = time.monotonic()
        journal.append("spent", Spent(number))
        wait_until(lambda: bool(list(reader)))
        # A tick, and what a busy machine takes to wake a thread.
        assert time.monotonic() - started < 1.0


def test_nothing_happens_before_the_start(tmp_path: Path) -> None:
    threads = threading.active_count()
    journal = Journal(tmp_path / "journal")
    journal.append("spent", Spent(1))

    assert threading.active_count() == threads
    assert not journal.directory.exists()

    journal.start()
    journal.close()
    assert numbers(list(journal.reader("ledger"))) == [1]


def test_an_idle_journal_sleeps(opened: Callable[..., Journal]) -> None:
    journal = opened()
    write(journal, 1, 3)
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "hookway-journal"]
    assert thread.native_id is not None
    if not Path("/proc/self/task").exists():
        pytest.skip("only Linux counts how often a thread woke up")
    status = Path(f"/proc/self/task/{thread.native_id}/status")

    def switches() -> str:
        return next(line for line in status.read_text().splitlines() if line.startswith("voluntary_ctxt"))

    time.sleep(10 * TICK)
    before = switches()
    time.sleep(20 * TICK)

    assert switches() == before


def test_a_record_that_is_no_json_is_counted_and_told_once_and_holds_up_no_other(
    opened: Callable[..., Journal], told: Told
) -> None:
    class Odd(msgspec.Struct):
        value: object

    journal = opened()
    journal.append("spent", Spent(1))
    journal.append("odd", Odd(object()))
    journal.append("odd", Odd({1.5: object()}))
    write(journal, 2, 2)

    assert numbers(list(journal.reader("ledger"))) == [1, 2]
    assert journal.rejected == 2
    assert told.names() == ["journal_record_rejected"]
    assert told.events[0][1]["kind"] == "odd"


def test_a_secret_in_a_record_is_masked(opened: Callable[..., Journal]) -> None:
    class Login(msgspec.Struct):
        password: Secret

    journal = opened()
    journal.append("login", Login(Secret("hunter2")))
    assert journal.flush()

    (record,) = journal.reader("ledger")

    assert bytes(record.data) == b'{"password":"***"}'


def test_json_that_was_laid_out_over_lines_becomes_one_line(opened: Callable[..., Journal]) -> None:
    class Carried(msgspec.Struct):
        body: msgspec.Raw

    journal = opened()
    journal.append("carried", Carried(msgspec.Raw(b'{\r\n  "a": [1,\n 2]\n}')))
    write(journal, 1, 1)

    carried, spent = journal.reader("ledger")

    assert msgspec.json.decode(carried.data) == {"body": {"a": [1, 2]}}
    assert numbers([spent]) == [1]


def test_a_report_that_raises_does_not_end_the_writing(opened: Callable[..., Journal]) -> None:
    def broken(event: str, /, **fields: object) -> None:
        raise RuntimeError("no log today")

    journal = opened(report=broken)
    journal.append("odd", object())  # type: ignore[arg-type]  # what no caller should do
    write(journal, 1, 1)

    assert numbers(list(journal.reader("ledger"))) == [1]
    assert journal.unheard == 1


# ── closing ─────────────────────────────────────────────────────────────────────────────────


def test_closing_writes_everything_at_once_and_counts_what_comes_after(tmp_path: Path) -> None:
    journal = Journal(tmp_path, tick=30.0)
    journal.start()
    for number in range(1, 1001):
        journal.append("spent", Spent(number))
    started = time.monotonic()

    journal.close()
    journal.close()
    journal.append("spent", Spent(1001))

    assert time.monotonic() - started < 10
    assert numbers(list(journal.reader("ledger"))) == list(range(1, 1001))
    assert (journal.written, journal.dropped, journal.queued) == (1000, 1, 0)


def test_a_journal_that_was_never_started_counts_what_it_held_as_dropped(tmp_path: Path, told: Told) -> None:
    journal = Journal(tmp_path / "journal", report=told)
    journal.append("spent", Spent(1))

    journal.close()

    assert journal.dropped == 1
    assert told.events == [("journal_records_lost", {"count": 1})]


def test_a_journal_is_started_once(opened: Callable[..., Journal]) -> None:
    journal = opened()

    with pytest.raises(RuntimeError, match="started once"):
        journal.start()


@pytest.mark.parametrize("option", ["segment_bytes", "keep_without_reader", "max_queued", "tick"])
def test_a_bound_of_nothing_is_refused(tmp_path: Path, option: str) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        Journal(tmp_path, **{option: 0})  # type: ignore[arg-type]


# ── one writer ──────────────────────────────────────────────────────────────────────────────


def test_a_second_process_is_refused_and_told_which_one_writes(opened: Callable[..., Journal]) -> None:
    journal = opened()
    child = run_python(
        """
        import sys
        from hookway.journal import Journal
        from hookway_sdk.errors import StartError
        try:
            Journal(sys.argv[1]).start()
        except StartError as error:
            print(error)
        """,
        str(journal.directory),
    )
    said, errors = child.communicate(timeout=30)

    assert errors == ""
    assert f"'{journal.directory}' is in use by process {os.getpid()};" in said
    write(journal, 1, 1)


def test_a_second_journal_of_the_same_process_is_refused_until_the_first_is_closed(
    opened: Callable[..., Journal],
) -> None:
    first = opened()
    with pytest.raises(JournalInUse) as refused:
        opened()
    assert isinstance(refused.value, StartError)

    write(first, 1, 1)
    first.close()
    write(opened(), 2, 2)

    assert numbers(list(first.reader("ledger"))) == [1, 2]


# ── kill -9 ─────────────────────────────────────────────────────────────────────────────────


def test_kill_9_loses_at_most_the_last_tick_and_the_next_process_goes_on(
    tmp_path: Path, opened: Callable[..., Journal]
) -> None:
    child = run_python(
        """
        import itertools, sys, time, msgspec
        from hookway.journal import Journal

        class Spent(msgspec.Struct):
            number: int
            text: str

        journal = Journal(sys.argv[1])
        journal.start()
        for number in itertools.count(1):
            journal.append("spent", Spent(number, "x" * 500))
            print(number, time.monotonic(), flush=True)
            time.sleep(0.0005)
        """,
        str(tmp_path / "journal"),
    )
    assert child.stdout is not None
    said = [child.stdout.readline() for _ in range(400)]
    child.send_signal(signal.SIGKILL)
    said += child.stdout.read().splitlines()
    child.communicate()
    handed_over = {
        int(number): float(at) for number, at in (line.split() for line in said if line.count(" "))
    }
    end = max(handed_over.values())

    journal = opened()
    kept = numbers(list(journal.reader("ledger")))

    assert kept == list(range(1, len(kept) + 1))
    lost = [number for number in handed_over if number > len(kept)]
    # 50 ms, and what a busy machine takes to wake a thread.
    assert all(end - handed_over[number] < 0.5 for number in lost)
    write(journal, 10_001, 10_001)
    again = list(journal.reader("other"))
    assert [record.seq for record in again] == list(range(1, len(kept) + 2))


# ── disks that fail ─────────────────────────────────────────────────────────────────────────


def test_a_directory_that_cannot_be_made_is_told_once_and_tried_until_it_can(
    tmp_path: Path, opened: Callable[..., Journal], told: Told
) -> None:
    obstacle = tmp_path / "state"
    obstacle.write_text("in the way")
    journal = opened(obstacle / "journal")
    journal.append("spent", Spent(1))
    wait_until(lambda: journal.errors > 2)
    assert told.names() == ["journal_write_failed"]
    assert journal.failing
    assert not journal.flush(timeout=0.01)

    obstacle.unlink()
    wait_until(lambda: not journal.failing)

    assert told.names() == ["journal_write_failed", "journal_write_recovered"]
    write(journal, 2, 2)
    assert numbers(list(journal.reader("ledger"))) == [1, 2]


def test_it_recovers_without_a_new_record_to_write(
    tmp_path: Path, opened: Callable[..., Journal], told: Told
) -> None:
    (tmp_path / "state").write_text("in the way")
    journal = opened(tmp_path / "state" / "journal")
    wait_until(lambda: journal.errors > 2)
    assert journal.failing
    (tmp_path / "state").unlink()

    wait_until(lambda: not journal.failing)

    assert told.names() == ["journal_write_failed", "journal_write_recovered"]


def test_memory_is_bounded_while_the_disk_is_away_and_drops_are_counted_and_noted(
    tmp_path: Path, opened: Callable[..., Journal]
) -> None:
    journal = opened(max_queued=10)
    write(journal, 1, 3)
    shutil.move(journal.directory, tmp_path / "elsewhere")
    journal.directory.write_text("in the way")
    for number in range(4, 1004):
        journal.append("spent", Spent(number))
    wait_until(lambda: journal.failing)
    for number in range(1004, 2004):
        journal.append("spent", Spent(number))
    assert journal.queued <= 10 + 128 + 1
    assert journal.dropped >= 2000 - 128 - 10

    journal.directory.unlink()
    wait_until(lambda: not journal.failing)
    write(journal, 2004, 2004)

    records = list(journal.reader("ledger"))
    kept = numbers(records)
    noted = sum(record.decode(Dropped).count for record in records if record.kind == DROPPED_KIND)
    assert kept == sorted(kept)
    assert kept[-10:] == list(range(1995, 2005))
    assert len(kept) + noted == 2001
    assert noted == journal.dropped


def test_a_directory_that_was_moved_is_made_anew_and_numbers_go_on(
    tmp_path: Path, opened: Callable[..., Journal], told: Told
) -> None:
    journal = opened()
    write(journal, 1, 3)
    shutil.move(journal.directory, tmp_path / "elsewhere")

    write(journal, 4, 6)

    assert [record.seq for record in journal.reader("ledger")] == [4, 5, 6]
    assert told.names() == ["journal_directory_replaced"]
    assert len((tmp_path / "elsewhere" / "journal-00000000000000000001.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize("victim", ["journal-00000000000000000001.jsonl", "journal.lock"])
def test_a_file_that_was_deleted_under_it_is_noticed(opened: Callable[..., Journal], victim: str) -> None:
    journal = opened()
    write(journal, 1, 3)
    (journal.directory / victim).unlink()

    write(journal, 4, 6)

    assert numbers(list(journal.reader("ledger")))[-3:] == [4, 5, 6]
    with pytest.raises(JournalInUse):
        opened()


def test_what_is_in_the_way_of_a_segment_does_not_keep_the_directory_locked(
    tmp_path: Path, opened: Callable[..., Journal], told: Told
) -> None:
    obstacle = tmp_path / "journal" / "journal-00000000000000000007.jsonl"
    obstacle.mkdir(parents=True)
    journal = opened()
    journal.append("spent", Spent(1))
    wait_until(lambda: journal.errors > 2)

    obstacle.rmdir()
    assert journal.flush()

    assert told.names() == ["journal_write_failed", "journal_write_recovered"]
    assert numbers(list(journal.reader("ledger"))) == [1]


def test_a_full_disk_tears_no_line_and_loses_no_record_once_there_is_room(tmp_path: Path) -> None:
    # A limit on the size of files stands in for a full disk: a write is cut short, the next one fails.
    child = run_python(
        """
        import os, resource, sys, time, msgspec
        from hookway.journal import Journal

        class Spent(msgspec.Struct):
            number: int
            text: str

        journal = Journal(sys.argv[1], tick=0.005)
        journal.start()
        for number in range(1, 101):
            journal.append("spent", Spent(number, "x" * 200))
        assert journal.flush()
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        size = os.path.getsize(sys.argv[1] + "/journal-00000000000000000001.jsonl")
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 1000, hard))
        for number in range(101, 201):
            journal.append("spent", Spent(number, "y" * 200))
        while journal.errors < 3:
            time.sleep(0.001)
        assert journal.written < 200
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        assert journal.flush(20)
        journal.close()
        print(journal.written, journal.dropped)
        """,
        str(tmp_path / "journal"),
    )
    said, errors = child.communicate(timeout=30)

    assert (said.split(), errors) == (["200", "0"], "")
    journal = Journal(tmp_path / "journal")
    assert numbers(list(journal.reader("ledger"))) == list(range(1, 201))
