"""Whether a request meets the conditions of a policy: the one evaluator of their tree."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hookway_plugins.limit_rate.condition_row import Condition
from hookway_plugins.limit_rate.dimensions import DIMENSIONS, Subject
from hookway_plugins.limit_rate.patterns import compile_pattern

Test = Callable[[Subject], bool]


def compile_conditions(conditions: Sequence[Condition]) -> Test:
    """Return a test that holds where all conditions do; none at all hold always."""
    return _all([_compile(one) for one in conditions])


def _compile(condition: Condition) -> Test:
    if condition.children:
        tests = [_compile(one) for one in condition.children]
        test = _all(tests) if condition.logic == "and" else _any(tests)
        return (lambda subject: not test(subject)) if condition.negate else test
    return _leaf(condition)


def _all(tests: Sequence[Test]) -> Test:
    return lambda subject: all(test(subject) for test in tests)


def _any(tests: Sequence[Test]) -> Test:
    return lambda subject: any(test(subject) for test in tests)


def _leaf(condition: Condition) -> Test:
    """Return the test of one comparison.

    A dimension may have several words (id and name, of the target and of the group that led to it): one that
    fits is enough, and all have to differ for ``~=``. A dimension that the request lacks fits nothing, and
    negation does not change that: a policy must not reach those it says nothing of.
    """
    assert condition.dimension is not None
    names_of = DIMENSIONS[condition.dimension].names
    fits = _fits(condition)
    differ = condition.operator == "~="
    negate = condition.negate

    def test(subject: Subject) -> bool:
        names = names_of(subject)
        if not names:
            return False
        held = any(map(fits, names))
        return held == (differ == negate)

    return test


def _fits(condition: Condition) -> Callable[[str], bool]:
    """Return what says whether one word is what the condition names."""
    value = condition.value
    if not isinstance(value, str):
        return frozenset(value or ()).__contains__
    if condition.operator in ("~~", "~*"):
        return compile_pattern(value, condition.operator == "~*")
    return value.__eq__
