"""A file on disk: its bytes within a bound, and the marks by which a change is noticed."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple


class FileState(NamedTuple):
    """Marks of one state of a file; a file that was written, replaced or unlocked has others."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int

    @classmethod
    def of(cls, found: os.stat_result) -> FileState:
        """Take the marks from what the system says of a file."""
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


class Unusable(Exception):
    """A file cannot be read; the message goes on where its name ends."""


def look(path: str) -> FileState | None:
    """Return the marks of a file, ``None`` where there is none to be seen."""
    try:
        return FileState.of(os.stat(path))
    except OSError:
        return None


def read(path: str, limit: int) -> tuple[bytes, FileState]:
    """Return a file's bytes, and its marks at the time.

    Args:
        limit: how many bytes it may have.

    Raises:
        FileNotFoundError: there is no such file.
        Unusable: there is one, and it cannot be read, is none (a pipe, a directory), or is too large.
    """
    try:
        with open(path, "rb", opener=_open) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise Unusable("is no regular file")
            data = file.read(limit + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unusable(f"cannot be read: {(error.strerror or 'unknown error').lower()}") from error
    if len(data) > limit:
        raise Unusable(f"is larger than {limit} bytes; raise max_size if that is meant")
    return data, FileState.of(found)


def _open(path: str, flags: int) -> int:
    # Opening a pipe that nobody writes to would wait for ever.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
