"""How many examples hypothesis tries is chosen in one place."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from hookway_sdk.testing.examples import DEEP_EXAMPLES, pytest_configure


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = settings.get_current_profile_name()
    yield
    settings.load_profile(before)


def chosen(config: pytest.Config) -> settings:
    pytest_configure(config)
    assert settings.default is not None
    return settings.default


@pytest.mark.parametrize(("word", "examples"), [("", 100), ("0", 100), ("1", DEEP_EXAMPLES)])
def test_deep_tests_try_thousands_of_examples_and_none_has_a_deadline(
    word: str, examples: int, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOKWAY_DEEP", word)
    profile = chosen(pytestconfig)
    assert (profile.max_examples, profile.deadline) == (examples, None)


def test_a_misspelt_depth_is_refused(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOKWAY_DEEP", "very")
    with pytest.raises(pytest.UsageError, match="HOOKWAY_DEEP is 'very'"):
        pytest_configure(pytestconfig)
