"""Refresh the pinned requirements (``make pins``): versions and hashes only, never the address of an index.

``requirements/uv.txt`` holds the installer, ``runtime.txt`` what the members declare, ``dev.txt`` that
plus the tools of ``dev.in`` and the members' test extras. Pins that still satisfy every requirement stay;
``--upgrade`` moves all of them.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable

from workspace import ROOT, is_ours, members

PINS = ROOT / "requirements"
# Neither header, annotations nor index options: they would name a host or a path of this machine.
COMPILE = ["pip", "compile", "--quiet", "--no-header", "--no-annotate", "--generate-hashes"]
PORTABLE = ["--universal", "--python-version", "3.11"]


def third_party(requirements: Iterable[str]) -> list[str]:
    """Return the requirements that come from an index, sorted and without repeats."""
    return sorted({requirement for requirement in requirements if not is_ours(requirement)})


def compile_pins(requirements: Iterable[str], target: str, *options: str) -> None:
    """Write ``requirements/<target>`` for the given requirement lines."""
    uv = f"{sys.prefix}/bin/uv"
    command = [uv, *COMPILE, *PORTABLE, *options, "--output-file", str(PINS / target), "-"]
    lines = "\n".join(requirements)
    subprocess.run(command, input=lines, text=True, check=True, stdout=subprocess.DEVNULL, cwd=PINS)


def main() -> None:
    """Compile the three files; arguments are handed to ``uv pip compile``."""
    options = sys.argv[1:]
    runtime = third_party(requirement for member in members() for requirement in member.dependencies)
    tests = third_party(requirement for member in members() for requirement in member.test_dependencies)
    tools = (PINS / "dev.in").read_text().splitlines()
    compile_pins((PINS / "uv.in").read_text().splitlines(), "uv.txt", *options)
    compile_pins(runtime, "runtime.txt", *options)
    compile_pins([*runtime, *tests, *tools], "dev.txt", "--constraint", "runtime.txt", *options)


if __name__ == "__main__":
    main()
