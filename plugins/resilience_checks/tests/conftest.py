"""Workers for the tests of background checks."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from checking_workers import Workers


@pytest.fixture
def worker() -> Workers:
    """Make workers: ``await worker(*rows)``."""
    return Workers()
