"""No file of the tree names a package index, a path of someone's machine, or a key."""

from __future__ import annotations

import re

import pytest
from workspace import ROOT, tree_files

# One letter of each pattern stands in a class of its own, so that this file does not hold what it looks for.
FORBIDDEN = {
    "the host of a package index": re.compile(
        r"pyp[i]\.org|pythonhoste[d]\.org|npmj[s]\.(org|com)|crate[s]\.io|golan[g]\.org|repo1?\.mave[n]|maven\.or[g]"
        r"|deb\.debia[n]\.org|debia[n]\.org/debian"
    ),
    "an absolute path of a machine": re.compile(r"(?<![\w.}])/(wor[k]|roo[t]|hom[e]|User[s])/"),
    "something that looks like a key": re.compile(
        r"\bs[k]-(proj-|ant-\w+-|live-)?[A-Za-z0-9]{20,}|\bAKI[A][0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30,}"
        r"|\bAIz[a][\w-]{30,}|\bxox[abp]-[\w-]{10,}|\bh[f]_[A-Za-z]{30,}|\bgs[k]_[A-Za-z0-9]{30,}"
        r"|PRIVATE KE[Y]-----[\\n\"'\s]*[A-Za-z0-9+/]{40}|\beyJ[\w-]{20,}\.eyJ[\w-]{20,}\.[\w-]{20,}"
    ),
}


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    found = {}
    for path in tree_files():
        data = path.read_bytes()
        if b"\0" not in data:
            found[str(path.relative_to(ROOT))] = data.decode("utf-8")
    assert "pyproject.toml" in found
    return found


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_holds(texts: dict[str, str], what: str) -> None:
    found = [
        f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]}"
        for name, text in texts.items()
        for match in FORBIDDEN[what].finditer(text)
    ]
    assert found == []


def test_each_pattern_finds_its_example() -> None:
    host, path, key = FORBIDDEN.values()
    assert host.search("https://" + "pypi" + ".org/simple")
    assert path.search("open('/" + "home/me/x')")
    assert not path.search("https://example.com/" + "work/x")
    assert key.search("sk-" + "proj-" + "a1" * 12)
    assert key.search("-----BEGIN PRIVATE " + "KEY-----\n" + "MIIEvQIB" * 8)
    assert not key.search("-----BEGIN PRIVATE KEY-----\n")
    assert not key.search("sk-test-not-a-real-key-at-all-really")


def test_no_lock_file_that_records_hosts_is_tracked(texts: dict[str, str]) -> None:
    assert [name for name in texts if re.search(r"(^|/)(uv\.lock|pylock.*\.toml|poetry\.lock)$", name)] == []
