"""A head is compiled once; what cannot be sent is refused when it is compiled, not when it is used."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookway.upstream import Origin, TlsSettings, UpstreamRequest, compile_head
from hookway_sdk.errors import InvalidUpstreamConfig


async def chunks() -> AsyncIterator[bytes]:
    """A body."""
    yield b"x"


def test_a_request_is_rendered_from_its_head_its_headers_and_its_framing() -> None:
    head = compile_head("POST", "https://api.example/v1/chat?x=1", [("Authorization", "Bearer k")])
    start = (
        b"POST /v1/chat?x=1 HTTP/1.1\r\nhost: api.example\r\naccept-encoding: identity\r\n"
        b"Authorization: Bearer k\r\n"
    )
    assert head.prefix == start
    assert UpstreamRequest(head, body=b"abc").render() == start + b"content-length: 3\r\n\r\n"
    assert UpstreamRequest(head).render() == start + b"content-length: 0\r\n\r\n"
    extra = UpstreamRequest(head, [("x-id", "1"), ("x-name", "\xe4")], b"abc")
    assert extra.render() == start + b"x-id: 1\r\nx-name: \xe4\r\ncontent-length: 3\r\n\r\n"
    assert UpstreamRequest(head, body=chunks()).render() == start + b"transfer-encoding: chunked\r\n\r\n"
    assert UpstreamRequest(head, body=chunks(), length=9).render() == start + b"content-length: 9\r\n\r\n"
    assert UpstreamRequest(compile_head("GET", "http://a.example")).render().endswith(b"identity\r\n\r\n")


@pytest.mark.parametrize(
    ("url", "origin", "target"),
    [
        ("http://A.Example", ("http", "a.example", 80, "a.example"), "/"),
        ("https://a.example:443/x", ("https", "a.example", 443, "a.example"), "/x"),
        ("http://a.example:8080?q=1#part", ("http", "a.example", 8080, "a.example:8080"), "/?q=1"),
        ("http://[::1]:8080/", ("http", "::1", 8080, "[::1]:8080"), "/"),
        ("http://b\xfccher.example/", ("http", "xn--bcher-kva.example", 80, "xn--bcher-kva.example"), "/"),
        ("http://a.example/%2F\xe4 b?\xe4", ("http", "a.example", 80, "a.example"), "/%2F%C3%A4%20b?%C3%A4"),
        (
            "http://a.example/models/m:generate(x)?alt=sse&k=v+w",
            ("http", "a.example", 80, "a.example"),
            "/models/m:generate(x)?alt=sse&k=v+w",
        ),
    ],
)
def test_an_address_is_taken_apart(url: str, origin: tuple[str, str, int, str], target: str) -> None:
    head = compile_head("GET", url)
    found = head.origin
    assert (found.scheme, found.host, found.port, found.authority) == origin
    assert head.target == target
    assert (found.tls is None) == (origin[0] == "http")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a.example/x",
        "ftp://a.example/",
        "http://",
        "http://user:secret@a.example/",
        "http://a.example:port/",
        "http://a.example:70000/",
        "http://[::1/",
        "http://[nonsense]/",
        "http://a b.example/",
        "http://a..example/",
        "http://%61.example/",
        "http://a.example\\@b.example/",
    ],
)
def test_an_address_that_cannot_be_reached_is_refused(url: str) -> None:
    with pytest.raises(InvalidUpstreamConfig) as refused:
        compile_head("GET", url)
    assert "secret" not in refused.value.message


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_text_in_a_path_or_a_header_makes_a_second_line(path: str, value: str) -> None:
    try:
        head = compile_head("GET", "http://a.example/" + path, [("x-a", value)])
        rendered = UpstreamRequest(head, [("x-b", value)]).render()
    except InvalidUpstreamConfig:
        return
    lines = rendered.split(b"\r\n")
    names = [line.split(b" ")[0] for line in lines]
    assert names == [b"GET", b"host:", b"accept-encoding:", b"x-a:", b"x-b:", b"", b""]
    assert len(lines[0].split(b" ")) == 3
    assert rendered.count(b"\n") == rendered.count(b"\r") == 6


@pytest.mark.parametrize("method", ["", "GE T", "GET\r\n", "G\xc4T"])
def test_a_method_is_a_token(method: str) -> None:
    with pytest.raises(InvalidUpstreamConfig, match="not an http method"):
        compile_head(method, "http://a.example/")


@pytest.mark.parametrize("name", ["connection", "Content-Length", "TRANSFER-ENCODING", "upgrade", "te"])
def test_static_headers_leave_the_framing_to_the_transport(name: str) -> None:
    with pytest.raises(InvalidUpstreamConfig, match="set by the transport"):
        compile_head("GET", "http://a.example/", [(name, "x")])


def test_the_encoding_of_the_answer_can_be_left_to_the_request() -> None:
    head = compile_head("GET", "http://a.example/", identity=False)
    assert b"accept-encoding" not in head.prefix
    assert b"accept-encoding: br\r\n" in UpstreamRequest(head, [("accept-encoding", "br")]).render()


def test_equal_origins_are_one_and_settings_and_addresses_tell_them_apart() -> None:
    one, same = (compile_head("GET", f"https://a.example/{path}").origin for path in "xy")
    assert one == same
    assert hash(one) == hash(same)
    others = {
        compile_head("GET", "https://a.example/", tls=TlsSettings(verify=False)).origin,
        compile_head("GET", "https://a.example/", address="192.0.2.1").origin,
        compile_head("GET", "https://a.example:444/").origin,
        Origin("http", "a.example", 443),
    }
    assert len(others | {one}) == 5
