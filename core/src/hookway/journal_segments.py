"""The journal's files: segments named after their first record; old ones go when nobody needs them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from io import BytesIO
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec

from hookway.journal_lines import decode_line
from hookway.journal_lock import JournalLock, same_file

_SEGMENT_NAME = re.compile(r"journal-(\d{20})\.jsonl")
_POSITION_NAME = re.compile(r"reader-([a-z0-9_-]{1,64})\.json")
_TAIL_BYTES = 64 * 1024


class Segment(NamedTuple):
    """One file of the journal.

    Args:
        first: number of its first record.
        path: where it is.
    """

    first: int
    path: Path


class Position(msgspec.Struct, frozen=True):
    """How far a reader is.

    Args:
        seq: number of the last record it is done with, 0 for none.
        segment: first number of the segment in which to go on, 0 if it has to be looked for.
        offset: byte at which to go on there.
    """

    seq: int = 0
    segment: int = 0
    offset: int = 0


def segment_path(directory: Path, first: int) -> Path:
    """Return the path of the segment that begins with a record."""
    return directory / f"journal-{first:020d}.jsonl"


def list_segments(directory: Path) -> list[Segment]:
    """Return the segments of a directory, oldest first; none if there is no directory.

    Raises:
        OSError: the directory cannot be read.
    """
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    matches = [match for name in names if (match := _SEGMENT_NAME.fullmatch(name)) is not None]
    return sorted(Segment(int(match[1]), directory / match[0]) for match in matches)


def position_path(directory: Path, reader: str) -> Path:
    """Return where a reader keeps its position.

    Raises:
        ValueError: the name would make no file name.
    """
    path = directory / f"reader-{reader}.json"
    if _POSITION_NAME.fullmatch(path.name) is None:
        raise ValueError(f"a journal reader cannot be named {reader!r}; use up to 64 of a-z, 0-9, _ and -")
    return path


def read_position(path: Path) -> Position:
    """Return a stored position; the very beginning if there is none that can be read.

    Raises:
        OSError: the file is there and cannot be read.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Position)
    except (FileNotFoundError, msgspec.MsgspecError):
        return Position()


def committed_by_all(directory: Path) -> int | None:
    """Return the number of the last record with which all readers are done, ``None`` without a reader.

    Raises:
        OSError: the directory cannot be read.
    """
    names = [name for name in os.listdir(directory) if _POSITION_NAME.fullmatch(name) is not None]
    return min((read_position(directory / name).seq for name in names), default=None)


def whole_end(path: Path) -> tuple[int, int]:
    """Find the last whole line of a segment, from its end.

    Returns:
        The line's number and the byte behind it; 0 and 0 if no line is whole.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        length = min(_TAIL_BYTES, size)
        while True:
            file.seek(size - length)
            end = size
            for line in reversed(BytesIO(file.read(length)).readlines()):
                record = decode_line(line)
                if record is not None:
                    return record.seq, end
                end -= len(line)
            if length == size:
                return 0, 0
            length = min(length * 8, size)


class SegmentWriter:
    """Appends lines to the newest segment and begins the next one when it is full.

    Opening repairs: what follows the last whole line, left by a process that was killed or a disk that was
    full, is cut off.

    Args:
        directory: made if it is not there.
        segment_bytes: size at which a segment is full; a longer line has one to itself.
        keep: newest segments that stay although nobody will read them.
        next_seq: number of the next record, if the caller knows of later ones than the directory does.

    Raises:
        JournalInUse: another process writes here.
        OSError: the directory cannot be written to.

    Attributes:
        next_seq: number of the next record.
        cut_bytes: how much was cut off.
    """

    def __init__(self, directory: Path, segment_bytes: int, keep: int, next_seq: int = 1) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._directory = directory
        self._segment_bytes = segment_bytes
        self._keep = keep
        self.next_seq = next_seq
        self.cut_bytes = 0
        self._lock = JournalLock(directory)
        try:
            self._path, self._descriptor, self._size = self._open_newest()
        except BaseException:
            self._lock.release()
            raise

    def write(self, lines: Sequence[bytes]) -> int:
        """Append lines, as many as the segment takes, and return how many.

        Where it fails nothing counts as written, and the same lines are to be offered again.

        Args:
            lines: at least one; the first has the number ``next_seq``.

        Raises:
            OSError: the disk does not take them.
        """
        if self._size and self._size + len(lines[0]) > self._segment_bytes:
            self._rotate()
        size = self._size + len(lines[0])
        count = 1
        while count < len(lines) and size + len(lines[count]) <= self._segment_bytes:
            size += len(lines[count])
            count += 1
        # At a place of its own, so that trying again overwrites what a full disk took of it.
        os.lseek(self._descriptor, self._size, os.SEEK_SET)
        data = memoryview(b"".join(lines[:count]))
        while data:
            data = data[os.write(self._descriptor, data) :]
        self._size = size
        self.next_seq += count
        return count

    def is_there(self) -> bool:
        """Whether what is written can still be found under the directory's name."""
        return self._lock.holds() and same_file(self._path, self._descriptor)

    def prune(self) -> None:
        """Delete the segments that nobody will read: all but the newest, as far as every reader is done.

        Raises:
            OSError: one cannot be deleted, or a position not be read.
        """
        segments = list_segments(self._directory)
        if len(segments) <= self._keep:
            return
        done = committed_by_all(self._directory)
        for segment, following in islice(pairwise(segments), len(segments) - self._keep):
            if done is not None and done < following.first - 1:
                return
            segment.path.unlink(missing_ok=True)

    def sync(self) -> None:
        """Have the newest segment survive a loss of power.

        Raises:
            OSError: the disk does not say so.
        """
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Let go of the directory."""
        try:
            os.close(self._descriptor)
        finally:
            self._lock.release()

    def _open_newest(self) -> tuple[Path, int, int]:
        segments = list_segments(self._directory)
        if not segments:
            return self._create()
        newest = segments[-1]
        last, end = whole_end(newest.path)
        following = max(last + 1, newest.first)
        if following < self.next_seq:
            # The directory knows less than its writer: what was between is gone, and the gap stays visible.
            return self._create()
        self.next_seq = following
        descriptor = os.open(newest.path, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
        try:
            self.cut_bytes = os.fstat(descriptor).st_size - end
            if self.cut_bytes:
                os.ftruncate(descriptor, end)
        except BaseException:
            os.close(descriptor)
            raise
        return newest.path, descriptor, end

    def _create(self) -> tuple[Path, int, int]:
        path = segment_path(self._directory, self.next_seq)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
        return path, os.open(path, flags, 0o600), 0

    def _rotate(self) -> None:
        full = self._descriptor
        self._path, self._descriptor, self._size = self._create()
        try:
            os.fsync(full)
        finally:
            os.close(full)
        self.prune()
