"""Runs a pytest process of its own, the way the author of a plugin meets the test kit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

OURS = ("HOOKWAY_LOOP", "HOOKWAY_REQUIRE", "HOOKWAY_DEEP")


def run_pytest(
    directory: Path, source: str, *options: str, plugin: str = "async_tests", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run one test module with nothing loaded but one plugin of the test kit."""
    (directory / "test_it.py").write_text(source)
    usual = ["-q", "-W", "error", "--rootdir", str(directory), "-p", "no:cacheprovider"]
    loaded = ["-p", f"hookway_sdk.testing.{plugin}", *options, str(directory)]
    inherited = {name: value for name, value in os.environ.items() if name not in OURS}
    return subprocess.run(
        [sys.executable, "-m", "pytest", *usual, *loaded],
        env={**inherited, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment},
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=30,
    )
