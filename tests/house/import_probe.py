"""Import each module named on stdin by itself and print, as JSON, what it did that must not happen at import.

Run as a process of its own by test_quiet_imports.py. Third-party packages are loaded once, then each module
is imported in a fork of its own: as isolated as a fresh interpreter, a hundred times cheaper.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import traceback
import warnings
from collections.abc import Iterator, MutableMapping

HEAVY = (
    *("aiohttp", "aiohttp.web", "msgspec", "pluggy", "yaml", "uvloop", "httptools"),
    *("pytest", "hypothesis", "hypothesis.stateful"),
)
FORBIDDEN_EVENTS = ("socket.__new__", "subprocess.Popen", "os.fork", "os.posix_spawn")
SDK = "hookway_sdk"
OURS = ("hookway.", "hookway_sdk.", "hookway_plugins.")


class WatchedEnvironment(MutableMapping[str, str]):
    """The environment, refusing to be read by a module of this tree."""

    def __init__(self, real: MutableMapping[str, str]) -> None:
        self._real = real

    def _look(self) -> None:
        frame = sys._getframe(2)
        # Skip os.getenv, MutableMapping.get and the like: the question is who called them.
        while frame.f_back is not None and frame.f_globals["__name__"] in {
            "os",
            "collections.abc",
            "_collections_abc",
        }:
            frame = frame.f_back
        if f"{frame.f_globals['__name__']}.".startswith(OURS):
            raise RuntimeError("reads the environment at import")

    def __getitem__(self, name: str) -> str:
        self._look()
        return self._real[name]

    def __iter__(self) -> Iterator[str]:
        self._look()
        return iter(self._real)

    def __len__(self) -> int:
        return len(self._real)

    def __setitem__(self, name: str, value: str) -> None:
        raise RuntimeError("changes the environment at import")

    def __delitem__(self, name: str) -> None:
        raise RuntimeError("changes the environment at import")


def refuse(event: str, _: tuple[object, ...]) -> None:
    if event in FORBIDDEN_EVENTS:
        raise RuntimeError(f"{event} at import")


def import_alone(name: str) -> str:
    """Return what is wrong with importing one module, or an empty string."""
    vars(os)["environ"] = WatchedEnvironment(os.environ)
    sys.addaudithook(refuse)
    warnings.simplefilter("error")
    try:
        importlib.import_module(name)
    # Whatever it raises, sys.exit included, is the finding.
    except BaseException:
        return traceback.format_exc(limit=-3)
    threads = len(sys._current_frames()) - 1
    return f"started {threads} thread(s) at import" if threads else ""


def in_a_fork(name: str) -> str:
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writer, import_alone(name).encode()[:60_000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        finding = answer.read()
    _, status = os.waitpid(child, 0)
    return finding or (f"ended with status {status}" if status else "")


def main() -> None:
    for name in HEAVY:
        importlib.import_module(name)
    names = json.load(sys.stdin)
    findings = {SDK: in_a_fork(SDK)}
    if not findings[SDK]:
        # Importing any part of the SDK runs its __init__ first, so nothing is less alone with it loaded.
        importlib.import_module(SDK)
    gc.freeze()
    findings |= {name: in_a_fork(name) for name in names if name != SDK}
    print(json.dumps({name: finding for name, finding in findings.items() if finding}))


if __name__ == "__main__":
    main()
