"""What the slow tests share: more time, and the certainty that they are deep."""

from __future__ import annotations

import pytest
from hypothesis import settings

from hookway_sdk.testing.examples import DEEP_EXAMPLES

SECONDS = 900


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each slow test its own limit of time."""
    for item in items:
        item.add_marker(pytest.mark.timeout(SECONDS))


@pytest.fixture(autouse=True, scope="session")
def _deep() -> None:
    assert settings.default is not None
    assert settings.default.max_examples == DEEP_EXAMPLES, "run them by `make test-deep`"
