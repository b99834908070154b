"""The top level of a JSON object, with every value left as the bytes it came in."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

Envelope: TypeAlias = "dict[str, msgspec.Raw]"
"""Members of a JSON object by name; values are unparsed. A repeated member keeps its last value, in
what is checked and in what is sent on, so nobody smuggles a second ``model`` past a check."""

_decode_envelope = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode
_decode_any = msgspec.json.Decoder().decode


def open_envelope(body: bytes) -> Envelope:
    """Read the top level of a JSON object.

    Raises:
        msgspec.DecodeError: not JSON, not an object, or nested deeper than the parser bears.
    """
    try:
        return _decode_envelope(body)
    except RecursionError as error:
        raise msgspec.DecodeError("JSON is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError("JSON is not UTF-8") from error


def close_envelope(envelope: Envelope) -> bytes:
    """Write the members back as one JSON object; untouched values stay byte-exact."""
    return _encode(envelope)


def raw(value: Any) -> msgspec.Raw:
    """Encode a value for use as a member of an envelope."""
    return msgspec.Raw(_encode(value))


def read(value: msgspec.Raw | None) -> Any:
    """Decode a member; ``None`` where it is absent.

    Raises:
        msgspec.DecodeError: the member is not JSON after all (a relay never parsed it), or too deep.
    """
    if value is None:
        return None
    try:
        return _decode_any(value)
    except RecursionError as error:
        raise msgspec.DecodeError("JSON is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError("JSON is not UTF-8") from error
