"""Tells pytest-timeout's interruption from a test's own failures, so that nothing takes it for one."""

from __future__ import annotations

from typing import TypeGuard

import pytest


def is_out_of_time(error: object) -> TypeGuard[BaseException]:
    """Say whether pytest-timeout raised it: an ordinary failure, told only by its text."""
    return isinstance(error, pytest.fail.Exception) and "from pytest-timeout" in str(error)
