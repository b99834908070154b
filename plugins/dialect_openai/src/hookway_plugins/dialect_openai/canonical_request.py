"""From OpenAI's chat request to the canonical one.

Source: https://platform.openai.com/docs/api-reference/chat/create. What the canonical form has no field
for goes, unparsed, into the ``extra`` of the nearest thing that has one, under the name of its member.
The deprecated spellings (``functions``, ``function_call``, role ``function``) become tools.
"""

from __future__ import annotations

from typing import Any, cast

from hookway_plugins.dialect_openai.canonical_messages import canonical_messages
from hookway_plugins.dialect_openai.canonical_tools import canonical_tool_choice, canonical_tools
from hookway_plugins.dialect_openai.shapes import (
    Extra,
    a_string,
    an_array,
    an_object,
    maybe_boolean,
    maybe_integer,
    maybe_number,
    maybe_string,
    others,
    wrong,
)
from hookway_plugins.dialect_openai.wire import WIRE
from hookway_sdk import ChatRequest, ReasoningOptions, ResponseFormat, Sampling, raw

_WITH_FIELDS = frozenset(
    "model messages tools functions tool_choice function_call parallel_tool_calls response_format "
    "temperature top_p max_tokens max_completion_tokens stop seed frequency_penalty presence_penalty n "
    "logprobs top_logprobs reasoning_effort stream stream_options user metadata service_tier".split()
)
_FORMATS = frozenset({"text", "json_object", "json_schema"})


def canonical_request(body: dict[str, Any]) -> ChatRequest:
    """Return the canonical form of a parsed request.

    Raises:
        InvalidRequest: a member has a shape that the wire does not allow.
    """
    extra = others(body, _WITH_FIELDS)
    tools = canonical_tools(body)
    effort = maybe_string(body.get("reasoning_effort"), "reasoning_effort")
    return ChatRequest(
        model=a_string(body.get("model"), "model"),
        messages=canonical_messages(body.get("messages")),
        tools=tools,
        tool_choice=canonical_tool_choice(body, extra),
        parallel_tool_calls=maybe_boolean(body.get("parallel_tool_calls"), "parallel_tool_calls"),
        response_format=_response_format(body.get("response_format"), extra),
        sampling=_sampling(body, extra),
        reasoning=ReasoningOptions(effort=effort) if effort else None,
        stream=maybe_boolean(body.get("stream"), "stream") is True,
        include_usage=_include_usage(body.get("stream_options"), extra),
        user=maybe_string(body.get("user"), "user"),
        metadata=_metadata(body.get("metadata")),
        service_tier=maybe_string(body.get("service_tier"), "service_tier"),
        extra=extra,
        # Always set, not only beside members in extra: lists of parts stay lists for servers of this wire.
        wire=WIRE,
    )


def _sampling(body: dict[str, Any], extra: Extra) -> Sampling:
    def number(name: str) -> float | None:
        return maybe_number(body.get(name), name)

    def integer(name: str) -> int | None:
        return maybe_integer(body.get(name), name)

    limit = integer("max_completion_tokens")
    older = integer("max_tokens")
    if limit is None:
        limit = older
    elif older is not None:
        extra["max_tokens"] = raw(older)
    return Sampling(
        temperature=number("temperature"),
        top_p=number("top_p"),
        max_tokens=limit,
        stop=_stop(body.get("stop")),
        seed=integer("seed"),
        frequency_penalty=number("frequency_penalty"),
        presence_penalty=number("presence_penalty"),
        n=integer("n"),
        logprobs=maybe_boolean(body.get("logprobs"), "logprobs"),
        top_logprobs=integer("top_logprobs"),
    )


def _stop(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(a_string(one, f"stop.{index}") for index, one in enumerate(an_array(value, "stop")))


def _response_format(value: Any, extra: Extra) -> ResponseFormat | None:
    if value is None:
        return None
    given = an_object(value, "response_format")
    kind = a_string(given.get("type"), "response_format.type")
    if kind not in _FORMATS:
        extra["response_format"] = raw(given)
        return None
    if kind != "json_schema":
        _keep_others(extra, "response_format", given, {"type"})
        return ResponseFormat(kind=cast("Any", kind))
    path = "response_format.json_schema"
    inner = an_object(given.get("json_schema"), path)
    left = others(given, {"type", "json_schema"})
    if inside := others(inner, {"name", "schema", "strict", "description"}):
        left["json_schema"] = raw(inside)
    if left:
        extra["response_format"] = raw(left)
    schema = inner.get("schema")
    return ResponseFormat(
        kind="json_schema",
        name=a_string(inner.get("name"), f"{path}.name"),
        schema=None if schema is None else raw(an_object(schema, f"{path}.schema")),
        strict=maybe_boolean(inner.get("strict"), f"{path}.strict"),
        description=maybe_string(inner.get("description"), f"{path}.description"),
    )


def _keep_others(extra: Extra, name: str, given: dict[str, Any], known: set[str]) -> None:
    if left := others(given, known):
        extra[name] = raw(left)


def _include_usage(value: Any, extra: Extra) -> bool:
    if value is None:
        return False
    options = an_object(value, "stream_options")
    _keep_others(extra, "stream_options", options, {"include_usage"})
    return maybe_boolean(options.get("include_usage"), "stream_options.include_usage") is True


def _metadata(value: Any) -> dict[str, str]:
    if value is None:
        return {}
    given = an_object(value, "metadata")
    for name, text in given.items():
        if not isinstance(text, str):
            raise wrong(f"metadata.{name}", "a string")
    return given
