"""One file stands in two plugins, since neither may import the other; it is mended in both or in none."""

from __future__ import annotations

from pathlib import Path

import pytest

PLUGINS = Path(__file__).parents[2]
NAMES = ("resilience_checks", "resilience_cooldown")


def test_both_plugins_share_their_notes_in_the_same_way() -> None:
    files = [PLUGINS / name / "src" / "hookway_plugins" / name / "shared_notes.py" for name in NAMES]
    if not all(file.exists() for file in files):
        pytest.skip("the other plugin is not in this tree")
    assert len({file.read_text() for file in files}) == 1, "copy the mended file into the other plugin"
