"""Commands whose reader has seen enough."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from command_line import HOOKWAY, environment


@pytest.mark.parametrize("command", ["plugins", "hooks", "schema", "export"])
def test_a_reader_that_leaves_makes_no_traceback(tmp_path: Path, command: str) -> None:
    done = subprocess.run(
        f"exec 2>err; {HOOKWAY} {command} | true; echo ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert done.stdout == "0\n"
    assert "Traceback" not in (tmp_path / "err").read_text()
    assert "BrokenPipe" not in (tmp_path / "err").read_text()
