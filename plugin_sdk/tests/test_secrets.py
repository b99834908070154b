"""A secret gives itself away in one way only."""

from __future__ import annotations

import copy
import hashlib
import pickle

from hookway_sdk import Secret


def test_no_way_of_printing_shows_it() -> None:
    secret = Secret("hush-hush")
    shown = f"{secret} {secret!r} {secret!s} {[secret]} {{'a': {secret!r}}}"
    assert "hush" not in shown
    assert repr(secret) == "***"


def test_it_has_no_attribute_dictionary_to_dump() -> None:
    assert not hasattr(Secret("a"), "__dict__")


def test_reveal_gives_the_text() -> None:
    assert Secret("hush").reveal() == "hush"


def test_its_hash_is_the_sha256_of_its_text() -> None:
    assert Secret("hush").sha256() == hashlib.sha256(b"hush").hexdigest()


def test_equal_texts_are_equal_secrets() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


def test_an_empty_secret_is_false() -> None:
    assert not Secret("")
    assert Secret(" ")


def test_it_can_be_copied_and_sent_to_a_worker() -> None:
    secret = Secret("hush")
    assert pickle.loads(pickle.dumps(secret)) == copy.deepcopy(secret) == secret
