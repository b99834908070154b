"""What a client sent is shown to plugins without its credentials; globs are the field's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookway_sdk import Credential, Headers, Secret, glob_matches
from hookway_sdk.incoming import CREDENTIAL_HEADERS
from hookway_sdk.testing import HeaderLines

LINES = [
    ("Authorization", "Bearer hush"),
    ("X-Tag", "one"),
    ("Cookie", "session=hush"),
    ("x-tag", "two"),
    ("X-Api-Key", "hush"),
]


@pytest.fixture
def headers() -> Headers:
    return Headers(HeaderLines(LINES))


@pytest.mark.parametrize("name", sorted(CREDENTIAL_HEADERS))
@pytest.mark.parametrize("spelling", [str.lower, str.upper, str.title])
def test_headers_that_carry_credentials_read_as_absent(name: str, spelling: type[str]) -> None:
    headers = Headers(HeaderLines([(name, "hush")]))
    written = spelling(name)
    assert headers.get(written, "none") == "none"
    assert headers.getall(written) == []
    assert written not in headers
    assert headers.items() == []


def test_other_headers_are_read_whatever_their_case(headers: Headers) -> None:
    assert headers.get("X-TAG") == "one"
    assert headers.getall("x-tag") == ["one", "two"]
    assert "X-Tag" in headers


def test_an_absent_header_has_the_default(headers: Headers) -> None:
    assert headers.get("x-other") == ""
    assert headers.get("x-other", "none") == "none"
    assert headers.getall("x-other") == []
    assert "x-other" not in headers


def test_every_line_is_listed_but_those_with_credentials(headers: Headers) -> None:
    assert headers.items() == [("X-Tag", "one"), ("x-tag", "two")]


def test_headers_print_nothing(headers: Headers) -> None:
    assert "hush" not in repr(headers)
    assert "hush" not in repr(Credential("bearer", Secret("hush")))


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("gpt-4o", "gpt-4o", True),
        ("gpt-4o", "GPT-4o", False),
        ("gpt-4o", "gpt-4o-mini", False),
        ("*", "", True),
        ("*", "anything/at all", True),
        ("gpt-*", "gpt-4o", True),
        ("gpt-*", "gpt-", True),
        ("gpt-*", "gpt", False),
        ("*-mini", "gpt-mini", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("**", "anything", False),
        ("a*b*c", "abc", False),
        ("", "", True),
        ("gpt-?", "gpt-4", False),
        ("gpt-[0-9]", "gpt-4", False),
        ("a\nb", "a\nb", True),
        ("*b", "a\nb", True),
    ],
)
def test_a_glob_has_one_star_at_most(pattern: str, name: str, matches: bool) -> None:
    assert glob_matches(pattern, name) is matches


@given(st.text("ab*", max_size=4), st.text("ab", max_size=6))
def test_a_glob_matches_exactly_the_names_it_is_made_of(pattern: str, name: str) -> None:
    head, star, tail = pattern.partition("*")
    middles = [name[i:j] for i in range(len(name) + 1) for j in range(i, len(name) + 1)]
    expected = pattern == name if not star else any(f"{head}{middle}{tail}" == name for middle in middles)
    assert glob_matches(pattern, name) is (expected and "*" not in tail)
