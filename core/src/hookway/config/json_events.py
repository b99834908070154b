"""JSON as a stream of YAML events with lines, for documents that YAML's own scanner cannot read.

JSON is meant to be YAML, but the scanners at hand refuse surrogate pairs, tabs between tokens, long
keys and DEL. So a document that is valid JSON is told apart first and tokenized here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
import yaml

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]\n]|[^\s{}\[\],:"]+')
_OPENING = {"{": yaml.MappingStartEvent, "[": yaml.SequenceStartEvent}
_CLOSING = {"}": yaml.MappingEndEvent, "]": yaml.SequenceEndEvent}
_decode_text = msgspec.json.Decoder(str).decode


def is_json(text: str) -> bool:
    """Tell whether text is one JSON object or array."""
    if text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return False
    return True


def json_events(text: str) -> Iterator[yaml.Event]:
    """Yield the events of a document for which :func:`is_json` holds, from its first node on."""
    line = 0
    for found in _TOKEN.finditer(text):
        token = found[0]
        if token == "\n":
            line += 1
            continue
        mark = yaml.Mark("", found.start(), line, 0, None, 0)
        if token in _OPENING:
            yield _OPENING[token](None, None, True, mark, mark)
        elif token in _CLOSING:
            yield _CLOSING[token](mark, mark)
        elif token[0] == '"':
            yield yaml.ScalarEvent(None, None, (False, True), _decode_text(token), mark, mark, '"')
        else:
            yield yaml.ScalarEvent(None, None, (True, False), token, mark, mark)
