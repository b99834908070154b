"""What the root secret signs: one key a purpose, the previous secret accepted while it is rotated."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hookway.services.root_secret import RootSecrets
from hookway_sdk import Secret

NOW = RootSecrets(Secret("current-secret"))


@given(st.text(max_size=20), st.binary(max_size=50))
def test_what_was_signed_verifies_for_its_purpose_only(purpose: str, data: bytes) -> None:
    signature = NOW.sign(purpose, data)
    assert NOW.verify(purpose, data, signature)
    assert not NOW.verify(purpose + "x", data, signature)
    assert not NOW.verify(purpose, data + b"x", signature)
    assert not NOW.verify(purpose, data, signature[:-1])
    assert not NOW.verify(purpose, data, bytes(32))
    assert not NOW.verify(purpose, data, b"")


def test_purpose_and_data_are_not_run_together() -> None:
    assert NOW.sign("ab", b"c") != NOW.sign("a", b"bc")


def test_the_same_secret_signs_the_same_after_a_restart() -> None:
    assert RootSecrets(Secret("current-secret")).sign("ids", b"1") == NOW.sign("ids", b"1")
    assert RootSecrets(Secret("another-secret")).sign("ids", b"1") != NOW.sign("ids", b"1")


def test_what_the_previous_secret_signed_still_counts_and_nothing_new_is_signed_with_it() -> None:
    rotated = RootSecrets(Secret("new-secret"), previous=Secret("current-secret"))
    assert rotated.verify("ids", b"1", NOW.sign("ids", b"1"))
    assert not NOW.verify("ids", b"1", rotated.sign("ids", b"1"))
    assert not RootSecrets(Secret("new-secret")).verify("ids", b"1", NOW.sign("ids", b"1"))


def test_the_secret_is_in_no_signature_and_no_text() -> None:
    assert b"current-secret" not in NOW.sign("ids", b"1")
    assert "current-secret" not in repr(vars(NOW))
