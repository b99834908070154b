"""The walker: every mistake at once, and agreement with msgspec about what is none."""

from __future__ import annotations

import datetime
import enum
import math
import uuid
from typing import Annotated, Any, Literal, Self

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookway_sdk.durations import Milliseconds, Seconds, Size
from hookway_sdk.errors import ConfigError
from hookway_sdk.problems import Place
from hookway_sdk.scalars import LooseText, VariableText
from hookway_sdk.secrets import Secret
from hookway_sdk.settings import FromText, NoSettings, Row, Settings, also, checked
from hookway_sdk.walker import Finding, Path, as_problems, check, convert, dec_hook, place_of, schema


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Port(FromText):
    """A port with a colon in front."""

    expected = "a port such as :80"
    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    @classmethod
    def parse(cls, text: str) -> Self:
        if not text.startswith(":") or not text[1:].isdecimal():
            raise ValueError("has no port")
        return cls(int(text[1:]))


def even(value: int) -> None:
    if value % 2:
        raise ValueError("is odd")


class Inner(Settings):
    """What is inside.

    Args:
        number: how many.
    """

    number: Annotated[int, msgspec.Meta(ge=1, le=10)]
    share: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.5


class Words(Settings, tag_field="kind", tag="words"):
    words: list[Annotated[str, msgspec.Meta(min_length=1, max_length=5)]]


class Pattern(Settings, tag_field="kind", tag="pattern"):
    pattern: Annotated[str, msgspec.Meta(pattern="^[a-z]+$")]
    flags: int = 0


class Plain(Settings):
    """Only what msgspec knows, for the comparison with msgspec."""

    name: str
    on: bool = True
    level: Literal["low", "high", 3] = "low"
    colour: Colour = Colour.RED
    inner: Inner | None = None
    many: list[Inner] = msgspec.field(default_factory=list)
    pair: tuple[int, str] | None = None
    by_name: dict[str, float] = msgspec.field(default_factory=dict)
    by_colour: dict[Colour, int] = msgspec.field(default_factory=dict)
    either: Words | Pattern | None = None
    mixed: int | str | list[int] | dict[str, bool] | None = None
    stepped: Annotated[int, msgspec.Meta(multiple_of=5)] | float = 5
    spread: Annotated[tuple[int, ...], msgspec.Meta(min_length=1, max_length=3)] = (1,)
    open: Any = None
    self_like: Plain | None = None


class Rich(Settings):
    """Everything the walker knows beyond msgspec.

    Args:
        display_name: what people see (shown
            in lists).
        key: a credential.
    """

    display_name: Annotated[str, also("name")]
    key: Secret | None = None
    wait: Seconds = 1.0
    timeout_ms: Annotated[Milliseconds | None, also(timeout=1000)] = None
    bound: Annotated[Size, msgspec.Meta(le=1024)] = 1
    port: Port | None = None
    pairs: Annotated[int, checked(even)] = 2
    inners: dict[str, Inner] = msgspec.field(default_factory=dict)
    keys: list[Secret] = msgspec.field(default_factory=list)


class Certificate(Settings):
    cert: str | None = None
    key: str | None = None

    def __post_init__(self) -> None:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key go together")


class Keyed(Settings):
    key: Secret = Secret("sk-1")


class Holder(Settings):
    keyed: Keyed = Keyed()


class Server(Settings):
    tls: Certificate | None = None
    port: int = 1


def one(value: Any, type: Any) -> Finding:
    findings = check(value, type)
    assert len(findings) == 1, findings
    return findings[0]


# ── agreement with msgspec ──────────────────────────────────────────────────────────────────

_names = st.sampled_from(
    [*msgspec.structs.fields(Plain), *msgspec.structs.fields(Rich), *msgspec.structs.fields(Inner)]
).map(lambda field: field.name) | st.sampled_from(
    ["kind", "words", "pattern", "flags", "name", "timeout", "x"]
)
_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-12, 12)
    | st.integers()
    | st.floats()
    | st.sampled_from(
        ["low", "red", "green", "words", "pattern", "abc", "30s", "1KiB", ":80", "", "toolong", 2**80]
    )
    | st.text(max_size=8)
)
_data = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(_names | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


def _mostly(good: st.SearchStrategy[Any], noise: st.SearchStrategy[Any] = _data) -> st.SearchStrategy[Any]:
    """Draw what is right, and something else now and then, so that whole maps are right often enough."""
    return st.integers(0, 19).flatmap(lambda chance: noise if chance == 0 else good)


_inner = _mostly(
    st.fixed_dictionaries(
        {"number": _mostly(st.integers(1, 10), st.integers(0, 11) | _scalars)},
        optional={"share": _mostly(st.floats(0.01, 0.99), st.floats(0, 1) | _scalars)},
    )
)
_words = st.fixed_dictionaries(
    {
        "kind": _mostly(st.just("words")),
        "words": _mostly(st.lists(st.text(min_size=1, max_size=5), max_size=2)),
    }
)
_pattern = st.fixed_dictionaries(
    {"kind": _mostly(st.just("pattern")), "pattern": st.text("ab", min_size=1, max_size=3) | st.text("ab1")},
    optional={"flags": _mostly(st.integers())},
)
_plain = st.fixed_dictionaries(
    {"name": _mostly(st.text(max_size=3))},
    optional={
        "on": _mostly(st.booleans()),
        "level": _mostly(st.sampled_from(["low", "high", 3]), st.sampled_from([3.0, True, "hi"])),
        "colour": _mostly(st.sampled_from(["red", "green"]), st.sampled_from(["grean", None, 3])),
        "inner": _mostly(_inner | st.none()),
        "many": _mostly(st.lists(_inner, max_size=3)),
        "pair": _mostly(st.tuples(st.integers(), st.text(max_size=2)).map(list)),
        "by_name": _mostly(st.dictionaries(st.text(max_size=2), st.floats() | st.integers(), max_size=3)),
        "by_colour": _mostly(st.dictionaries(st.sampled_from(["red", "green"]), st.integers(), max_size=2)),
        "either": _mostly(_words | _pattern | st.none()),
        "mixed": _mostly(st.integers() | st.text(max_size=2) | st.lists(st.integers(), max_size=2)),
        "stepped": _mostly(st.sampled_from([0, 5, 2.5, 10]), st.integers() | st.floats()),
        "spread": _mostly(st.lists(st.integers(), min_size=1, max_size=3), st.lists(st.integers())),
        "open": _data,
        "self_like": st.fixed_dictionaries({"name": st.text(max_size=1)}, optional={"on": st.booleans()}),
    },
)
_rich = st.fixed_dictionaries(
    {"display_name": _mostly(st.text(max_size=2))},
    optional={
        "key": _mostly(st.text(max_size=3) | st.none()),
        "wait": _mostly(st.sampled_from(["30s", "5", 2, 2.5, "1.5m"]), st.sampled_from(["1x", -1, True])),
        "timeout_ms": _mostly(st.sampled_from(["30s", 5, None, 0]), st.sampled_from(["0.5ms", 5.5, "x"])),
        "bound": _mostly(st.sampled_from(["1KiB", 1024, "9"]), st.sampled_from(["2KiB", 1025, "1.5B"])),
        "port": _mostly(st.sampled_from([":80", None]), st.sampled_from(["80", 80])),
        "pairs": _mostly(st.sampled_from([2, 4]), st.sampled_from([3, 2.0])),
        "inners": _mostly(st.dictionaries(st.text(max_size=1), _inner, max_size=2)),
        "keys": _mostly(st.lists(st.text(max_size=2), max_size=2)),
    },
)
_rich_by_second_names = _rich.map(
    lambda value: {
        {"display_name": "name", "timeout_ms": "timeout"}.get(key, key): item for key, item in value.items()
    }
)


def _msgspec_accepts(value: Any, type: Any) -> bool:
    try:
        msgspec.convert(value, type, dec_hook=dec_hook, str_keys=True)
    except (ValueError, TypeError):
        return False
    return True


@given(_plain | _data)
def test_a_walk_finds_something_exactly_where_msgspec_refuses(value: Any) -> None:
    findings = check(value, Plain)
    assert (findings == []) == _msgspec_accepts(value, Plain), findings
    assert not any("cannot be used" in finding.message for finding in findings)


@given(_rich | _rich_by_second_names | _data)
def test_what_the_walk_found_clean_converts(value: Any) -> None:
    findings = check(value, Rich)
    if findings:
        with pytest.raises(ConfigError) as caught:
            convert(value, Rich)
        assert len(caught.value.problems) == len(findings)
        assert not any("cannot be used" in finding.message for finding in findings)
    else:
        assert isinstance(convert(value, Rich), Rich)


@given(
    _data,
    st.sampled_from([Inner, Words | Pattern, int | str, list[Plain], tuple[Rich, int], dict[str, Rich]]),
)
def test_any_type_can_be_walked(value: Any, type: Any) -> None:
    if check(value, type):
        with pytest.raises(ConfigError):
            convert(value, type)
    else:
        convert(value, type)


_VALUES: list[Any] = [None, True, False, 0, 1, 3, 5, 7, 10, 11, -1, 2**70, -(2**70), 10**400]
_VALUES += [0.0, 1.0, 1.5, 5.0, 7.5, -0.5, math.nan, math.inf, "", "a", "abc", "red", "1", "toolong"]
_VALUES += [
    [],
    [1],
    [1, 2, 3, 4],
    ["a"],
    [1, "a"],
    [None],
    {},
    {"a": 1},
    {"1": 1.5},
    {"number": 3},
    {"red": True},
]
_TYPES: list[Any] = [
    None,
    bool,
    int,
    float,
    str,
    Colour,
    Inner,
    Any,
    Annotated[int, msgspec.Meta(ge=1, le=10)],
    Annotated[int, msgspec.Meta(gt=1, lt=10)],
    Annotated[int, msgspec.Meta(multiple_of=5)],
    Annotated[float, msgspec.Meta(ge=1, le=10)],
    Annotated[float, msgspec.Meta(ge=1)],
    Annotated[float, msgspec.Meta(gt=1)],
    Annotated[float, msgspec.Meta(le=10)],
    Annotated[float, msgspec.Meta(lt=10)],
    Annotated[float, msgspec.Meta(gt=1, lt=10)],
    Annotated[float, msgspec.Meta(multiple_of=2.5)],
    Annotated[str, msgspec.Meta(min_length=1, max_length=3)],
    Annotated[str, msgspec.Meta(pattern="^a")],
    Annotated[list[int], msgspec.Meta(min_length=1, max_length=2)],
    Annotated[dict[str, int], msgspec.Meta(min_length=1)],
    Literal[1, "a", None],
    Literal["red", "abc"],
    int | None,
    int | str,
    str | float,
    int | float,
    Literal[1] | float,
    Literal["a"] | float,
    Literal["a"] | str,
    Colour | int | None,
    Annotated[int, msgspec.Meta(ge=10)] | float,
    list[Any],
    list[int | str],
    set[int],
    frozenset[str],
    tuple[int, ...],
    tuple[int, str],
    dict[str, float],
    dict[int, float],
    dict[Colour, bool],
    dict[str, Inner] | list[int],
    Inner | int | None,
    datetime.datetime,
    uuid.UUID,
    bytes,
]


@pytest.mark.parametrize("type", _TYPES, ids=str)
def test_the_walk_and_msgspec_agree_about_each_type_and_sort_of_value(type: Any) -> None:
    for value in _VALUES:
        findings = check(value, type)
        assert (findings == []) == _msgspec_accepts(value, type), (value, findings)
        assert not any("cannot be used" in finding.message for finding in findings), (value, findings)


@pytest.mark.parametrize("value", [-1, -0.5, math.nan, math.inf, True, "-1s", None, []])
def test_a_duration_is_a_finite_number_that_is_not_negative(value: Any) -> None:
    assert one(value, Seconds).expected == "a duration such as 30s, 250ms or 5m"


def test_all_mistakes_are_found_in_one_walk() -> None:
    findings = check(
        {"nam": 1, "level": "hihg", "inner": {"number": 11, "x": 1}, "many": [{"number": "a"}, {}]}, Plain
    )
    assert [finding.path for finding in findings] == [
        ("nam",),
        ("level",),
        ("inner", "number"),
        ("inner", "x"),
        ("many", 0, "number"),
        ("many", 1, "number"),
        ("name",),
    ]


# ── words ───────────────────────────────────────────────────────────────────────────────────


def test_an_unknown_key_comes_with_the_nearest_known_name() -> None:
    assert one({"name": "a", "colou": "red"}, Plain) == Finding(
        ("colou",), "unknown key 'colou'", "", "colour"
    )


def test_an_unknown_key_far_from_all_names_comes_with_the_list_of_names() -> None:
    assert one({"number": 1, "zzz": 1}, Inner) == Finding(("zzz",), "unknown key 'zzz'", "number or share")


def test_a_key_where_no_keys_are_says_so() -> None:
    assert one({"a": 1}, NoSettings).expected == "an empty map"


def test_a_second_name_counts_when_the_nearest_name_is_looked_for() -> None:
    findings = check({"naem": "a"}, Rich)
    assert findings[0].nearest == "name"


def test_a_missing_key_says_what_it_should_hold() -> None:
    assert one({}, Inner) == Finding(("number",), "the key is missing", "a whole number from 1 to 10")


def test_a_value_out_of_bounds_is_quoted_beside_the_bounds() -> None:
    found = one({"number": 70000}, Inner)
    assert (found.message, found.expected) == ("found the number 70000", "a whole number from 1 to 10")


def test_a_word_that_is_not_among_the_choices_comes_with_the_choices_and_the_nearest() -> None:
    found = one({"name": "a", "colour": "gren"}, Plain)
    assert (found.message, found.expected, found.nearest) == ("unknown value 'gren'", "red or green", "green")


def test_null_where_something_is_needed_is_called_nothing() -> None:
    assert one({"number": None}, Inner).message == "found nothing (null)"


def test_long_text_is_cut_and_line_breaks_are_escaped() -> None:
    found = one({"number": "x\n" * 500}, Inner)
    assert len(found.message) < 120
    assert "\n" not in found.message


def test_a_number_of_many_digits_can_be_reported() -> None:
    assert "inf" in one({"number": 10**5000}, Inner).message


def test_a_union_lists_all_that_it_accepts() -> None:
    assert one({"name": "a", "mixed": 1.5}, Plain).expected == (
        "a whole number or text or a list or a map or null"
    )


def test_a_union_with_one_fitting_member_reports_inside_it() -> None:
    assert one({"name": "a", "mixed": [1, "b"]}, Plain).path == ("mixed", 1)


def test_a_tagged_map_without_its_tag_asks_for_it() -> None:
    found = one({"name": "a", "either": {"words": []}}, Plain)
    assert found == Finding(("either", "kind"), "the key is missing", "words or pattern")


def test_an_unknown_tag_comes_with_the_nearest() -> None:
    assert one({"name": "a", "either": {"kind": "word"}}, Plain).nearest == "words"


def test_keys_of_a_map_are_held_to_their_type() -> None:
    found = one({"name": "a", "by_colour": {"gren": 1}}, Plain)
    assert (found.path, found.nearest) == (("by_colour", "gren"), "green")


def test_data_nested_without_end_is_refused_with_a_sentence() -> None:
    value: dict[str, Any] = {"name": "a"}
    for _ in range(3000):
        value = {"name": "a", "self_like": value}
    assert "64 levels" in one(value, Plain).message


def test_open_data_nested_without_end_is_refused_with_a_sentence() -> None:
    value: Any = 1
    for _ in range(3000):
        value = [value]
    assert "64 levels" in one({"name": "a", "open": value}, Plain).message


# ── second names, conditions, texts ─────────────────────────────────────────────────────────


def test_a_second_name_is_as_good_as_the_proper_one() -> None:
    assert convert({"name": "a"}, Rich) == convert({"display_name": "a"}, Rich)


def test_two_names_of_one_thing_are_a_mistake_that_names_both() -> None:
    found = one({"display_name": "a", "name": "a"}, Rich)
    assert found.message == "'display_name' and 'name' are two names of one thing"


def test_a_second_name_may_count_in_another_unit() -> None:
    assert convert({"name": "a", "timeout": 30}, Rich).timeout_ms == 30_000
    assert convert({"name": "a", "timeout": 0.25}, Rich).timeout_ms == 250
    assert convert({"name": "a", "timeout": "2"}, Rich).timeout_ms == 2000
    assert convert({"name": "a", "timeout": "2m"}, Rich).timeout_ms == 120_000
    assert convert({"name": "a", "timeout": LooseText("3")}, Rich).timeout_ms == 3000
    assert convert({"name": "a", "timeout_ms": 30}, Rich).timeout_ms == 30


def test_a_second_name_of_two_fields_is_refused_when_the_type_is_read() -> None:
    class Twice(Settings):
        a: Annotated[int, also("b")] = 1
        b: int = 2

    with pytest.raises(TypeError, match="'b' names two fields"):
        check({}, Twice)


def test_durations_and_sizes_become_numbers() -> None:
    rich = convert({"name": "a", "wait": "250ms", "bound": "1KiB"}, Rich)
    assert (rich.wait, rich.bound) == (0.25, 1024)


def test_a_duration_that_is_none_is_explained() -> None:
    assert one({"name": "a", "wait": "30 sec"}, Rich) == Finding(
        ("wait",),
        "'30 sec' has an unknown unit; the units are ms, s, m, h, d",
        "a duration such as 30s, 250ms or 5m",
    )


def test_a_size_over_its_bound_is_told_the_bound() -> None:
    found = one({"name": "a", "bound": "2KiB"}, Rich)
    assert (found.message, found.expected) == (
        "found the text '2KiB'",
        "a size such as 512KiB, 64MiB or 1GB, of at most 1024 bytes",
    )


def test_a_negative_duration_is_told_what_durations_are() -> None:
    assert one({"name": "a", "wait": -1}, Rich).expected == "a duration such as 30s, 250ms or 5m"


def test_text_read_into_something_else_is_read_and_its_mistakes_are_placed() -> None:
    port = convert({"name": "a", "port": ":80"}, Rich).port
    assert port is not None
    assert port.number == 80
    found = one({"name": "a", "port": "80"}, Rich)
    assert (found.path, found.message, found.expected) == (
        ("port",),
        "'80' has no port",
        "a port such as :80",
    )


def test_a_condition_on_a_field_is_reported_at_the_field() -> None:
    assert one({"name": "a", "pairs": 3}, Rich) == Finding(("pairs",), "the number 3 is odd")


def test_a_condition_is_not_asked_about_a_value_of_the_wrong_type() -> None:
    assert one({"name": "a", "pairs": "3"}, Rich).expected == "a whole number"


def test_a_condition_across_fields_is_reported_at_the_map_beside_other_mistakes() -> None:
    findings = check({"tls": {"cert": "c"}, "port": "x"}, Server)
    assert [(found.path, found.message) for found in findings] == [
        (("tls",), "cert and key go together"),
        (("port",), "found the text 'x'"),
    ]


# ── secrets and variables ───────────────────────────────────────────────────────────────────


def test_a_secret_is_wrapped() -> None:
    key = convert({"name": "a", "key": "sk-1"}, Rich).key
    assert key is not None
    assert key.reveal() == "sk-1"


@pytest.mark.parametrize(
    "value", [{"key": 48151623}, {"keys": "48151623"}, {"keys": [48151623]}, {"key": ["48151623"]}]
)
def test_no_message_holds_what_stands_in_the_place_of_a_secret(value: dict[str, Any]) -> None:
    findings = check({"name": "a", **value}, Rich)
    assert findings
    assert "48151623" not in str(as_problems(findings))


@pytest.mark.parametrize("key", ["wait", "bound", "port", "pairs", "inners"])
def test_no_message_holds_the_text_of_a_variable(key: str) -> None:
    for text in (VariableText("sk-48151623"), LooseText("sk-48151623"), LooseText("48151623.5")):
        findings = check({"name": "a", key: text}, Rich)
        if key != "wait" or not text.startswith("48"):
            assert findings
        assert "48151623" not in str(as_problems(findings))


def test_no_message_holds_what_stands_at_a_hidden_path() -> None:
    findings = check(
        {"name": "a", "inners": {"x": {"number": "sk-1"}}}, Rich, hidden={("inners", "x", "number")}
    )
    assert [found.message for found in findings] == ["found text"]
    assert "sk-1" in check({"name": "a", "inners": {"x": {"number": "sk-1"}}}, Rich)[0].message


def test_a_variable_means_what_the_type_says() -> None:
    text = LooseText("0123")
    rich = convert(
        {"name": text, "key": text, "wait": text, "inners": {"a": {"number": LooseText("3")}}}, Rich
    )
    assert (rich.display_name, rich.wait, rich.inners["a"].number) == ("0123", 123.0, 3)
    assert rich.key == Secret("0123")
    assert type(rich.display_name) is str


def test_a_variable_can_spell_a_bool_null_json_or_a_list_with_commas() -> None:
    plain = convert(
        {
            "name": "a",
            "on": LooseText("false"),
            "inner": LooseText("null"),
            "many": LooseText('[{"number": 3}]'),
            "spread": LooseText("1, 2"),
            "by_name": LooseText('{"a": 1}'),
            "open": [LooseText("1.5"), VariableText("1.5")],
        },
        Plain,
    )
    assert plain.on is False
    assert plain.inner is None
    assert plain.many == [Inner(number=3)]
    assert plain.spread == (1, 2)
    assert plain.by_name == {"a": 1.0}
    assert plain.open == [1.5, "1.5"]


def test_a_variable_of_the_right_type_and_out_of_bounds_is_told_the_bounds() -> None:
    found = one({"number": LooseText("11")}, Inner)
    assert (found.message, found.expected) == ("found a number", "a whole number from 1 to 10")


def test_a_variable_that_is_part_of_a_text_stays_text() -> None:
    assert check({"number": VariableText("3")}, Inner)
    assert not check({"number": LooseText("3")}, Inner)


# ── problems ────────────────────────────────────────────────────────────────────────────────


def test_a_problem_carries_the_place_of_its_value_or_of_what_holds_it() -> None:
    places = {(): Place("a.yaml", 1), ("many",): Place("a.yaml", 2), ("many", 0): Place("a.yaml", 3)}
    with pytest.raises(ConfigError) as caught:
        convert({"many": [{"number": "x"}]}, Plain, places=places)
    assert [str(problem) for problem in caught.value.problems] == [
        "a.yaml:3: many[0].number: found the text 'x'; expected a whole number from 1 to 10",
        "a.yaml:1: name: the key is missing; expected text",
    ]


def test_a_prefix_stands_in_front_of_each_key() -> None:
    places: dict[Path, Place] = {("plugins", "p", "numbr"): Place("b.yaml", 9)}
    with pytest.raises(ConfigError) as caught:
        convert({"numbr": 3, "number": 4}, Inner, path=("plugins", "p"), places=places)
    assert str(caught.value.problems[0]) == (
        "b.yaml:9: plugins.p.numbr: unknown key 'numbr'; did you mean 'number'?"
    )


def test_a_path_without_any_known_place_has_none() -> None:
    assert place_of({("a",): Place("x", 1)}, ("b", "c")) is None


def test_rows_refuse_unknown_keys_too() -> None:
    class Shout(Row):
        max_share: float = 0.8

    assert check({"max_shar": 1}, Shout)[0].nearest == "max_share"


# ── schemas ─────────────────────────────────────────────────────────────────────────────────


def test_a_schema_tells_secrets_units_second_names_and_what_docstrings_say() -> None:
    written = schema(Rich)
    assert written["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert written["$ref"] == "#/$defs/Rich"
    rich = written["$defs"]["Rich"]
    assert rich["description"] == "Everything the walker knows beyond msgspec."
    properties = rich["properties"]
    assert properties["display_name"]["description"] == "what people see (shown in lists)."
    assert properties["name"]["description"] == "another name of display_name"
    assert properties["key"]["anyOf"][0] == {"type": "string", "writeOnly": True}
    assert properties["wait"]["type"] == ["number", "string"]
    assert properties["bound"]["maximum"] == 1024
    assert properties["timeout"]["anyOf"][0]["type"] == ["number", "string"]
    assert "required" not in rich
    assert {"anyOf": [{"required": ["display_name"]}, {"required": ["name"]}]} in rich["allOf"]
    assert rich["additionalProperties"] is False


def test_a_schema_holds_every_nested_struct_once_and_may_refer_to_itself() -> None:
    written = schema(Plain)
    assert set(written["$defs"]) == {"Plain", "Inner", "Words", "Pattern"}
    plain = written["$defs"]["Plain"]["properties"]
    assert {"$ref": "#/$defs/Plain"} in plain["self_like"]["anyOf"]
    assert plain["colour"] == {"enum": ["red", "green"], "default": "red"}
    assert plain["by_colour"]["propertyNames"] == {"enum": ["red", "green"]}
    assert plain["spread"]["minItems"] == 1
    assert plain["open"] == {"default": None}
    words = written["$defs"]["Words"]
    assert words["properties"]["kind"] == {"const": "words"}
    assert words["required"] == ["kind", "words"]


def test_two_structs_of_one_name_have_two_definitions() -> None:
    def make(default: int) -> Any:
        class Same(Settings):
            x: int = default

        return Same

    written = schema(tuple[make(1), make(2)])  # type: ignore[misc]  # made for this test
    assert [item["$ref"] for item in written["prefixItems"]] == ["#/$defs/Same", "#/$defs/Same2"]
    assert written["$defs"]["Same2"]["properties"]["x"]["default"] == 2


def test_the_default_of_a_secret_is_in_no_schema() -> None:
    written = schema(Holder)
    assert "sk-1" not in str(written)
    assert "default" not in written["$defs"]["Keyed"]["properties"]["key"]
