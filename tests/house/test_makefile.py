"""`make` without a target says what can be made, all of it."""

from __future__ import annotations

import re
import subprocess

from workspace import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))


def test_help_is_the_default_and_lists_every_target_with_a_line_of_text() -> None:
    listing = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    lines = dict(re.findall(r"^make (\S+) +(\S.*)$", listing, re.MULTILINE))
    assert set(lines) == TARGETS
    assert {
        "dev",
        "run",
        "test",
        "check",
        "fmt",
        "bench",
        "test-deep",
        "test-plugin",
        "new-plugin",
    } <= TARGETS


def test_no_target_is_mistaken_for_a_file() -> None:
    phony = set(re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[0].split())
    assert phony == TARGETS


def test_ci_runs_the_same_targets_as_a_developer() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert re.search(r"^make check test$", script.read_text(), re.MULTILINE)
