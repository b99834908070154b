"""What one process has used, read from outside: CPU time and resident memory (Linux only).

The gateway under test is measured alone; the load generator and the mock upstream have their own processes
and never count. CPU time comes from the process's own CPU clock (``clock_gettime(2)`` accepts another
process's clock id, nanoseconds), because the 10 ms ticks of ``/proc/PID/stat`` are too coarse for slices of
half a second.
"""

from __future__ import annotations

import time
from pathlib import Path

_CPUCLOCK_SCHED = 2  # linux/posix-timers_types.h: CPUCLOCK_SCHED, the scheduler's exact run time


def process_tree(pid: int) -> list[int]:
    """Return ``pid`` and the ids of its living descendants."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            found.extend(int(child) for child in task.read_text().split())
    return found


def cpu_seconds(pids: list[int]) -> float:
    """Return the CPU time (user and system, all threads) that the processes have used, in seconds.

    Raises:
        OSError: one of the processes is gone.
    """
    return sum(time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED) for pid in pids)


def resident_bytes(pids: list[int]) -> int:
    """Return the resident memory of the processes, in bytes (pages they share count for each)."""
    return sum(_status_kib(pid, "VmRSS") for pid in pids) * 1024


def _status_kib(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise OSError(f"/proc/{pid}/status has no {field}: the process has ended")
