"""The load generator as a child process of the harness: jobs in, results out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from load import Job, Result


class LoadProcess:
    """One long-lived ``load.py``, so that no slice pays for an interpreter's start."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("load.py")
        self._process = subprocess.Popen(
            [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.pid = self._process.pid

    def run(self, job: Job) -> Result:
        """Run one job to its end.

        Raises:
            RuntimeError: an answer was wrong, or the job did not finish; the figures are worthless.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(job) + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the load generator has ended; see its traceback above")
        result = msgspec.json.decode(line, type=Result)
        if result.error:
            raise RuntimeError(result.error)
        return result

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(5)
        assert self._process.stdout is not None
        self._process.stdout.close()
