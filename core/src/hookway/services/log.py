"""The operator's log: one JSON line or one readable line per event, never a secret."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from io import TextIOBase
from typing import Any, TextIO

import msgspec

from hookway_sdk import Secret

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

_SUSPICIOUS = ("authorization", "api_key", "apikey", "token", "secret", "password", "credential", "cookie")

_encode = msgspec.json.Encoder(enc_hook=str).encode


def redacted(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields with secrets masked, however deep: by type, and by a name that says so."""
    return {name: masked(value, is_suspicious(name)) for name, value in fields.items()}


def masked(value: Any, hidden: bool) -> Any:
    """Return a value with its secrets masked; ``hidden`` masks every text in it."""
    if isinstance(value, Mapping):
        return {
            name: masked(one, hidden or (isinstance(name, str) and is_suspicious(name)))
            for name, one in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [masked(one, hidden) for one in value]
    return "***" if isinstance(value, Secret) or (hidden and isinstance(value, (str, bytes))) else value


def is_suspicious(name: str) -> bool:
    """Say whether a field of this name probably holds a secret."""
    lowered = name.lower()
    return any(word in lowered for word in _SUSPICIOUS)


def encoded(value: Any) -> str:
    """Return a value as JSON; what JSON cannot say is shown in Python's way."""
    try:
        return _encode(value).decode()
    except (TypeError, ValueError, OverflowError, RecursionError):
        if isinstance(value, dict):
            return "{" + ",".join(f"{encoded(str(name))}:{encoded(one)}" for name, one in value.items()) + "}"
        return _encode(ascii(value)).decode()


def visible(line: str) -> str:
    """Escape, as JSON may, what acts on terminals (C1 controls) or ends lines in viewers (U+0085, U+2028)."""
    if line.isprintable():
        return line
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in line)


class OperatorLog:
    """Writes lines to stderr: readable ones to a terminal, JSON elsewhere.

    Args:
        level: the lowest level that is written.
        stream: where to.
        readable: force the form; ``None`` asks the stream.
    """

    def __init__(
        self,
        level: str = "info",
        stream: TextIO | TextIOBase | None = None,
        readable: bool | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.threshold = LEVELS[level]
        self._stream = sys.stderr if stream is None else stream
        self._readable = self._stream.isatty() if readable is None else readable
        self._now = now

    def set_level(self, level: str) -> None:
        """Write lines of this level and above from now on."""
        self.threshold = LEVELS[level]

    def write(self, level: str, logger: str, event: str, fields: Mapping[str, Any]) -> None:
        """Write one line if its level is wanted; a stream that is gone is not an error."""
        if LEVELS[level] < self.threshold:
            return
        safe = redacted(fields)
        now = self._now()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"
        if self._readable:
            rendered = " ".join(f"{name}={encoded(value)}" for name, value in safe.items())
            line = f"{stamp} {level:<7} {logger}: {event} {rendered}".rstrip()
        else:
            line = encoded({"time": stamp, "level": level, "logger": logger, "event": event, **safe})
        try:
            self._stream.write(visible(line) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            self.threshold = max(LEVELS.values()) + 1


class PluginLog:
    """See :class:`hookway_sdk.Log`; one per plugin."""

    __slots__ = ("_log", "_name")

    def __init__(self, log: OperatorLog, name: str) -> None:
        self._log = log
        self._name = name

    def debug(self, event: str, **fields: Any) -> None:
        """Write at level debug."""
        self._log.write("debug", self._name, event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """Write at level info."""
        self._log.write("info", self._name, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Write at level warning."""
        self._log.write("warning", self._name, event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Write at level error."""
        self._log.write("error", self._name, event, fields)
