"""Reading one document: YAML 1.2's types, places, bounds and refusals."""

from __future__ import annotations

import json
import math
import pathlib
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hookway.config import yaml12
from hookway.config.yaml12 import load, parse
from hookway_sdk.errors import ConfigError
from hookway_sdk.problems import Place, Problem
from hookway_sdk.services import Document


def read(text: str, **options: Any) -> Document:
    return parse(text.encode(), "a.yaml", **options)


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text)
    return [str(problem) for problem in caught.value.problems]


@pytest.fixture(params=["CSafeLoader", "SafeLoader"])
def _both_loaders(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    loader = getattr(yaml, request.param, None)
    if loader is None:
        pytest.skip("PyYAML was built without libyaml")
    monkeypatch.setattr(yaml12, "_LOADER", loader)


both_loaders = pytest.mark.usefixtures("_both_loaders")


# ── types ───────────────────────────────────────────────────────────────────────────────────


@both_loaders
@pytest.mark.parametrize(
    ("written", "value"),
    [
        *(
            (word, word)
            for word in ("yes", "no", "on", "off", "y", "n", "Yes", "12:30", "1_000", "2026-01-31")
        ),
        *((word, None) for word in ("", "~", "null", "Null", "NULL")),
        *((word, True) for word in ("true", "True", "TRUE")),
        *((word, False) for word in ("false", "False", "FALSE")),
        ("12", 12),
        ("-12", -12),
        ("+12", 12),
        ("007", 7),
        ("0o17", 15),
        ("017", 17),
        ("0x1F", 31),
        ("-0x1F", "-0x1F"),
        ("0b1", "0b1"),
        ("1.5", 1.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("-1.5E-2", -0.015),
        ("1e", "1e"),
        (".", "."),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("'12'", "12"),
        ('"true"', "true"),
        ("nUll", "nUll"),
        ("=", "="),
        ("tRue", "tRue"),
    ],
)
def test_plain_scalars_mean_what_the_core_schema_of_yaml_1_2_says(written: str, value: Any) -> None:
    found = read(f"a: {written}").value["a"]
    assert found == value
    assert type(found) is type(value)


def test_not_a_number_is_a_number() -> None:
    assert math.isnan(read("a: .nan").value["a"])


@both_loaders
def test_block_text_keeps_its_lines_and_is_never_a_number() -> None:
    assert read("a: |\n  1\n  2\nb: >\n  3\n").value == {"a": "1\n2\n", "b": "3\n"}


@pytest.mark.parametrize("text", ["", "# nothing\n", "\ufeff"])
def test_an_empty_file_is_nothing(text: str) -> None:
    assert read(text) == Document(None, {(): Place("a.yaml", 1)})


@pytest.mark.parametrize("word", ["9" * 400, "1e999", "-1e999"])
def test_a_number_out_of_all_proportion_is_a_problem_with_its_line(word: str) -> None:
    (problem,) = problems(f"a: 1\nb: {word}")
    assert problem.startswith("a.yaml:2: b: ")
    assert len(problem) < 200


# ── places ──────────────────────────────────────────────────────────────────────────────────


@both_loaders
def test_every_key_and_item_has_its_line() -> None:
    text = "# head\na:\n  b: 1\n  c:\n    - x\n    - y: 2\n\nd: {e: 3,\n  f: 4}\n"
    lines = {path: place.line for path, place in read(text).places.items()}
    assert lines == {
        (): 2,
        ("a",): 2,
        ("a", "b"): 3,
        ("a", "c"): 4,
        ("a", "c", 0): 5,
        ("a", "c", 1): 6,
        ("a", "c", 1, "y"): 6,
        ("d",): 8,
        ("d", "e"): 8,
        ("d", "f"): 9,
    }


def test_json_has_lines_too() -> None:
    document = read('\n{"a":\n [1,\n  {"b\\n": "x"}],\n\t"c": {}}')
    assert document.value == {"a": [1, {"b\n": "x"}], "c": {}}
    assert {path: place.line for path, place in document.places.items()} == {
        (): 2,
        ("a",): 2,
        ("a", 0): 3,
        ("a", 1): 4,
        ("a", 1, "b\n"): 4,
        ("c",): 5,
    }


def test_json_that_yaml_scanners_refuse_is_read() -> None:
    key = "k" * 2000
    value = {key: "😀\x7f", "a\tb": "/"}
    assert read(json.dumps(value).replace("/", "\\/") + "\n\t").value == value


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(
    _json.filter(lambda value: isinstance(value, dict | list)),
    st.sampled_from([None, 1, "\t"]),
    st.booleans(),
)
def test_any_json_document_is_read_as_itself(value: Any, indent: Any, ascii: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii)
    if "Infinity" in text:
        return
    assert read(text).value == value


@given(_json)
def test_what_pyyaml_writes_is_read_as_itself_where_both_versions_of_yaml_agree(value: Any) -> None:
    text = yaml.safe_dump(value, default_style='"', allow_unicode=True)
    if "!!" in text:  # numbers, bools and null carry a tag when everything is quoted
        assert "tag" in problems(text)[0]
    else:
        assert read(text).value == value


# ── refusals ────────────────────────────────────────────────────────────────────────────────


@both_loaders
def test_all_refusals_of_a_document_come_together_each_with_its_line() -> None:
    text = (
        "a: 1\na: 2\nb: !secret x\n1: x\ntrue: x\n<<: {c: 1}\n? [k]\n: v\n~: nothing\n"
        "*nobody : 1\nd: *nobody\ne:\n  - f: 1\n    f: 2\n"
    )
    assert problems(text) == [
        "a.yaml:2: a: duplicate key; it stands in line 1 already",
        "a.yaml:3: b: the tag '!secret' is not supported; expected a plain value",
        "a.yaml:4: the key 1 is not text; expected '1' in quotes",
        "a.yaml:5: the key true is not text; expected 'true' in quotes",
        "a.yaml:6: merge keys (<<) are not supported; expected the keys written out",
        "a.yaml:7: a map or list cannot be a key; expected text",
        "a.yaml:9: the key ~ is not text; expected '~' in quotes",
        "a.yaml:10: an alias cannot be a key; expected text",
        "a.yaml:11: d: the alias '*nobody' has no anchor before it",
        "a.yaml:14: e[0].f: duplicate key; it stands in line 13 already",
    ]


def test_a_quoted_merge_key_is_a_key() -> None:
    assert read('"<<": 1').value == {"<<": 1}


@both_loaders
def test_a_second_document_is_refused() -> None:
    assert problems("a: 1\n---\nb: 2\n") == ["a.yaml:2: a second document begins here; a file holds one"]


@both_loaders
@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\n  b: 2\n", 2, "indentation"),
        ("a:\n\tb: 1\n", 2, "tabs"),
        ("a: [1, 2\nb: 3\n", 2, "is no YAML"),
        ('a: "open\n\n', 3, "is no YAML"),
        ("a: @x\n", 1, "begins nothing"),
        ("a: 1\n- b\n", 2, "is no YAML"),
        ('a: "\\UFFFFFFFF"', 1, "is no YAML"),
        ("%YAML 2.0\n---\na: 1", 1, "is no YAML"),
    ],
)
def test_a_syntax_error_is_a_problem_with_a_line(text: str, line: int, words: str) -> None:
    (problem,) = problems(text)
    if "UFFFFFFFF" not in text:  # the pure scanner fails without a place there
        assert problem.startswith(f"a.yaml:{line}: ")
    assert words in problem


def test_what_is_no_text_is_refused_with_its_line() -> None:
    assert problems("a: 1\nb: \x00") == ["a.yaml:2: holds the control character U+0000"]
    with pytest.raises(ConfigError, match=r"b\.yaml:2: is not UTF-8 text"):
        parse(b"a: 1\nb: \xff", "b.yaml")


# ── bounds ──────────────────────────────────────────────────────────────────────────────────


def test_aliases_share_and_have_the_place_of_the_alias() -> None:
    document = read("a: &x {b: 1}\nc: *x\n")
    assert document.value == {"a": {"b": 1}, "c": {"b": 1}}
    assert document.places[("c",)].line == 2
    assert ("c", "b") not in document.places


@both_loaders
def test_a_billion_laughs_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    (problem,) = problems("\n".join(lines))
    assert "the aliases stand for more than 100000 values" in problem


@both_loaders
def test_an_alias_of_what_holds_it_is_refused() -> None:
    assert problems("a: &x [1, *x]") == ["a.yaml:1: a[1]: the alias '*x' stands for what it is a part of"]


@both_loaders
@pytest.mark.parametrize("text", ["[" * 5000, '{"a":' * 5000, "- " * 5000, "[" * 5000 + "]" * 5000])
def test_endless_nesting_is_refused(text: str) -> None:
    (problem,) = problems(text)
    assert "nested more than 64 levels deep" in problem


def test_a_document_over_its_limit_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"a\.yaml: is larger than 4 bytes"):
        read("a: 12", limit=4)
    assert read("a: 1", limit=4).value == {"a": 1}


def test_a_file_is_read_no_further_than_its_limit() -> None:
    with pytest.raises(ConfigError, match="is larger than 1000 bytes"):
        load(pathlib.Path("/dev/zero"), limit=1000)


def test_a_file_that_cannot_be_read_says_why(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read: No such file"):
        load(tmp_path / "none.yaml")


def test_a_file_is_named_in_the_places(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("a: 1")
    assert load(file).places[("a",)] == Place(str(file), 1)


# ── nothing else ever escapes ───────────────────────────────────────────────────────────────

_pieces = (
    "a|b|: |- |\n|  |[|]|{|}|,|&x |*x|!t |'|\"|>|#|---\n|...\n|? |<<|~|1|.5|\t|%|@|\\|\r|\x85|é|\ufeff|0x"
)
_yamlish = st.lists(st.sampled_from([*_pieces.split("|"), "|\n"]), max_size=40).map("".join)


@both_loaders
@given(_yamlish | st.text(max_size=60))
def test_reading_any_text_gives_plain_data_or_problems(text: str) -> None:
    _assert_plain_or_problems(text.encode("utf-8", "surrogatepass"))


@given(st.binary(max_size=60))
def test_reading_any_bytes_gives_plain_data_or_problems(data: bytes) -> None:
    _assert_plain_or_problems(data)


def _assert_plain_or_problems(data: bytes) -> None:
    problems: tuple[Problem, ...] | None = None
    document = Document(None, {})
    try:
        document = parse(data, "a.yaml")
    except ConfigError as error:
        problems = error.problems
    if problems is None:
        _assert_plain(document.value)
    else:
        assert problems
        assert all(problem.place for problem in problems)


def _assert_plain(value: Any) -> None:
    assert value is None or type(value) in (bool, int, float, str, dict, list)
    if isinstance(value, dict):
        assert all(type(key) is str for key in value)
        for item in value.values():
            _assert_plain(item)
    elif isinstance(value, list):
        for item in value:
            _assert_plain(item)
