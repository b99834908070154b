"""What the last message tells the model to do: commands on lines of their own, and words to repeat."""

from __future__ import annotations

import math
import re

import msgspec

from hookway_plugins.provider_echo.wire import EchoRequest

MAX_SECONDS = 600.0
MAX_WORDS = 10_000
MAX_CHOICES = 128
"""Bounds of what a caller may ask for, so that one request cannot occupy the gateway."""


class BadCommand(ValueError):
    """A command cannot be carried out; the message says what it takes."""


class Script(msgspec.Struct):
    """The orders of one message.

    Args:
        text: the lines that are no command.
        status: status of the error to answer with, 0 for none.
        retry_after: value of the ``Retry-After`` header beside it, ``""`` for none.
        delay: seconds before the first byte.
        slow: seconds between two events of a stream.
        cut: events after which a stream breaks off, -1 for never.
        inband: status of an error inside a success, 0 for none.
        inband_after: events of a stream before that error.
        html: answer a web page.
        json: answer a JSON object.
        thought: what to think first.
        refuse: decline.
        words: how many words to say instead of repeating, 0 for repeating.
        calls: tools to call, name and arguments.
    """

    text: str = ""
    status: int = 0
    retry_after: str = ""
    delay: float = 0.0
    slow: float = 0.0
    cut: int = -1
    inband: int = 0
    inband_after: int = 0
    html: bool = False
    json: bool = False
    thought: str = ""
    refuse: bool = False
    words: int = 0
    calls: list[tuple[str, str]] = []


def read_script(request: EchoRequest) -> Script:
    """Read the last message: a user's with its commands, or a tool's result as it stands.

    Raises:
        BadCommand: a command has the wrong arguments, or something is out of bounds.
    """
    if not 1 <= request.choices <= MAX_CHOICES:
        raise BadCommand(f"1 to {MAX_CHOICES} choices can be asked for")
    script = Script(json=request.json)
    said: list[str] = []
    # After a tool was called, the command to call it still stands in the user's last message.
    spoken = [message for message in request.messages if message.role in ("user", "tool")]
    for part in spoken[-1].parts if spoken else ():
        if part.kind == "result":
            said.append(part.text)
        elif part.kind == "text":
            said += (line for line in part.text.split("\n") if not obey(line, script))
    script.text = "\n".join(said).strip("\n")
    if request.must_call and not script.calls:
        script.calls.append((request.must_call, "{}"))
    return script


def obey(line: str, script: Script) -> bool:
    """Note one command; ``False`` where the line is none, and to be repeated."""
    command, _, rest = line.strip().partition(" ")
    first, _, second = rest.strip().partition(" ")
    match command:
        case "!error":
            script.status, script.retry_after = status(command, first), second.strip()
        case "!inband":
            script.inband, script.inband_after = status(command, first), count(command, second or "0")
        case "!delay":
            script.delay = seconds(command, first)
        case "!slow":
            script.slow = seconds(command, first)
        case "!cut":
            script.cut = count(command, first)
        case "!words":
            script.words = count(command, first)
        case "!tool":
            if not first:
                raise BadCommand("!tool takes the name of a tool, and its arguments if it has any")
            script.calls.append((first, second.strip() or "{}"))
        case "!think":
            script.thought = rest.strip()
        case "!refuse":
            script.refuse = True
        case "!json":
            script.json = True
        case "!html":
            script.html = True
        case _:
            return False
    return True


def status(command: str, argument: str) -> int:
    """Read the status of an error."""
    if not re.fullmatch("[45][0-9][0-9]", argument):
        raise BadCommand(f"{command} takes a status from 400 to 599")
    return int(argument)


def seconds(command: str, argument: str) -> float:
    """Read a duration."""
    try:
        value = float(argument)
    except ValueError:
        value = math.nan
    if not 0 <= value <= MAX_SECONDS:
        raise BadCommand(f"{command} takes seconds from 0 to {MAX_SECONDS:.0f}")
    return value


def count(command: str, argument: str) -> int:
    """Read a number of words or events."""
    if not re.fullmatch("[0-9]{1,9}", argument) or int(argument) > MAX_WORDS:
        raise BadCommand(f"{command} takes a whole number from 0 to {MAX_WORDS}")
    return int(argument)
