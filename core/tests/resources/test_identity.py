"""Ids of rows: the field's own, so that they survive a move."""

from __future__ import annotations

import uuid

import pytest

from hookway.resources.identity import NAMESPACE, row_id


def test_the_namespace_is_the_fields_own() -> None:
    # contracts/aisix-ops.md 2.1.
    source = uuid.uuid5(uuid.NAMESPACE_URL, "https://github.com/api7/aisix#resources-file")
    assert source == NAMESPACE


def test_the_check_value_holds() -> None:
    assert row_id("models", "gpt-4o") == "6efd592d-a73b-573d-8e2c-e9e103692f92"


@pytest.mark.parametrize("other", [("models", "gpt-4O"), ("api_keys", "gpt-4o"), ("models", "gpt-4o ")])
def test_another_collection_or_name_has_another_id(other: tuple[str, str]) -> None:
    assert row_id(*other) != row_id("models", "gpt-4o")


def test_names_in_any_script_have_ids() -> None:
    assert uuid.UUID(row_id("models", "größe/模型")).version == 5
