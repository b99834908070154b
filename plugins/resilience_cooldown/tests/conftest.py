"""Workers for the tests of cooling down."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cooling_workers import Workers


@pytest.fixture
def worker() -> Workers:
    """Make workers: ``await worker(*rows, settings=...)``."""
    return Workers()
