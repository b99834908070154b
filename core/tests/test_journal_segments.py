"""Segments begin and go when they should, torn ends are cut off, and readers find their place again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hookway.journal_lines import encode_data, encode_line
from hookway.journal_reader import JournalReader
from hookway.journal_segments import SegmentWriter, list_segments


class Spent(msgspec.Struct):
    """A record as a test writes it."""

    number: int


class Kept:
    """A directory and the writer that has it open."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.writer: SegmentWriter | None = None

    def open(self, segment_bytes: int = 1_000_000, keep: int = 2) -> SegmentWriter:
        self.close()
        self.writer = SegmentWriter(self.directory, segment_bytes, keep)
        return self.writer

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
            self.writer = None

    def write(self, count: int) -> None:
        assert self.writer is not None
        for _ in range(count):
            line = encode_line(self.writer.next_seq, "spent", 0.0, encode_data(Spent(self.writer.next_seq)))
            assert self.writer.write([line]) == 1

    def firsts(self) -> list[int]:
        return [segment.first for segment in list_segments(self.directory)]

    def newest(self) -> Path:
        return list_segments(self.directory)[-1].path


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    made = Kept(tmp_path / "journal")
    yield made
    made.close()


def seqs(reader: JournalReader) -> list[int]:
    return [record.seq for record in reader]


LINE_BYTES = len(encode_line(1, "spent", 0.0, encode_data(Spent(1))))
"""Length of the lines of these tests while numbers have one digit."""
TWO_LINES = 2 * LINE_BYTES + 8
"""Room for two lines, also of two digits."""


# ── segments ────────────────────────────────────────────────────────────────────────────────


def test_a_full_segment_is_followed_by_one_named_after_its_first_record(kept: Kept) -> None:
    kept.open(segment_bytes=3 * LINE_BYTES, keep=9)
    kept.write(8)

    assert kept.firsts() == [1, 4, 7]
    assert seqs(JournalReader(kept.directory, "ledger")) == list(range(1, 9))


def test_one_write_fills_segments_exactly(kept: Kept) -> None:
    writer = kept.open(segment_bytes=3 * LINE_BYTES, keep=9)
    lines = [encode_line(seq, "spent", 0.0, encode_data(Spent(seq))) for seq in range(1, 9)]

    counts = []
    while lines:
        counts.append(writer.write(lines))
        del lines[: counts[-1]]

    assert counts == [3, 3, 2]
    assert kept.firsts() == [1, 4, 7]


def test_a_line_longer_than_a_segment_has_one_to_itself(kept: Kept) -> None:
    kept.open(segment_bytes=10, keep=9)
    kept.write(3)

    assert kept.firsts() == [1, 2, 3]
    assert seqs(JournalReader(kept.directory, "ledger")) == [1, 2, 3]


def test_a_new_process_goes_on_in_the_newest_segment(kept: Kept) -> None:
    kept.open(segment_bytes=3 * LINE_BYTES, keep=9)
    kept.write(4)
    kept.open(segment_bytes=3 * LINE_BYTES, keep=9)
    kept.write(3)

    assert kept.firsts() == [1, 4, 7]
    assert seqs(JournalReader(kept.directory, "ledger")) == list(range(1, 8))


def test_without_a_reader_the_newest_two_segments_are_kept(kept: Kept) -> None:
    kept.open(segment_bytes=TWO_LINES)
    kept.write(9)

    assert kept.firsts() == [7, 9]


def test_what_a_registered_reader_has_not_committed_is_kept(kept: Kept) -> None:
    reader = JournalReader(kept.directory, "ledger")
    kept.open(segment_bytes=TWO_LINES)
    kept.write(7)
    assert kept.firsts() == [1, 3, 5, 7]

    read = seqs(reader)
    reader.commit(3)
    kept.write(2)

    # 3 and 4 share a segment, and 4 is not done with.
    assert read == list(range(1, 8))
    assert kept.firsts() == [3, 5, 7, 9]

    JournalReader(kept.directory, "ledger").commit(9)
    kept.write(2)
    assert kept.firsts() == [9, 11]


def test_the_slowest_reader_decides_and_one_that_is_forgotten_does_not(kept: Kept) -> None:
    slow, fast = JournalReader(kept.directory, "slow"), JournalReader(kept.directory, "fast")
    kept.open(segment_bytes=TWO_LINES)
    kept.write(7)
    fast.commit(8)
    slow.commit(2)
    kept.write(2)
    assert kept.firsts() == [3, 5, 7, 9]

    slow.forget()
    kept.write(2)

    assert kept.firsts() == [9, 11]


def test_a_writer_that_knows_of_later_records_than_the_directory_leaves_a_gap(kept: Kept) -> None:
    kept.open()
    kept.write(3)
    kept.close()

    kept.writer = SegmentWriter(kept.directory, 1_000_000, 2, next_seq=9)
    kept.write(1)

    assert kept.firsts() == [1, 9]
    reader = JournalReader(kept.directory, "ledger")
    assert seqs(reader) == [1, 2, 3, 9]
    assert reader.missed == 5


def test_other_files_in_the_directory_are_left_alone(kept: Kept) -> None:
    kept.open(segment_bytes=TWO_LINES)
    for name in ("journal-1.jsonl", "journal-00000000000000000001.jsonl.bak", "notes.txt"):
        (kept.directory / name).write_text("mine")
    kept.write(9)

    assert kept.firsts() == [7, 9]
    assert (kept.directory / "journal-1.jsonl").read_text() == "mine"
    assert (kept.directory / "journal-00000000000000000001.jsonl.bak").exists()


def test_the_files_are_for_their_owner_only(kept: Kept) -> None:
    kept.open()
    kept.write(1)

    assert kept.directory.stat().st_mode & 0o077 == 0
    assert kept.newest().stat().st_mode & 0o077 == 0


# ── torn ends ───────────────────────────────────────────────────────────────────────────────

WHOLE = encode_line(4, "spent", 0.0, encode_data(Spent(4)))


@pytest.mark.parametrize(
    "torn",
    [
        WHOLE[:1],
        WHOLE[:-1],
        WHOLE.replace(b'"number":4', b'"number":5'),
        b"\x00" * 4096,
        b"\xff\n\r\n{}\n",
        b"x" * 1_000_000,
        (b"y" * 100 + b"\n") * 5_000,
    ],
    ids=["one byte", "no newline", "other content", "zeros", "bad lines", "long garbage", "many bad lines"],
)
def test_a_torn_end_is_cut_off_and_the_next_record_takes_its_place(kept: Kept, torn: bytes) -> None:
    kept.open()
    kept.write(3)
    kept.close()
    whole = kept.newest().read_bytes()
    kept.newest().write_bytes(whole + torn)
    reader = JournalReader(kept.directory, "ledger")
    assert seqs(reader) == [1, 2, 3]

    writer = kept.open()

    assert writer.cut_bytes == len(torn)
    assert writer.next_seq == 4
    assert kept.newest().read_bytes() == whole
    kept.write(2)
    assert seqs(reader) == [4, 5]
    assert reader.missed == 0


def test_a_newest_segment_without_a_whole_line_is_used_again(kept: Kept) -> None:
    kept.open(segment_bytes=3 * LINE_BYTES, keep=9)
    kept.write(3)
    kept.close()
    (kept.directory / "journal-00000000000000000004.jsonl").write_bytes(WHOLE[:20])

    writer = kept.open(segment_bytes=3 * LINE_BYTES, keep=9)

    assert (writer.next_seq, writer.cut_bytes) == (4, 20)
    kept.write(2)
    assert kept.firsts() == [1, 4]
    assert seqs(JournalReader(kept.directory, "ledger")) == [1, 2, 3, 4, 5]


def test_a_damaged_line_in_the_middle_costs_that_record_only(kept: Kept) -> None:
    kept.open()
    kept.write(5)
    kept.close()
    content = kept.newest().read_bytes()
    kept.newest().write_bytes(content.replace(b'"number":3', b'"number":7'))

    writer = kept.open()
    reader = JournalReader(kept.directory, "ledger")

    assert (writer.next_seq, writer.cut_bytes) == (6, 0)
    assert seqs(reader) == [1, 2, 4, 5]
    assert reader.missed == 1


@settings(max_examples=60, deadline=None, database=None)
@given(
    count=st.integers(1, 12), cut=st.integers(0, 1200), tail=st.binary(max_size=40), segment=st.integers(1, 9)
)
def test_a_cut_anywhere_leaves_a_beginning_of_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, count: int, cut: int, tail: bytes, segment: int
) -> None:
    kept = Kept(tmp_path_factory.mktemp("cut") / "journal")
    kept.open(segment_bytes=segment * LINE_BYTES, keep=99)
    kept.write(count)
    kept.close()
    content = kept.newest().read_bytes()
    kept.newest().write_bytes(content[: max(0, len(content) - cut)] + tail)

    writer = kept.open(segment_bytes=segment * LINE_BYTES, keep=99)
    remaining = writer.next_seq - 1
    assert remaining <= count
    assert seqs(JournalReader(kept.directory, "first")) == list(range(1, remaining + 1))

    kept.write(3)
    kept.close()
    assert seqs(JournalReader(kept.directory, "second")) == list(range(1, remaining + 4))


# ── readers ─────────────────────────────────────────────────────────────────────────────────


def test_a_reader_goes_on_behind_what_it_committed(kept: Kept) -> None:
    kept.open(segment_bytes=3 * LINE_BYTES, keep=9)
    kept.write(8)
    reader = JournalReader(kept.directory, "ledger")
    for record in reader:
        if record.seq == 5:
            break
    reader.commit(5)

    assert seqs(JournalReader(kept.directory, "ledger")) == [6, 7, 8]


def test_what_was_read_and_not_committed_is_read_again_by_the_next(kept: Kept) -> None:
    kept.open()
    kept.write(3)
    assert seqs(JournalReader(kept.directory, "ledger")) == [1, 2, 3]

    assert seqs(JournalReader(kept.directory, "ledger")) == [1, 2, 3]


@pytest.mark.parametrize("committed", range(9))
def test_any_position_can_be_committed_after_reading_ahead(kept: Kept, committed: int) -> None:
    kept.open(segment_bytes=3 * LINE_BYTES, keep=9)
    kept.write(8)
    reader = JournalReader(kept.directory, "ledger")
    assert seqs(reader) == list(range(1, 9))

    reader.commit(committed)

    assert seqs(JournalReader(kept.directory, "ledger")) == list(range(committed + 1, 9))


def test_iterating_again_goes_on_with_what_came_meanwhile(kept: Kept) -> None:
    kept.open(segment_bytes=3 * LINE_BYTES, keep=9)
    reader = JournalReader(kept.directory, "ledger")
    assert seqs(reader) == []
    for size in (1, 1, 3, 5, 2):
        before = reader.position
        kept.write(size)
        assert seqs(reader) == list(range(before + 1, before + size + 1))


def test_a_line_that_is_being_written_is_read_when_it_is_whole(kept: Kept) -> None:
    kept.open()
    kept.write(3)
    reader = JournalReader(kept.directory, "ledger")
    with kept.newest().open("ab") as file:
        for at in range(len(WHOLE)):
            file.write(WHOLE[at : at + 1])
            file.flush()
            if at < len(WHOLE) - 1:
                assert 4 not in seqs(reader)

    assert seqs(reader) == [4]


def test_reading_while_writing_misses_nothing(kept: Kept) -> None:
    reader = JournalReader(kept.directory, "ledger")
    kept.open(segment_bytes=5 * LINE_BYTES, keep=1)
    writing = threading.Thread(target=kept.write, args=(1_500,))
    writing.start()
    read: list[int] = []
    while writing.is_alive() or not read or read[-1] < 1_500:
        read += seqs(reader)
        reader.commit(reader.position)
    writing.join()

    assert read == list(range(1, 1_501))
    assert reader.missed == 0


def test_readers_of_different_names_do_not_know_each_other(kept: Kept) -> None:
    kept.open()
    kept.write(3)
    first, second = JournalReader(kept.directory, "first"), JournalReader(kept.directory, "second")
    assert seqs(first) == [1, 2, 3]
    first.commit(3)

    assert seqs(second) == [1, 2, 3]
    assert seqs(JournalReader(kept.directory, "first")) == []


def test_a_reader_may_come_before_the_journal_and_stay_after_it(kept: Kept) -> None:
    reader = JournalReader(kept.directory, "ledger")
    assert seqs(reader) == []
    kept.open()
    kept.write(2)
    kept.close()

    assert seqs(reader) == [1, 2]


def test_a_reader_that_comes_late_starts_with_the_oldest_that_is_left(kept: Kept) -> None:
    kept.open(segment_bytes=TWO_LINES)
    kept.write(9)

    reader = JournalReader(kept.directory, "ledger")

    assert seqs(reader) == [7, 8, 9]
    assert reader.missed == 0


def test_a_segment_deleted_by_hand_is_counted_as_missed(kept: Kept) -> None:
    kept.open(segment_bytes=2 * LINE_BYTES, keep=9)
    kept.write(7)
    reader = JournalReader(kept.directory, "ledger")
    assert next(iter(reader)).seq == 1
    (kept.directory / "journal-00000000000000000003.jsonl").unlink()

    assert seqs(reader) == [2, 5, 6, 7]
    assert reader.missed == 2


def test_a_position_that_cannot_be_read_means_from_the_beginning(kept: Kept) -> None:
    kept.open()
    kept.write(3)
    JournalReader(kept.directory, "ledger").commit(2)
    (kept.directory / "reader-ledger.json").write_bytes(b'{"seq":')

    assert seqs(JournalReader(kept.directory, "ledger")) == [1, 2, 3]


def test_storing_a_position_leaves_no_other_file_behind(kept: Kept) -> None:
    reader = JournalReader(kept.directory, "ledger")
    reader.commit(0)

    assert sorted(path.name for path in kept.directory.iterdir()) == ["reader-ledger.json"]


@pytest.mark.parametrize("name", ["", "../x", "A", "a b", "x" * 65])
def test_a_name_that_makes_no_file_name_is_refused(kept: Kept, name: str) -> None:
    with pytest.raises(ValueError, match="cannot be named"):
        JournalReader(kept.directory, name)
