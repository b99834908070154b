"""The state directory and the secrets that are made in it."""

from __future__ import annotations

import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hookway.config.state_dir import KEY_FILE, SECRET_FILE, StateDir, default_directory
from hookway_sdk.errors import ConfigError, StartError
from hookway_sdk.secrets import Secret


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    return StateDir(tmp_path / "deep" / "state")


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"XDG_STATE_HOME": "/s", "HOME": "/h"}, "/s/hookway"),
        ({"XDG_STATE_HOME": "", "HOME": "/h"}, "/h/.local/state/hookway"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/h"}, "/h/.local/state/hookway"),
    ],
)
def test_state_goes_where_the_xdg_specification_says(environ: dict[str, str], path: str) -> None:
    assert default_directory(environ) == Path(path)


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}, {"HOME": "x"}])
def test_without_a_home_the_way_out_is_named(environ: dict[str, str]) -> None:
    with pytest.raises(StartError, match="HOOKWAY_STATE_DIR"):
        default_directory(environ)
    with pytest.raises(StartError, match="names no home directory"):
        StateDir.open("~/x", environ)


def test_the_setting_may_begin_with_the_home_directory(tmp_path: Path) -> None:
    assert StateDir.open("~/x", {"HOME": str(tmp_path)}).path == tmp_path / "x"
    assert StateDir.open(None, {"HOME": str(tmp_path)}).path == tmp_path / ".local/state/hookway"
    assert StateDir.open(str(tmp_path / "y"), {}).path == tmp_path / "y"


def test_directories_are_made_for_the_owner_alone(state: StateDir) -> None:
    assert mode(state.path) == 0o700
    assert mode(state.directory("plugins/store_memory")) == 0o700


def test_a_directory_that_cannot_be_made_says_why_and_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        StartError, match=r"cannot be made: .*; set state_dir in conf\.d, or HOOKWAY_STATE_DIR"
    ):
        StateDir(tmp_path / "file" / "x")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StartError, match="cannot be written to"):
        StateDir(tmp_path)


def test_a_file_is_replaced_whole_and_for_the_owner_alone(state: StateDir) -> None:
    state.write("a", b"1")
    state.write("a", b"22")
    assert state.read("a", limit=10) == b"22"
    assert mode(state.path / "a") == 0o600
    assert [path.name for path in state.path.iterdir()] == ["a"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(state: StateDir) -> None:
    (state.path / "a").mkdir()
    with pytest.raises(StartError, match="cannot be written"):
        state.write("a", b"1")
    assert [path.name for path in state.path.iterdir()] == ["a"]


def test_a_file_is_created_once(state: StateDir) -> None:
    assert state.create("a", b"1") is True
    assert state.create("a", b"2") is False
    assert state.read("a", limit=10) == b"1"
    assert mode(state.path / "a") == 0o600
    assert [path.name for path in state.path.iterdir()] == ["a"]


def test_reading_is_bounded_and_a_missing_file_is_none(state: StateDir) -> None:
    assert state.read("a", limit=10) is None
    state.write("a", b"12345")
    with pytest.raises(StartError, match="is larger than 4 bytes"):
        state.read("a", limit=4)


def test_the_first_key_is_made_once_and_kept(state: StateDir) -> None:
    key = state.first_key({})
    assert re.fullmatch(r"hw-[A-Za-z0-9_-]{43}", key.reveal())
    assert state.first_key({}) == key
    assert StateDir(state.path).first_key({}) == key
    assert mode(state.path / KEY_FILE) == 0o600


def test_a_given_key_counts_and_is_not_kept(state: StateDir) -> None:
    assert state.first_key({"HOOKWAY_KEY": "sk-test"}) == Secret("sk-test")
    assert not (state.path / KEY_FILE).exists()
    assert state.first_key({"HOOKWAY_KEY": ""}).reveal().startswith("hw-")


@pytest.mark.parametrize("key", [" ", "a b", "é", "x\n", "x" * 600])
def test_a_given_key_that_cannot_travel_in_a_header_is_refused_without_being_quoted(
    state: StateDir, key: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        state.first_key({"HOOKWAY_KEY": key})
    assert str(caught.value.problems[0]) == (
        "environment variable HOOKWAY_KEY: cannot be a key; "
        "expected 1 to 512 visible ASCII characters without spaces"
    )


def test_the_root_secret_is_made_once_and_kept(state: StateDir) -> None:
    secret = state.root_secret({})
    assert len(secret.reveal()) == 64
    assert state.root_secret({}) == secret
    assert mode(state.path / SECRET_FILE) == 0o600
    assert state.root_secret({"HOOKWAY_SECRET": "s" * 32}) == Secret("s" * 32)


def test_a_short_root_secret_is_refused_without_being_quoted(state: StateDir) -> None:
    with pytest.raises(ConfigError) as caught:
        state.root_secret({"HOOKWAY_SECRET": "hunter2"})
    assert "hunter2" not in str(caught.value)
    assert "is too short (7 characters)" in str(caught.value)


def test_processes_that_start_together_agree_on_the_first_key(state: StateDir) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: StateDir(state.path).first_key({}).reveal(), range(16)))
    assert len(keys) == 1


@pytest.mark.parametrize("content", [b"", b"\n", b"a b", b"\xff\xfe", b"x\ny"])
def test_a_spoilt_secret_file_is_refused_with_the_way_out(state: StateDir, content: bytes) -> None:
    state.write(KEY_FILE, content)
    with pytest.raises(StartError, match="holds no secret; remove it, and a new one is made"):
        state.first_key({})
