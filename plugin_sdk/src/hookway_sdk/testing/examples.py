"""A pytest plugin that says how many examples hypothesis tries: the one place for the whole tree.

Load it with ``-p hookway_sdk.testing.examples`` in ``addopts``. ``HOOKWAY_DEEP=1`` tries 5,000 examples
where a test names no number of its own; otherwise hypothesis tries its usual 100. In both, no example has a
deadline: on a busy machine a deadline fails tests of nothing.
"""

from __future__ import annotations

import os

import pytest

DEEP_EXAMPLES = 5_000
WORDS = ("", "0", "1")


def pytest_configure(config: pytest.Config) -> None:
    """Choose a profile, where hypothesis is installed."""
    chosen = os.environ.get("HOOKWAY_DEEP", "")
    if chosen not in WORDS:
        raise pytest.UsageError(f"HOOKWAY_DEEP is {chosen!r}; it can be 0, 1, or unset")
    try:
        from hypothesis import HealthCheck, settings
    except ImportError:  # a plugin's own tests need not have it
        return
    settings.register_profile("usual", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("deep", settings.get_profile("usual"), max_examples=DEEP_EXAMPLES)
    if config.getoption("--hypothesis-profile", default=None) is None:
        settings.load_profile("deep" if chosen == "1" else "usual")
