"""Weather for a provider: which of its models are sick at each moment, and how.

A :class:`Weather` decides for every request whether the model that it names is well, and remembers since when
which models were, so that a test can say afterwards whether a request could have been served all the while.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from openai_wire import chunk, completion, frame, refusal
from scripted_provider import Provider

from hookway_sdk import Usage
from hookway_sdk.testing.scripted_upstream import (
    Action,
    Cut,
    Malformed,
    RecordedRequest,
    Reply,
    Stall,
    json_reply,
    sse_reply,
)

TARGETS = ("a", "b", "c")
"""Names of the models at the provider; the rows of the tests have the same."""


class Asked(NamedTuple):
    """One request, as the provider reads it.

    Args:
        target: the model that it names.
        number: which question it is.
        streamed: it asks for a stream.
    """

    target: str
    number: int
    streamed: bool


Sickness = Callable[[Asked], Action]


def pieces(target: str, number: int) -> list[str]:
    """Return what a model answers to a question, in the pieces in which it streams; no two are the same."""
    words = [f"word{place} " for place in range(3 + number % 5)]
    return [f"{target} answers {number}: ", *words, "over."]


def usage_of(number: int) -> Usage:
    """Return what an answer uses; of few questions it is the same."""
    return Usage(input_tokens=5 + number % 17, output_tokens=3 + number % 23)


def counts_of(number: int) -> dict[str, int]:
    """Return the same as the wire says it."""
    usage = usage_of(number)
    told = {"prompt_tokens": usage.input_tokens, "completion_tokens": usage.output_tokens}
    return {**told, "total_tokens": usage.total_tokens}


# ── what models answer ──────────────────────────────────────────────────────────────────────


def whole(asked: Asked) -> Reply:
    """Return an answer in one piece."""
    text = "".join(pieces(asked.target, asked.number))
    return json_reply(completion(text, usage=counts_of(asked.number)))


def streamed(asked: Asked) -> Reply:
    """Return an answer as a stream."""
    frames = [
        chunk({"role": "assistant", "content": ""}, usage=None),
        *(chunk({"content": text}, usage=None) for text in pieces(asked.target, asked.number)),
        chunk({}, "stop", usage=None),
        chunk(None, usage=counts_of(asked.number)),
    ]
    return sse_reply(frames)


def well(asked: Asked) -> Reply:
    """Return the answer of a model that is well."""
    return streamed(asked) if asked.streamed else whole(asked)


def refuses(status: int, message: str = "not now", **headers: str) -> Sickness:
    """Return the sickness of refusing; header names are written with underscores."""
    lines = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return lambda asked: refusal(status, message, headers=lines)


def cut_before_first_frame(asked: Asked) -> Action:
    """Send a head, and nothing after it."""
    return Cut(well(asked), 0)


def cut_in_first_frame(asked: Asked) -> Action:
    """Send a head and the beginning of a body; of a stream, not one whole frame."""
    return Cut(well(asked), 20)


def cut_later(asked: Asked) -> Action:
    """Break off in the middle of a body, of a stream after its third frame."""
    reply = well(asked)
    sent = [one for one in reply.pieces if isinstance(one, bytes)]
    return Cut(reply, sum(map(len, sent[:3])) + 10 if asked.streamed else len(sent[0]) // 2)


def error_inside(asked: Asked) -> Action:
    """Send an error in the place of an answer, under a status of success."""
    error = {"error": {"message": "gone", "type": "server_error"}}
    return sse_reply([frame(error)]) if asked.streamed else json_reply(error)


def garbage(asked: Asked) -> Action:
    """Send what is no answer: a page, an event that is no JSON, or no HTTP at all."""
    page = Reply(200, [("content-type", "text/html")], b"<html>welcome</html>")
    noise = Malformed(b"\x15\x03\x01\x00\x02\x02\x46 what is this\r\n\r\n")
    event = sse_reply([b"data: <html>\n\n"]) if asked.streamed else json_reply({"id": "x"})
    return (page, noise, event)[asked.number % 3]


def stalls(asked: Asked) -> Action:
    """Never answer; begin a stream, at most, with its head and a comment."""
    if asked.streamed and asked.number % 2:
        return Stall(sse_reply([b": wait\n\n", b"data: never\n\n"]), after_bytes=8)
    return Stall()


SICKNESSES: dict[str, Sickness] = {
    "429": refuses(429, "slow down"),
    "429 with Retry-After": refuses(429, "slow down", retry_after="20"),
    "500": refuses(500),
    "503": refuses(503, retry_after="1"),
    "401": refuses(401, "incorrect API key"),
    "404": refuses(404, "no such deployment"),
    # After its first bytes: a connection that breaks before them may have been closed while it was idle, and
    # the request is sent again on another.
    "reset": lambda asked: Cut(well(asked), head_bytes=12, reset=True),
    "cut before the first frame": cut_before_first_frame,
    "cut in the first frame": cut_in_first_frame,
    "error inside": error_inside,
    "garbage": garbage,
    "stall": stalls,
}
"""What may befall a model before anything of its answer could reach a caller."""


# ── who is sick when ────────────────────────────────────────────────────────────────────────


class Turn(NamedTuple):
    """Weather that changes (see :meth:`Weather.turn`)."""

    every: int
    sick: Sequence[Sequence[str]]
    how: Sequence[Sickness]


class Weather:
    """Who is sick, and since when.

    Args:
        chance: chooses among sicknesses.

    Attributes:
        answered: how many requests each model got, and how many of them it was well for.
    """

    def __init__(self, chance: int = 0) -> None:
        self._chance = random.Random(chance)
        self._sick: dict[str, Sequence[Sickness]] = {}
        self._wells: list[tuple[float, frozenset[str]]] = []
        self._turn: Turn | None = None
        self.answered: Counter[tuple[str, bool]] = Counter()
        self.fine()

    def fine(self) -> None:
        """Make every model well, for good."""
        self._turn = None
        self.fall_sick()

    def fall_sick(self, **how: str | Sickness | Sequence[str]) -> None:
        """Make models sick, and the others well.

        Args:
            how: by model: a word of :data:`SICKNESSES`, several (each request meets one), or one of its own.
        """
        self._sick = {target: sicknesses(said) for target, said in how.items()}
        self._note()

    def turn(self, every: int, *sick: Sequence[str], how: Sequence[str]) -> None:
        """Make other models sick after each so many answers.

        Args:
            every: answers, of all models together.
            sick: the models that are sick at a time; after the last come the first again.
            how: words of :data:`SICKNESSES`; each request meets one.
        """
        self._turn = Turn(every, sick, sicknesses(how))
        self._show(self._turn, 0)

    def answer(self, asked: Asked) -> Action:
        """Return what a model answers now."""
        done = self.answered.total()
        turn = self._turn
        if turn is not None and done and done % turn.every == 0:
            self._show(turn, done // turn.every)
        ill = self._sick.get(asked.target)
        self.answered[asked.target, ill is None] += 1
        return self._chance.choice(ill)(asked) if ill is not None else well(asked)

    def could_serve(self, began: float, ended: float) -> bool:
        """Say whether one and the same model was well all the while.

        Args:
            began: monotonic seconds.
            ended: monotonic seconds.
        """
        until = [at for at, _ in self._wells[1:]] + [float("inf")]
        seen = [
            wells
            for (since, wells), over in zip(self._wells, until, strict=True)
            if since <= ended and over > began
        ]
        return bool(frozenset.intersection(*seen))

    def _note(self) -> None:
        self._wells.append((time.monotonic(), frozenset(one for one in TARGETS if one not in self._sick)))

    def _show(self, turn: Turn, place: int) -> None:
        sick = turn.sick[place % len(turn.sick)]
        self._sick = dict.fromkeys(sick, turn.how)
        self._note()


def sicknesses(said: str | Sickness | Collection[str]) -> Sequence[Sickness]:
    """Return sicknesses by their words."""
    if isinstance(said, str):
        return (SICKNESSES[said],)
    if callable(said):
        return (said,)
    return [SICKNESSES[word] for word in said]


class WeatherProvider(Provider):
    """A provider whose models have weather.

    Attributes:
        weather: decides what they answer; a test brings its own.
    """

    def __init__(self) -> None:
        self.weather = Weather()
        super().__init__()

    def _choose(self, request: RecordedRequest) -> Action:
        body: dict[str, Any] = request.json()
        number = int(body["messages"][-1]["content"].rpartition(" ")[2])
        return self.weather.answer(Asked(body["model"], number, bool(body.get("stream"))))
