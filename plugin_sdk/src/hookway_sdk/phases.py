"""The phases of a request, in the order it meets them, and what each does with its steps.

This is the one list: hook names, conf.d's ``priority`` keys, ``hookway hooks`` and traces all use it.
"""

from __future__ import annotations

import enum

import msgspec


class Phase(enum.StrEnum):
    """One place in a request's way where plugins act; the value is its name everywhere."""

    AUTHENTICATE = "authenticate"
    RESOLVE = "resolve"
    AUTHORIZE = "authorize"
    ADMIT_REQUEST = "admit_request"
    INSPECT_REQUEST = "inspect_request"
    LOOKUP = "lookup"
    FILTER = "filter"
    ORDER = "order"
    ADMIT_ATTEMPT = "admit_attempt"
    JUDGE = "judge"
    INSPECT_ANSWER = "inspect_answer"
    STORE = "store"
    SETTLE = "settle"
    RECORD = "record"


class Mode(enum.StrEnum):
    """How the steps of a phase combine."""

    EACH = "each"
    """All in order; one may end the request by raising."""
    FIRST = "first"
    """In order until one answers something other than ``None``."""
    NOTIFY = "notify"
    """All in order; what one raises is counted and logged, and never reaches the client."""


class OnError(enum.StrEnum):
    """What happens when a step raises something that is not a refusal (a bug, a dead backend)."""

    CLOSED = "closed"
    """The request ends with an error; nothing unchecked goes through."""
    OPEN = "open"
    """The step is skipped, counted and traced; the request goes on."""


class PhaseRule(msgspec.Struct, frozen=True):
    """How a phase runs.

    Args:
        mode: how its steps combine.
        on_error: what a failing step means, unless conf.d says otherwise for a plugin.
        asynchronous: colour of its steps; the wrong colour is refused at start.
        empty_closes: an empty chain refuses every request (nobody authenticates, so nobody is let in).
    """

    mode: Mode
    on_error: OnError
    asynchronous: bool
    empty_closes: bool = False


RULES: dict[Phase, PhaseRule] = {
    Phase.AUTHENTICATE: PhaseRule(Mode.FIRST, OnError.CLOSED, True, empty_closes=True),
    Phase.RESOLVE: PhaseRule(Mode.FIRST, OnError.CLOSED, True),
    Phase.AUTHORIZE: PhaseRule(Mode.EACH, OnError.CLOSED, True),
    Phase.ADMIT_REQUEST: PhaseRule(Mode.EACH, OnError.CLOSED, True),
    Phase.INSPECT_REQUEST: PhaseRule(Mode.EACH, OnError.CLOSED, True),
    Phase.LOOKUP: PhaseRule(Mode.FIRST, OnError.OPEN, True),
    Phase.FILTER: PhaseRule(Mode.EACH, OnError.OPEN, True),
    Phase.ORDER: PhaseRule(Mode.FIRST, OnError.CLOSED, True),
    Phase.ADMIT_ATTEMPT: PhaseRule(Mode.EACH, OnError.CLOSED, True),
    Phase.JUDGE: PhaseRule(Mode.FIRST, OnError.OPEN, True),
    Phase.INSPECT_ANSWER: PhaseRule(Mode.EACH, OnError.CLOSED, True),
    Phase.STORE: PhaseRule(Mode.NOTIFY, OnError.OPEN, True),
    Phase.SETTLE: PhaseRule(Mode.NOTIFY, OnError.OPEN, False),
    Phase.RECORD: PhaseRule(Mode.NOTIFY, OnError.OPEN, False),
}

DEFAULT_ORDER: tuple[Phase, ...] = tuple(Phase)
"""The order in which a request meets the phases, unless its endpoint declares another."""
