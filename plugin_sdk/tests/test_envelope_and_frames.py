"""The top level of JSON objects is opened, values stay as the bytes they came in."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookway_sdk import Frame, UpstreamUndecodable, close_envelope, open_envelope, raw, read

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(), VALUES, max_size=5)


@given(OBJECTS, st.sampled_from([None, 2]), st.booleans())
def test_untouched_values_stay_byte_exact(
    value: dict[str, object], indent: int | None, ascii_only: bool
) -> None:
    body = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "replace")
    opened = open_envelope(body)
    again = open_envelope(close_envelope(opened))
    assert {name: bytes(one) for name, one in again.items()} == {
        name: bytes(one) for name, one in opened.items()
    }
    assert list(again) == list(opened)
    assert all(bytes(one) in body for one in opened.values())


def test_of_repeated_members_the_last_one_counts_and_is_the_one_sent() -> None:
    opened = open_envelope(b'{"model":"cheap","a":1,"model":"dear"}')
    assert read(opened["model"]) == "dear"
    assert close_envelope(opened) == b'{"model":"dear","a":1}'


def test_a_member_repeated_under_an_escape_is_the_same_member() -> None:
    assert read(open_envelope(b'{"model":"cheap","mod\\u0065l":"dear"}')["model"]) == "dear"


@pytest.mark.parametrize(
    "body", [b"", b'{"\xff":1}', b"[]", b"null", b'"a"', b"{", b'{"a":}', b"{}{}", b'{"a":1,}', b"{'a':1}"]
)
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        open_envelope(body)


def test_nesting_beyond_all_measure_is_refused_and_not_fatal() -> None:
    with pytest.raises(msgspec.DecodeError):
        open_envelope(b'{"a":' * 50_000)
    with pytest.raises(msgspec.DecodeError):
        read(msgspec.Raw(b"[" * 50_000 + b"]" * 50_000))


def test_a_member_that_is_absent_reads_as_none() -> None:
    assert read(None) is None


@pytest.mark.parametrize("member", [b"{nonsense", b"", b'"\xff"'])
def test_a_member_that_is_no_json_is_refused(member: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        read(msgspec.Raw(member))


@given(VALUES)
def test_what_is_written_as_a_member_is_read_again(value: object) -> None:
    try:
        member = raw(value)
    except (UnicodeEncodeError, OverflowError):
        return  # halves of characters, and integers beyond 64 bits, cannot be JSON here
    assert json.loads(bytes(member)) == value


def test_a_frame_opens_its_payload_once_and_shares_it() -> None:
    frame = Frame(b'{"a":1}', "message", "7")
    assert frame.fields is frame.fields
    assert read(frame.fields["a"]) == 1
    assert (frame.event, frame.id) == ("message", "7")


@pytest.mark.parametrize("data", [b"[DONE]", b"", b"[]", b"not json"])
def test_a_frame_that_is_no_object_is_the_upstreams_fault(data: bytes) -> None:
    with pytest.raises(UpstreamUndecodable):
        Frame(data).fields  # noqa: B018


def test_a_frame_without_a_name_has_an_empty_one() -> None:
    assert (Frame(b"x").event, Frame(b"x").id) == ("", "")
