"""What ``hookway_sdk`` promises is written down, complete, and changes only on purpose."""

from __future__ import annotations

import types

import public_names

import hookway_sdk


def test_the_public_names_are_those_that_were_recorded() -> None:
    assert public_names.current() == public_names.RECORD.read_text(), "deliberate? make public-names"


def test_every_public_name_exists_and_is_listed_once() -> None:
    names = hookway_sdk.__all__
    assert len(names) == len(set(names))
    assert [name for name in names if not hasattr(hookway_sdk, name)] == []


def test_everything_public_in_the_package_is_listed() -> None:
    modules = types.ModuleType
    public = {
        name for name, value in vars(hookway_sdk).items() if name[0] != "_" and not isinstance(value, modules)
    }
    assert public - {"annotations"} - set(hookway_sdk.__all__) == set()
