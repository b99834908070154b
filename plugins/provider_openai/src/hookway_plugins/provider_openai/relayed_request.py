"""What a relayed chat request needs on its way up: the model's own name, and usage asked for."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from hookway_sdk import Envelope, raw

_TRUE = msgspec.Raw(b"true")
_FALSE = msgspec.Raw(b"false")
_OPTIONS = msgspec.Raw(b'{"include_usage":true}')

_name_member = lru_cache(1024)(raw)
"""Models' names as members of a body; a gateway has few of them."""

_decode_options = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def for_upstream(request: Envelope, model: str, stream: bool) -> Envelope:
    """Change the top level of a request, in place.

    Args:
        model: the upstream's name of the model.
        stream: whether the answer is wanted as a stream; it wins over what the body says.
    """
    request["model"] = _name_member(model)
    if stream:
        request["stream"] = _TRUE
        options = request.get("stream_options")
        request["stream_options"] = _OPTIONS if options is None else _with_usage(options)
    elif request.get("stream") == _TRUE:
        request["stream"] = _FALSE
        # OpenAI refuses stream_options beside stream: false.
        request.pop("stream_options", None)
    return request


def _with_usage(options: msgspec.Raw) -> msgspec.Raw:
    """Return the client's own stream options with usage asked for.

    Source: https://platform.openai.com/docs/api-reference/chat/create (``stream_options.include_usage``)
    """
    try:
        members = _decode_options(options)
    except ValueError:  # null; anything else was refused when the request was parsed
        return _OPTIONS
    if members.get("include_usage") == _TRUE:
        return options
    members["include_usage"] = _TRUE
    return raw(members)
