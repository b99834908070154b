"""Files over defaults, variables over files, and a place for every value through all of it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookway.config.conf_d import Tree, read_tree
from hookway.config.environment import read_environment
from hookway.config.merging import Layer, merge
from hookway.config.settings import ROOT_KEYS
from hookway.config.yaml12 import parse
from hookway_sdk.problems import Place
from hookway_sdk.scalars import LooseText
from hookway_sdk.walker import place_of


class Files:
    """A conf.d directory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str) -> None:
        (self.path / name).write_text(text)

    def read(self, **environ: str) -> Tree:
        return read_tree(self.path, environ, ROOT_KEYS)

    def value(self, **environ: str) -> dict[str, Any]:
        """Return the settings without the shipped defaults."""
        tree = self.read(**environ)
        assert tree.problems == ()
        return {key: item for key, item in tree.layer.value.items() if key != "plugins"}

    def place(self, *path: str | int, **environ: str) -> str:
        found = place_of(self.read(**environ).layer.places, path)
        return str(found).removeprefix(str(self.path) + "/")

    def problems(self, **environ: str) -> list[str]:
        return [str(one).removeprefix(str(self.path) + "/") for one in self.read(**environ).problems]


@pytest.fixture
def conf_d(tmp_path: Path) -> Files:
    return Files(tmp_path)


# ── files ───────────────────────────────────────────────────────────────────────────────────


def test_without_a_directory_the_defaults_stand(tmp_path: Path) -> None:
    for directory in (None, tmp_path / "none"):
        tree = read_tree(directory, {}, ROOT_KEYS)
        assert set(tree.layer.value["plugins"]) >= {"auth_keys", "provider_openai", "store_memory"}
        assert "auth_none" not in tree.layer.value["plugins"]
        assert tree.files == ("defaults/00-hookway.yaml",)
        assert tree.layer.places[("plugins", "auth_keys")].file == "defaults/00-hookway.yaml"


def test_later_files_override_what_they_name_and_leave_the_rest(conf_d: Files) -> None:
    conf_d.write("10-a.yaml", "proxy:\n  addr: a\n  tls: {cert_file: c}\n")
    conf_d.write("20-b.yml", "proxy:\n  tls: {key_file: k}\n  head_timeout: 5\n")
    conf_d.write("30-c.json", '{"proxy": {"addr": "b"}}')
    assert conf_d.value() == {
        "proxy": {"addr": "b", "tls": {"cert_file": "c", "key_file": "k"}, "head_timeout": 5}
    }
    assert conf_d.place("proxy", "addr") == "30-c.json:1"
    assert conf_d.place("proxy", "tls", "cert_file") == "10-a.yaml:3"
    assert conf_d.place("proxy", "tls", "key_file") == "20-b.yml:2"


def test_a_list_replaces_the_list_below_it_with_its_places(conf_d: Files) -> None:
    conf_d.write("1.yaml", "a:\n- 1\n- 2\n- b: 3\n")
    conf_d.write("2.yaml", "\na: [4]\n")
    assert conf_d.value() == {"a": [4]}
    assert conf_d.place("a", 0) == "2.yaml:2"
    assert conf_d.place("a", 2, "b") == "2.yaml:2"


def test_null_is_a_value_and_a_value_replaces_a_map(conf_d: Files) -> None:
    conf_d.write("1.yaml", "a: {b: {c: 1}}\nd: {e: 1}\n")
    conf_d.write("2.yaml", "a: {b: null}\nd: 5\n")
    assert conf_d.value() == {"a": {"b": None}, "d": 5}
    assert conf_d.place("a", "b", "c") == "2.yaml:1"


def test_a_map_laid_over_by_an_alias_has_the_place_of_the_alias(conf_d: Files) -> None:
    conf_d.write("1.yaml", "x:\n  a: {b: 1}\n")
    conf_d.write("2.yaml", "y: &y\n  b: 2\nx:\n\n  a: *y\n")
    assert conf_d.value()["x"] == {"a": {"b": 2}}
    assert conf_d.place("x", "a", "b") == "2.yaml:5"


def test_hidden_files_other_endings_and_directories_are_passed_over(conf_d: Files) -> None:
    conf_d.write(".#10-a.yaml", "{")
    conf_d.write("10-a.yaml~", "{")
    conf_d.write("10-a.yaml.disabled", "{")
    (conf_d.path / "dir.yaml").mkdir()
    conf_d.write("README", "{")
    assert conf_d.value() == {}


def test_a_mounted_config_map_is_read_once(conf_d: Files) -> None:
    (conf_d.path / "..data").mkdir()
    (conf_d.path / "..data" / "10-a.yaml").write_text("a: 1")
    os.symlink("..data/10-a.yaml", conf_d.path / "10-a.yaml")
    assert conf_d.value() == {"a": 1}
    assert len(conf_d.read().files) == 2


def test_an_empty_file_changes_nothing(conf_d: Files) -> None:
    conf_d.write("1.yaml", "# plugins:\n")
    assert conf_d.value() == {}


def test_problems_of_all_files_are_collected(conf_d: Files) -> None:
    conf_d.write("1.yaml", "a: [\n")
    conf_d.write("2.yaml", "- a\n")
    conf_d.write("3.yaml", "b: 1\nb: 2\n")
    conf_d.write("4.yaml", "c: ${NONE}\n")
    os.symlink("nowhere", conf_d.path / "5.yaml")
    problems = conf_d.problems()
    assert [problem.partition(": ")[0] for problem in problems] == [
        "1.yaml:2",
        "2.yaml:1",
        "3.yaml:2",
        "4.yaml:1",
        "5.yaml",
    ]
    assert problems[1] == "2.yaml:1: the file holds no map; expected root keys such as 'plugins:'"


def test_a_directory_that_is_a_file_is_a_problem(conf_d: Files) -> None:
    conf_d.write("1.yaml", "a: 1")
    tree = read_tree(conf_d.path / "1.yaml", {}, ROOT_KEYS)
    assert "cannot be read: not a directory" in str(tree.problems[0])


def test_a_directory_that_was_named_and_is_not_there_is_a_problem(conf_d: Files) -> None:
    tree = read_tree(conf_d.path / "nowhere", {}, ROOT_KEYS)
    assert "cannot be read: no such file or directory" in str(tree.problems[0])


# ── environment ─────────────────────────────────────────────────────────────────────────────


def test_a_variable_overrides_files_and_says_so_in_its_place(conf_d: Files) -> None:
    conf_d.write("1.yaml", "proxy: {addr: a, head_timeout: 5}\n")
    environ = {"HOOKWAY_PROXY__ADDR": "b", "HOOKWAY_STATE_DIR": "/x", "hookway_upstream__retries": "3"}
    value = conf_d.value(**environ)
    assert value == {
        "proxy": {"addr": "b", "head_timeout": 5},
        "state_dir": "/x",
        "upstream": {"retries": "3"},
    }
    assert isinstance(value["upstream"]["retries"], LooseText)
    assert conf_d.place("proxy", "addr", **environ) == "environment variable HOOKWAY_PROXY__ADDR"
    assert conf_d.place("proxy", "head_timeout", **environ) == "1.yaml:1"


def test_an_empty_variable_is_not_set(conf_d: Files) -> None:
    assert conf_d.value(HOOKWAY_PROXY__ADDR="") == {}


def test_a_variable_that_spells_a_map_is_merged_into_the_map_below(conf_d: Files) -> None:
    conf_d.write("1.yaml", "proxy: {addr: a, tls: {cert_file: c}}\n")
    value = conf_d.value(HOOKWAY_PROXY='{"tls": {"key_file": "k"}}', HOOKWAY_PROXY__ADDR="b")
    assert value == {"proxy": {"addr": "b", "tls": {"cert_file": "c", "key_file": "k"}}}


def test_stray_variables_warn_with_the_nearest_and_known_ones_do_not(conf_d: Files) -> None:
    tree = conf_d.read(
        HOOKWAY_KEY="k",
        HOOKWAY_SECRET="s",
        HOOKWAY_REQUIRE="r",
        HOOKWAY_LOOP="asyncio",
        HOOKWAY_PROXI__ADDR="a",
        HOOKWAY_SECRT="s",
        HOOKWAY__PROXY="x",
        HOOKWAY_ZZZZ="x",
        HOOKWAYX="x",
        PATH="x",
    )
    assert [str(warning) for warning in tree.warnings] == [
        "environment variable HOOKWAY_PROXI__ADDR: sets nothing; did you mean 'HOOKWAY_PROXY__ADDR'?",
        "environment variable HOOKWAY_SECRT: sets nothing; did you mean 'HOOKWAY_SECRET'?",
        "environment variable HOOKWAY_ZZZZ: sets nothing",
        "environment variable HOOKWAY__PROXY: sets nothing; did you mean 'HOOKWAY_PROXY'?",
    ]


def test_what_kubernetes_injects_beside_a_service_of_our_name_is_nobodys_mistake() -> None:
    names = [
        "SERVICE_HOST",
        "SERVICE_PORT",
        "SERVICE_PORT_HTTP",
        "PORT",
        "PORT_3000_TCP",
        "PORT_3000_TCP_ADDR",
    ]
    found = read_environment({f"HOOKWAY_{name}": "tcp://10.0.0.1:3000" for name in names}, ROOT_KEYS)
    assert (found.layers, found.warnings) == ((), ())


# ── merging ─────────────────────────────────────────────────────────────────────────────────

_trees = st.recursive(
    st.none() | st.integers(0, 9) | st.lists(st.integers(0, 9), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
_maps = st.dictionaries(st.sampled_from("abc"), _trees, max_size=3)


def _layer(value: dict[str, Any], file: str) -> Layer:
    document = parse(json.dumps(value).encode(), file)
    return Layer(value, document.places)


def _leaves(value: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    if isinstance(value, dict) and value:
        return {leaf: item for key in value for leaf, item in _leaves(value[key], (*path, key)).items()}
    return {path: value}


@given(st.lists(_maps, min_size=1, max_size=4))
def test_every_value_has_the_place_of_the_last_layer_that_set_it(maps: list[dict[str, Any]]) -> None:
    layers = [_layer(value, f"{number}") for number, value in enumerate(maps)]
    merged = merge(layers)
    for path, item in _leaves(merged.value).items():
        if path and not isinstance(item, dict):
            setters = [
                n for n, value in enumerate(maps) if path in _leaves(value) and _leaves(value)[path] == item
            ]
            place = place_of(merged.places, path)
            assert place is not None
            assert int(place.file) in setters
            assert all(path not in _leaves(value) for value in maps[int(place.file) + 1 :])


@given(_maps, _maps, _maps)
def test_merging_can_be_grouped_in_any_way_and_changes_no_layer(a: Any, b: Any, c: Any) -> None:
    one, two, three = (_layer(value, name) for value, name in ((a, "a"), (b, "b"), (c, "c")))
    before = repr((a, b, c))
    left = merge([merge([one, two]), three])
    right = merge([one, two, three])
    assert left.value == right.value
    assert {path: left.places[path] for path in left.places} == dict(right.places)
    assert repr((a, b, c)) == before


def test_merging_nothing_is_nothing() -> None:
    assert merge([]) == Layer({}, {})
    assert merge([Layer({"a": 1}, {("a",): Place("x", 1)})]).places[("a",)] == Place("x", 1)
