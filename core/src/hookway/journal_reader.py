"""Reading the journal back, from where one left off."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from hookway.journal_lines import Record, decode_line
from hookway.journal_segments import Position, Segment, list_segments, position_path, read_position


class JournalReader:
    """A registered reader: what it has not committed stays on disk.

    It reads files only, so it may live in another process than the journal, or without one. Iterating yields
    the records behind the committed position and ends at the newest; iterating again goes on from there. A
    record is seen again, by the next reader of this name, until it is committed: at least once, in order.

    Everything here waits for the disk: call it in a thread, or in a process that serves nobody.

    Args:
        directory: the journal's.
        name: the reader's; up to 64 of a-z, 0-9, ``_`` and ``-``.

    Raises:
        ValueError: the name would make no file name.
        OSError: the directory cannot be read or written to.

    Attributes:
        missed: records that were not there to be read, because they were damaged or deleted by hand. (Those
            that the journal could not take at all stand in it as a record of kind ``journal.dropped``.)
    """

    def __init__(self, directory: Path, name: str) -> None:
        self.name = name
        self.missed = 0
        self._directory = directory
        self._path = position_path(directory, name)
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        registered = self._path.exists()
        self._position = read_position(self._path)
        self._counts_missed = self._position.seq > 0
        if not registered:
            self._store(self._position)

    @property
    def position(self) -> int:
        """Number of the last record that was read, or committed before; 0 for none."""
        return self._position.seq

    def __iter__(self) -> Iterator[Record]:
        """Yield the records that are there and were not yet read."""
        while (segment := self._segment()) is not None:
            yield from self._rest_of(segment)
            newer = [other for other in list_segments(self._directory) if other.first > segment.first]
            if not newer:
                return
            # Only now is the segment known to be complete; what came meanwhile is read before leaving it.
            yield from self._rest_of(segment)
            self._position = Position(self._position.seq, newer[0].first, 0)

    def commit(self, seq: int) -> None:
        """Store that every record up to this one is dealt with.

        Args:
            seq: number of a record; usually of the one just read.

        Raises:
            OSError: the position cannot be stored; the old one stays.
        """
        here = self._position
        self._store(here if seq == here.seq else Position(seq))

    def forget(self) -> None:
        """Unregister: the journal keeps nothing for this reader any more."""
        self._path.unlink(missing_ok=True)

    def _segment(self) -> Segment | None:
        """Return the segment in which the position is, or the oldest behind it."""
        segments = list_segments(self._directory)
        if not segments:
            return None
        here = self._position
        for segment in segments:
            if segment.first == here.segment:
                return segment
        # The last that begins at or before the next record; the oldest there is, if that is later.
        before = [segment for segment in segments if segment.first <= here.seq + 1]
        found = before[-1] if before else segments[0]
        self._position = Position(here.seq, found.first, 0)
        return found

    def _rest_of(self, segment: Segment) -> Iterator[Record]:
        """Yield the whole lines of a segment from the position on."""
        try:
            file = segment.path.open("rb")
        except FileNotFoundError:
            return  # pruned in between; nobody had registered when it was
        with file:
            size = os.fstat(file.fileno()).st_size
            offset = self._position.offset if self._position.offset <= size else 0
            file.seek(offset)
            for line in file:
                offset += len(line)
                # The last line is not whole while it is being written; it is read the next time.
                record = decode_line(line)
                if record is None or record.seq <= self._position.seq:
                    continue
                self._count_missed(record.seq)
                self._position = Position(record.seq, segment.first, offset)
                yield record

    def _count_missed(self, seq: int) -> None:
        if self._counts_missed:
            self.missed += seq - self._position.seq - 1
        self._counts_missed = True

    def _store(self, position: Position) -> None:
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with temporary.open("wb") as file:
            file.write(msgspec.json.encode(position))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self._path)
