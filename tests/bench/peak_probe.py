"""Run a Python script with tracemalloc on, and tell over a Unix socket what it allocated at its peak.

``python peak_probe.py SOCKET SCRIPT ARGUMENT...`` behaves like ``python SCRIPT ARGUMENT...``. Whoever
connects to the socket may send ``reset`` (collect garbage, forget the peak) and ``peak``; the answer to
``peak`` is the number of bytes that the peak stood above what was allocated at the reset.
"""

from __future__ import annotations

import gc
import runpy
import socket
import sys
import threading
import tracemalloc
from pathlib import Path


def serve(listener: socket.socket) -> None:
    """Answer one connection after the other, for ever."""
    while True:
        connection, _ = listener.accept()
        with connection, connection.makefile("rw", encoding="ascii") as lines:
            base = 0
            for line in lines:
                if line == "reset\n":
                    gc.collect()
                    tracemalloc.reset_peak()
                    base = tracemalloc.get_traced_memory()[0]
                    lines.write("done\n")
                else:
                    lines.write(f"{tracemalloc.get_traced_memory()[1] - base}\n")
                lines.flush()


def main() -> None:
    """Start the tracing and the thread that answers, then become the script."""
    address, script = sys.argv[1:3]
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(1)
    tracemalloc.start()
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
    sys.argv = sys.argv[2:]
    sys.path[0] = str(Path(script).parent)
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
