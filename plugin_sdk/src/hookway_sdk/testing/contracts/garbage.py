"""Input that nobody should send and somebody will: bytes, JSON with wrong members, odd texts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

GARBAGE: tuple[bytes, ...] = (
    b"",
    b" ",
    b"\x00",
    b"\xff\xfe\x00",
    b"null",
    b"true",
    b"-1",
    b"1e400",
    b'"text"',
    b"[]",
    b"[{}]",
    b"{}",
    b"{",
    b'{"a"}',
    b'{"a":1,}',
    b'{"a":1}{"b":2}',
    b"{'a': 1}",
    b'{"\xc3\x28": 1}',
    b'{"a": "\\ud800"}',
    b'{"a": NaN}',
    b"<!doctype html><title>502 Bad Gateway</title>",
    b"upstream connect error or disconnect/reset before headers",
    b"data: {}\n\n",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    bytes(range(256)),
    b'{"error": null}',
    b'{"error": "text"}',
    b'{"error": []}',
    b'{"error": {"message": 7, "type": null, "code": {}}}',
    b'{"usage": []}',
)
"""Bytes in place of a body."""

ODD_VALUES: tuple[Any, ...] = (None, True, -7, 1.5, 2**70, 1e300, "", "odd", [], [None], {}, {"odd": [1]})
"""Values in place of a member's own."""

ODD_TEXTS: tuple[str, ...] = (
    "",
    " ",
    "\n\r\t",
    "\x00",
    "\u202eright to left\u202c",
    "e\u0301 and \u00e9",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467 family",
    "\u65e5\u672c\u8a9e",
    "\ud800",
    "\u2028\u2029\x85",
    "a" * 10_000,
    "{}[]()*+?.^$|\\",
)
"""Texts that break what counts bytes, splits lines or builds patterns."""


def damaged(body: bytes, *, values: tuple[Any, ...] = ODD_VALUES, most: int = 2_000) -> Iterator[bytes]:
    """Yield a JSON body with one member at a time replaced by an odd value, or left out.

    Args:
        most: how many to yield at most.
    """
    value = json.loads(body)
    count = 0
    for holder, key in list(_places(value)):
        original = holder[key]
        for odd in values:
            holder[key] = odd
            yield json.dumps(value).encode()
            count += 1
            if count >= most:
                return
        holder[key] = original
        if isinstance(holder, dict):
            without = {name: one for name, one in holder.items() if name != key}
            kept = dict(holder)
            holder.clear()
            holder.update(without)
            yield json.dumps(value).encode()
            holder.clear()
            holder.update(kept)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every container and key below a value."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])
