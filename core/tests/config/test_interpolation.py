"""Variables in the string values of a document."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookway.config.documents import DocumentReader
from hookway.config.interpolation import Interpolated, interpolate
from hookway.config.yaml12 import parse
from hookway_sdk.errors import ConfigError
from hookway_sdk.scalars import LooseText, VariableText
from hookway_sdk.services import Document

ENVIRON = {"HOST": "example.org", "PORT": "8080", "EMPTY": "", "DOLLAR": "${HOST}", "_x1": "u"}


def fill(text: str, **options: Any) -> Interpolated:
    return interpolate(parse(text.encode(), "a.yaml"), ENVIRON, **options)


@pytest.mark.parametrize(
    ("written", "result"),
    [
        ("${HOST}", "example.org"),
        ("http://${HOST}:${PORT}/", "http://example.org:8080/"),
        ("${_x1}", "u"),
        ("${NONE:-text}", "text"),
        ("${EMPTY:-text}", "text"),
        ("${HOST:-text}", "example.org"),
        ("${NONE:-}", ""),
        ("${NONE:-a:-b c}", "a:-b c"),
        ("$HOST", "$HOST"),
        ("a $ b", "a $ b"),
        ("$$", "$"),
        ("$${HOST}", "${HOST}"),
        ("$$${HOST}", "$example.org"),
        ("$$$", "$$"),
        ("cost: 5$", "cost: 5$"),
        ("{HOST}", "{HOST}"),
        ("${DOLLAR}", "${HOST}"),
    ],
)
def test_a_variable_is_put_in_and_a_dollar_alone_stays(written: str, result: str) -> None:
    filled = fill(f"a: '{written}'")
    assert filled.problems == ()
    assert filled.value == {"a": result}


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("${NONE}", "the variable NONE is not set; expected a value, or ${NONE:-default}"),
        ("${EMPTY}", "the variable EMPTY is empty; expected a value, or ${EMPTY:-default}"),
        ("x${", "'${' without '}'; expected ${NAME}, or $${ for the characters themselves"),
        ("${HOST", "'${' without '}'; expected ${NAME}, or $${ for the characters themselves"),
        ("${}", "'${}' does not name a variable; expected ${NAME}, or $${} for the text itself"),
        ("${1X}", "'${1X}' does not name a variable; expected ${NAME}, or $${1X} for the text itself"),
        (
            "${request.id}",
            "'${request.id}' does not name a variable; "
            "expected ${NAME}, or $${request.id} for the text itself",
        ),
        ("${A:-${B}}", "the default of ${A} holds a variable; expected plain text"),
    ],
)
def test_what_names_no_variable_is_a_problem_with_its_place(written: str, problem: str) -> None:
    filled = fill(f"x: 1\na:\n  - '{written}'\n")
    assert [str(one) for one in filled.problems] == [f"a.yaml:3: a[0]: {problem}"]


def test_all_problems_of_all_values_come_together() -> None:
    filled = fill("a: ${A} and ${B}\nb: {c: '${C}'}\n")
    assert [(one.key, one.place.line) for one in filled.problems if one.place] == [
        ("a", 1),
        ("a", 1),
        ("b.c", 2),
    ]


def test_keys_are_never_changed() -> None:
    assert fill("${HOST}: ${HOST}").value == {"${HOST}": "example.org"}


def test_a_value_that_is_wholly_a_variable_is_loose_and_others_are_text() -> None:
    value = fill("a: ${PORT}\nb: x${PORT}\nc: '${PORT}'\nd: ${NONE:-5}\ne: $$\nf: plain").value
    assert {key: type(item) for key, item in value.items()} == {
        "a": LooseText,
        "b": VariableText,
        "c": LooseText,
        "d": LooseText,
        "e": str,
        "f": str,
    }
    assert value["a"].meaning() == 8080


def test_in_resources_every_result_is_text_and_hidden() -> None:
    filled = fill("a: ${PORT}\nb: [x, 'y${PORT}']\nc: 5", texts_only=True)
    assert filled.value == {"a": "8080", "b": ["x", "y8080"], "c": 5}
    # Text that hides itself: no message quotes what a variable holds.
    assert type(filled.value["a"]) is VariableText
    assert filled.hidden == {("a",), ("b", 1)}


def _by_hand(text: str) -> str | None:
    """Fill a text with A=1 one character after the other; None where there is a problem."""
    done = ""
    while text:
        if text.startswith("$$"):
            done, text = done + "$", text[2:]
        elif text.startswith("${"):
            inside, end, text = text[2:].partition("}")
            name, has_default, default = inside.partition(":-")
            if not end or not name or not set(name) <= {"A", "B"} or "${" in default:
                return None
            if name != "A" and not has_default:
                return None
            done += "1" if name == "A" else default
        else:
            done, text = done + text[0], text[1:]
    return done


@given(
    st.lists(st.sampled_from(["${", "}", "$", "A", "B", ":-", "{", "${A}", "${B:-x}"]), max_size=8).map(
        "".join
    )
)
def test_any_text_is_filled_or_a_problem(text: str) -> None:
    filled = interpolate(Document(text, {}), {"A": "1"})
    expected = _by_hand(text)
    if expected is None:
        assert filled.problems
    else:
        assert (filled.value, filled.problems) == (expected, ())


@given(st.text(max_size=20))
def test_doubled_dollars_give_the_text_itself(text: str) -> None:
    filled = interpolate(Document(text.replace("$", "$$"), {}), {})
    assert filled == Interpolated(text, frozenset(), ())


def test_plugins_read_documents_with_variables_as_text() -> None:
    reader = DocumentReader(ENVIRON)
    document = reader.parse(b"a: ${PORT}\n", file="r.yaml", interpolate=True)
    assert document.value == {"a": "8080"}
    assert document.places[("a",)].line == 1
    assert reader.parse(b"a: ${PORT}\n", file="r.yaml").value == {"a": "${PORT}"}
    with pytest.raises(ConfigError, match=r"r\.yaml:1: a: the variable NONE is not set"):
        reader.parse(b"a: ${NONE}\n", file="r.yaml", interpolate=True)
