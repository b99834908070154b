"""A pytest plugin that says where a test may not be skipped for want of what it needs.

Load it with ``-p hookway_sdk.testing.require`` in ``addopts``. A test that cannot reach a server or a
command skips with a reason that begins with "needs": ``pytest.skip("needs redis-server")``. With
``HOOKWAY_REQUIRE=all`` (a build machine) such a skip is a failure. Any other skip, such as a promise of a
contract that does not apply, stays a skip.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

WORDS = ("", "all")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a misspelt value before any test runs."""
    chosen = os.environ.get("HOOKWAY_REQUIRE", "")
    if chosen not in WORDS:
        raise pytest.UsageError(f"HOOKWAY_REQUIRE is {chosen!r}; it can be 'all', or unset")
    if chosen:
        config.pluginmanager.register(_NothingIsMissing())


class _NothingIsMissing:
    """Turns a skip for want of something into a failure."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        _refuse(report, call)
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        report = yield
        _refuse(report, getattr(report, "call", None))
        return report


def _refuse(report: pytest.TestReport | pytest.CollectReport, call: pytest.CallInfo[None] | None) -> None:
    raised = call.excinfo.value if call is not None and call.excinfo is not None else None
    if report.skipped and isinstance(raised, pytest.skip.Exception):
        reason = str(raised.msg)
        if reason.lower().startswith("needs "):
            report.outcome = "failed"
            report.longrepr = f"{report.nodeid} {reason}, and HOOKWAY_REQUIRE=all says it has to run"
