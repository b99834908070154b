"""Runs the ``hookway`` command as its users do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HOOKWAY = str(Path(sys.executable).with_name("hookway"))


def environment(home: Path, **variables: str) -> dict[str, str]:
    """Return variables under which nothing of the machine's own configuration is found."""
    return {"PATH": "/usr/bin:/bin", "HOME": str(home), "XDG_STATE_HOME": str(home / "state"), **variables}


def hookway(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a directory whose conf.d it finds by itself."""
    return subprocess.run(
        [HOOKWAY, *arguments],
        cwd=home,
        env=environment(home, **variables),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def write(home: Path, files: dict[str, str]) -> Path:
    """Write files below a directory, and return it."""
    for name, text in files.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return home
