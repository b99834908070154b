"""From the canonical request to OpenAI's chat request.

Source: https://platform.openai.com/docs/api-reference/chat/create. What the wire lacks is dropped and listed;
what it has only roughly (a budget of reasoning) is sent as the nearest word and listed too.
"""

from __future__ import annotations

from typing import Any

import msgspec

from hookway_plugins.provider_openai.base_url import is_openai
from hookway_plugins.provider_openai.dropped import Dropped, merged
from hookway_plugins.provider_openai.message_encoder import MessageEncoder
from hookway_plugins.provider_openai.wire import WIRE
from hookway_sdk import (
    ChatRequest,
    Deployment,
    Encoded,
    InvalidRequest,
    ReasoningOptions,
    ResponseFormat,
    Tool,
    ToolChoice,
)

_encode = msgspec.json.Encoder().encode

_SAMPLING = "temperature top_p stop seed frequency_penalty presence_penalty n logprobs top_logprobs".split()
_TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})
_EFFORTS = ((4096, "high"), (2048, "medium"), (1024, "low"), (1, "minimal"))
"""From how many tokens of reasoning a word is used."""


def encode_request(request: ChatRequest, deployment: Deployment) -> Encoded:
    """Write a canonical request for a deployment.

    Raises:
        InvalidRequest: a tool call or a tool result has no id, or the request is nested too deeply.
    """
    dropped = Dropped()
    try:
        body = _encode(_body(request, deployment, dropped))
    except RecursionError as error:
        raise InvalidRequest("JSON is nested too deeply") from error
    return Encoded(body=body, dropped=tuple(dropped.pointers))


def _body(request: ChatRequest, deployment: Deployment, dropped: Dropped) -> dict[str, Any]:
    own = request.wire == WIRE
    extra = dropped.own_extra(request.extra, request.wire, "")
    body: dict[str, Any] = {
        "model": deployment.model,
        "messages": MessageEncoder(dropped, keep_lists=own).messages(request.messages),
    }
    tools = [
        tool
        for index, one in enumerate(request.tools)
        if (tool := _tool(one, f"/tools/{index}", dropped)) is not None
    ]
    if tools:
        body["tools"] = tools
    if request.tool_choice is not None:
        body["tool_choice"] = _tool_choice(request.tool_choice, request.tools)
    if request.parallel_tool_calls is not None:
        body["parallel_tool_calls"] = request.parallel_tool_calls
    if request.response_format is not None:
        body["response_format"] = _response_format(request.response_format, extra)
    _sampling(request, deployment, body, dropped)
    if request.reasoning is not None:
        _reasoning(request.reasoning, body, dropped)
    if request.user:
        body["user"] = request.user
    if request.metadata:
        body["metadata"] = request.metadata
    if request.service_tier and (own or request.service_tier in _TIERS):
        body["service_tier"] = request.service_tier
    else:
        dropped.note_if(request.service_tier, "/service_tier")
    if request.stream:
        body["stream"] = True
        body["stream_options"] = merged(extra, "stream_options", {"include_usage": True})
    return {**extra, **body}


def _sampling(request: ChatRequest, deployment: Deployment, body: dict[str, Any], dropped: Dropped) -> None:
    sampling = request.sampling
    for name in _SAMPLING:
        value = getattr(sampling, name)
        if value is not None and value != ():
            body[name] = value
    if sampling.max_tokens is not None:
        # OpenAI deprecated max_tokens, and its reasoning models refuse it; many compatible servers know
        # no other word.
        name = "max_completion_tokens" if is_openai(deployment) else "max_tokens"
        body[name] = sampling.max_tokens
    if sampling.top_k is not None:
        dropped.note("/sampling/top_k")


def _reasoning(options: ReasoningOptions, body: dict[str, Any], dropped: Dropped) -> None:
    effort = options.effort
    if not effort and options.budget:
        effort = next(word for tokens, word in _EFFORTS if options.budget >= tokens)
    if effort:
        body["reasoning_effort"] = effort
    if options.budget is not None:
        dropped.note("/reasoning/budget")
    dropped.note_if(options.summary, "/reasoning/summary")


def _tool(tool: Tool, pointer: str, dropped: Dropped) -> dict[str, Any] | None:
    if tool.kind == "function":
        extra = dropped.own_extra(tool.extra, tool.wire, pointer)
        inner: dict[str, Any] = {"name": tool.name}
        if tool.description:
            inner["description"] = tool.description
        if tool.parameters is not None:
            inner["parameters"] = tool.parameters
        if tool.strict is not None:
            inner["strict"] = tool.strict
        function = merged(extra, "function", inner)
        return {**extra, "type": "function", "function": function}
    if tool.wire != WIRE:
        dropped.note(pointer)
        return None
    extra = dict(tool.extra)
    if tool.kind == "custom":
        dropped.note_if(tool.parameters is not None, f"{pointer}/parameters")
        dropped.note_if(tool.strict is not None, f"{pointer}/strict")
        inner = {"name": tool.name}
        if tool.description:
            inner["description"] = tool.description
        custom = merged(extra, "custom", inner)
        return {**extra, "type": "custom", "custom": custom}
    return {"type": tool.kind, **({"name": tool.name} if tool.name else {}), **extra}


def _tool_choice(choice: ToolChoice, tools: tuple[Tool, ...]) -> Any:
    if choice.mode != "tool":
        return choice.mode
    custom = any(tool.name == choice.name and tool.kind == "custom" for tool in tools)
    kind = "custom" if custom else "function"
    return {"type": kind, kind: {"name": choice.name}}


def _response_format(wanted: ResponseFormat, extra: dict[str, Any]) -> dict[str, Any]:
    if wanted.kind != "json_schema":
        return merged(extra, "response_format", {"type": wanted.kind})
    # The name is required here, and some wires have none.
    inner: dict[str, Any] = {"name": wanted.name or "answer"}
    if wanted.description:
        inner["description"] = wanted.description
    if wanted.schema is not None:
        inner["schema"] = wanted.schema
    if wanted.strict is not None:
        inner["strict"] = wanted.strict
    built = merged(extra, "response_format", {"type": "json_schema"})
    kept = built.get("json_schema")
    built["json_schema"] = {**kept, **inner} if isinstance(kept, dict) else inner
    return built
