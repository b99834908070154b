"""One journal directory, one writing process: a lock that ends with the process that holds it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hookway_sdk.errors import StartError

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        # Far behind the process id, which others may read.
        os.lseek(descriptor, 1024, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class JournalInUse(StartError):
    """Another process writes this journal."""

    def __init__(self, directory: Path, owner: str) -> None:
        super().__init__(
            f"journal directory '{directory}' is in use by process {owner or '(unknown)'}; "
            "stop that one, or give this gateway a state_dir of its own"
        )


class JournalLock:
    """The right to write to a directory, held until :meth:`release` or the end of the process.

    A child that is forked while the lock is held, holds it too.

    Raises:
        JournalInUse: another process, or another journal of this one, holds it.
        OSError: the directory cannot be written to.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / "journal.lock"
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            _lock(self._descriptor)
        except (BlockingIOError, PermissionError) as error:
            owner = os.read(self._descriptor, 32).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise JournalInUse(directory, owner) from error
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.write(self._descriptor, b"%d\n" % os.getpid())

    def holds(self) -> bool:
        """Whether the locked file is still the one that others would lock."""
        return same_file(self._path, self._descriptor)

    def release(self) -> None:
        """Let another process write."""
        os.close(self._descriptor)


def same_file(path: Path, descriptor: int) -> bool:
    """Whether a path still leads to an open file: neither it nor a directory above it was moved."""
    try:
        there = os.stat(path)
    except OSError:
        return False
    ours = os.fstat(descriptor)
    return (there.st_ino, there.st_dev) == (ours.st_ino, ours.st_dev)
