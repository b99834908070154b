"""Where lines go: standard output, or a file that may be moved away while it is written."""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Callable

LOOK_SECONDS = 1.0
"""How often to look whether the file is still the one of its name."""

PIPE_BYTES = 4_096
"""What a pipe takes in one piece (PIPE_BUF on Linux); several workers share one standard output."""


class Output:
    """A descriptor to which lines are appended; used by one thread at a time.

    Args:
        path: the file, ``""`` for standard output.
        monotonic: time.

    Attributes:
        lost: lines that could not be written.
        fault: what went wrong last, ``""`` while nothing does.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: str, monotonic: Callable[[], float]) -> None:
        self._path = path
        self._monotonic = monotonic
        self._looked = monotonic()
        self._torn = False
        self.lost = 0
        self.fault = ""
        self._descriptor = _open(path) if path else os.dup(1)
        self._pipe = _is_pipe(self._descriptor)
        self._unopened = ""

    def write(self, lines: bytes) -> None:
        """Append whole lines; what goes wrong is noted, and later lines are still kept apart."""
        fault = self._follow_the_name()
        # A line that was cut off in the middle is ended first, so that it spoils no other.
        data = b"\n" + lines if self._torn else lines
        written = 0
        try:
            while written < len(data):
                written += self._write_some(data, written)
        except OSError as error:
            fault = reason(error)
            self.lost += data[max(written, len(data) - len(lines)) :].count(b"\n")
        if written:
            self._torn = data[written - 1] != ord("\n")
        self.fault = fault

    def close(self) -> None:
        """Let go of the descriptor."""
        os.close(self._descriptor)

    def _write_some(self, data: bytes, start: int) -> int:
        """Write from a place on, to a pipe as many whole lines as it takes in one piece; return the bytes."""
        end = len(data)
        if self._pipe and end - start > PIPE_BYTES:
            end = data.rfind(b"\n", start, start + PIPE_BYTES) + 1 or start + PIPE_BYTES
        try:
            return os.write(self._descriptor, memoryview(data)[start:end])
        except BlockingIOError:  # somebody made the pipe a non-blocking one, and its reader is slow
            select.select((), (self._descriptor,), (), LOOK_SECONDS)
            return 0

    def _follow_the_name(self) -> str:
        """Open the file again where its name leads elsewhere, as after a rotation; return what failed.

        A file that cannot be opened again leaves the old one in use, which the rotation has kept.
        """
        now = self._monotonic()
        if not self._path or now - self._looked < LOOK_SECONDS:
            return self._unopened
        self._looked = now
        self._unopened = ""
        try:
            if not _same(self._path, self._descriptor):
                fresh = _open(self._path)
                os.close(self._descriptor)
                self._descriptor, self._torn = fresh, False
                self._pipe = _is_pipe(fresh)
        except OSError as error:
            self._unopened = reason(error)
        return self._unopened


def reason(error: OSError) -> str:
    """Return what went wrong, in the system's words."""
    return (error.strerror or type(error).__name__).lower()


def _open(path: str) -> int:
    # Opened for waiting, a pipe without a reader would hold up the start; so it is an error.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
    return os.open(path, flags, 0o640)


def _same(path: str, descriptor: int) -> bool:
    """Say whether a name still leads to an open file."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _is_pipe(descriptor: int) -> bool:
    return not stat.S_ISREG(os.fstat(descriptor).st_mode)
