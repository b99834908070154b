"""Who is calling: request ids, credentials and addresses (contracts/aisix-ops.md 4.1, 5.4, 5.5)."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from hookway.config.addresses import Network
from hookway.server.client_context import (
    Credentials,
    RealAddress,
    bare_address,
    new_request_id,
    request_id,
    user_agent,
)


def headers(*lines: tuple[str, str], **named: str) -> CIMultiDictProxy[str]:
    given = [*lines, *((name.replace("_", "-"), value) for name, value in named.items())]
    return CIMultiDictProxy(CIMultiDict(given))


# ── request ids ─────────────────────────────────────────────────────────────────────────────

OURS = ("x-hookway-request-id",)


def is_fresh(text: str) -> bool:
    return uuid.UUID(text).version == 4 and str(uuid.UUID(text)) == text


def test_fresh_ids_are_uuids_of_version_4_and_differ() -> None:
    made = [new_request_id() for _ in range(2000)]
    assert all(is_fresh(text) and uuid.UUID(text).variant == uuid.RFC_4122 for text in made)
    assert len(set(made)) == len(made)


@pytest.mark.parametrize("value", ["a", "0", "~", "!", "{}", "x" * 256, 'quo"te', "../../etc", "%0d%0a"])
def test_an_id_of_visible_ascii_is_adopted_verbatim(value: str) -> None:
    assert request_id(headers(x_hookway_request_id=value), OURS) == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "a b",
        "x" * 257,
        "tab\there",
        "nul\0",
        "é",
        "a\x7f",
        "line\nend",
        "a\rb",
        "\ud800",
        "id\u2028",
        " a",
    ],
)
def test_an_id_that_cannot_be_used_is_replaced_and_never_refused(value: str) -> None:
    assert is_fresh(request_id(headers(x_hookway_request_id=value), OURS))


def test_the_first_usable_header_in_the_configured_order_counts() -> None:
    accepted = ("x-request-id", "x-correlation-id", "x-hookway-request-id")
    everything = headers(x_hookway_request_id="c", X_CORRELATION_ID="b", x_request_id="not usable")
    assert request_id(everything, accepted) == "b"
    assert request_id(everything, accepted[2:]) == "c"


def test_only_the_configured_headers_count() -> None:
    assert is_fresh(request_id(headers(x_request_id="mine"), OURS))
    assert is_fresh(request_id(headers(x_hookway_request_id="mine"), ()))


def test_the_first_of_repeated_lines_counts() -> None:
    assert (
        request_id(headers(("X-Hookway-Request-Id", "one"), ("x-hookway-request-id", "two")), OURS) == "one"
    )


@given(st.text(max_size=300))
def test_whatever_a_caller_says_the_id_is_visible_ascii(value: str) -> None:
    found = request_id(headers(x_hookway_request_id=value), OURS)
    assert 1 <= len(found) <= 256
    assert all("\x21" <= one <= "\x7e" for one in found)


# ── credentials ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("lines", "scheme", "token"),
    [
        ({"authorization": "Bearer sk-1"}, "bearer", "sk-1"),
        ({"Authorization": "Bearer   sk-1  "}, "bearer", "sk-1"),
        ({"x-api-key": "sk-2"}, "x-api-key", "sk-2"),
        ({"X-API-Key": "  sk-2 "}, "x-api-key", "sk-2"),
        ({"authorization": "Bearer sk-1", "x-api-key": "sk-2"}, "bearer", "sk-1"),
    ],
)
def test_a_credential_is_read(lines: dict[str, str], scheme: str, token: str) -> None:
    found = Credentials().read(headers(**{name.replace("-", "_"): value for name, value in lines.items()}))
    assert found is not None
    assert (found.scheme, found.token.reveal()) == (scheme, token)
    assert token not in repr(found)


@pytest.mark.parametrize(
    "lines",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": "Bearer \t "},
        {"authorization": "bearer sk-1"},
        {"authorization": "BEARER sk-1"},
        {"authorization": "Basic c2s="},
        {"authorization": "sk-1"},
        {"authorization": "Basic c2s=", "x_api_key": "sk-2"},
        {"authorization": "", "x_api_key": "sk-2"},
        {"x_api_key": ""},
        {"x_api_key": "   "},
        {"x_api_key": "schlüssel"},
        {"authorization": "Bearer \udcff"},
    ],
)
def test_what_is_no_credential_is_none_even_beside_a_good_one(lines: dict[str, str]) -> None:
    assert Credentials().read(headers(**lines)) is None


def test_a_connection_whose_requests_differ_in_it_gets_each_its_own() -> None:
    credentials = Credentials()
    said = [
        {"authorization": "Bearer a"},
        {"authorization": "Bearer a"},
        {"x_api_key": "b"},
        {},
        {"authorization": "Basic a"},
        {"authorization": "Bearer c"},
    ]
    read = [credentials.read(headers(**one)) for one in said]
    assert [one.token.reveal() if one else None for one in read] == ["a", "a", "b", None, None, "c"]


# ── user agents ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("agent", "shown"),
    [("", ""), ("curl/8", "curl/8"), ("a\x1b[31mb", "a[31mb"), ("x" * 300, "x" * 256), ("\udcff ok", " ok")],
)
def test_a_user_agent_is_short_and_printable(agent: str, shown: str) -> None:
    assert user_agent(agent) == shown


@given(st.text(max_size=600))
def test_whatever_a_caller_says_its_agent_fits_a_log_line(agent: str) -> None:
    shown = user_agent(agent)
    assert len(shown) <= 256
    assert shown.isprintable() or shown == ""


# ── addresses ───────────────────────────────────────────────────────────────────────────────

TRUSTED = ("10.0.0.0/8", "2001:db8::/32", "192.0.2.1")


def found(peer: str, *forwarded: str, recursive: bool = False, header: str = "x-forwarded-for") -> str:
    networks = [Network.parse(text).network for text in TRUSTED]
    lines = [("X-Forwarded-For", value) for value in forwarded]
    return RealAddress(networks, header, recursive).find(peer, headers(*lines))


@pytest.mark.parametrize("recursive", [False, True])
@pytest.mark.parametrize("peer", ["203.0.113.9", "::1", "", "nonsense", "11.0.0.1"])
def test_a_peer_that_is_not_trusted_is_the_client_whatever_it_says(peer: str, recursive: bool) -> None:
    assert found(peer, "198.51.100.7", recursive=recursive) == peer


@pytest.mark.parametrize(
    ("forwarded", "rightmost", "recursive"),
    [
        ([], "10.0.0.1", "10.0.0.1"),
        ([""], "10.0.0.1", "10.0.0.1"),
        (["198.51.100.7"], "198.51.100.7", "198.51.100.7"),
        (["1.1.1.1, 198.51.100.7"], "198.51.100.7", "198.51.100.7"),
        (["198.51.100.7, 10.2.3.4"], "10.2.3.4", "198.51.100.7"),
        (["1.1.1.1, 198.51.100.7, 10.2.3.4,2001:db8::5"], "2001:db8::5", "198.51.100.7"),
        (["10.9.9.9, 10.2.3.4"], "10.2.3.4", "10.9.9.9"),
        (["198.51.100.7", "10.2.3.4"], "10.2.3.4", "198.51.100.7"),
        (["198.51.100.7:443"], "198.51.100.7", "198.51.100.7"),
        (["[2001:db9::7]:443"], "2001:db9::7", "2001:db9::7"),
        (["[2001:db9::7]"], "2001:db9::7", "2001:db9::7"),
        (["2001:DB9::7"], "2001:db9::7", "2001:db9::7"),
        (["198.51.100.7, unknown, _hidden, 999.1.1.1, "], "198.51.100.7", "198.51.100.7"),
        (["unknown"], "10.0.0.1", "10.0.0.1"),
    ],
)
def test_the_header_of_a_trusted_proxy_names_the_client(
    forwarded: list[str], rightmost: str, recursive: str
) -> None:
    assert found("10.0.0.1", *forwarded) == rightmost
    assert found("10.0.0.1", *forwarded, recursive=True) == recursive


def test_without_trusted_proxies_nobody_is_believed() -> None:
    real = RealAddress([], "x-forwarded-for", True)
    assert not real.believes_anyone
    assert real.find("10.0.0.1", headers(x_forwarded_for="1.1.1.1")) == "10.0.0.1"


def test_the_configured_header_counts() -> None:
    networks = [Network.parse("10.0.0.0/8").network]
    real = RealAddress(networks, "x-real-ip", False)
    assert real.find("10.0.0.1", headers(x_forwarded_for="1.1.1.1", X_Real_IP="2.2.2.2")) == "2.2.2.2"


@pytest.mark.parametrize(
    "item", ["", " ", "a", "1.2.3", "1.2.3.4.5", "[", "[]", ":80", "1.2.3.4:80:1", "::1]x", "\n"]
)
def test_what_is_no_address_is_none(item: str) -> None:
    assert bare_address(item) == ""


@given(st.lists(st.text("0123456789abcdef.:[], \r\nx", max_size=30), max_size=4), st.booleans())
def test_whatever_proxies_write_the_client_has_an_address(forwarded: list[str], recursive: bool) -> None:
    address = found("10.0.0.1", *forwarded, recursive=recursive)
    assert bare_address(address) == address
