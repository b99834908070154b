"""The pins hold all that the packages declare, with hashes, and the two sets agree."""

from __future__ import annotations

import re

import pytest
from packaging.requirements import Requirement
from workspace import ROOT, is_ours, members, requirement_name

PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)


def pins(name: str) -> dict[str, str]:
    text = (ROOT / "requirements" / name).read_text()
    assert text.count("==") <= text.count("--hash=sha256:"), f"{name} has a pin without a hash"
    return {requirement_name(match[1]): match[2] for match in PIN.finditer(text)}


@pytest.mark.parametrize("file", ["runtime.txt", "dev.txt"])
def test_every_declared_dependency_is_pinned_at_a_version_that_it_accepts(file: str) -> None:
    pinned = pins(file)
    lines = [line for member in members() for line in member.dependencies]
    if file == "dev.txt":
        lines += [line for member in members() for line in member.test_dependencies]
    wanted = [Requirement(line) for line in lines if not is_ours(line)]
    assert wanted
    missing = [str(line) for line in wanted if requirement_name(line.name) not in pinned]
    refused = [
        f"{line} but pinned at {pinned[requirement_name(line.name)]}"
        for line in wanted
        if str(line) not in missing and not line.specifier.contains(pinned[requirement_name(line.name)])
    ]
    assert missing + refused == [], "make pins"


def test_developers_run_the_versions_that_users_run() -> None:
    dev = pins("dev.txt")
    assert {name: version for name, version in pins("runtime.txt").items() if dev.get(name) != version} == {}
