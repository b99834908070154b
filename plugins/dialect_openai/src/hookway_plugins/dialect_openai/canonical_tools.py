"""Tools and the choice among them, from OpenAI's wire to the canonical form."""

from __future__ import annotations

from typing import Any

from hookway_plugins.dialect_openai.shapes import (
    Extra,
    a_string,
    an_array,
    an_object,
    maybe_boolean,
    maybe_string,
    others,
    wrong,
)
from hookway_plugins.dialect_openai.wire import WIRE
from hookway_sdk import InvalidRequest, Tool, ToolChoice, raw

_FUNCTION = frozenset({"name", "description", "parameters", "strict"})


def canonical_tools(body: dict[str, Any]) -> tuple[Tool, ...]:
    """Return what ``tools`` or the deprecated ``functions`` declare.

    Raises:
        InvalidRequest: both are there, or one has a shape that the wire does not allow.
    """
    tools = an_array(body.get("tools"), "tools")
    functions = an_array(body.get("functions"), "functions")
    if tools and functions:
        raise InvalidRequest("functions cannot be combined with tools", param="functions")
    if functions:
        return tuple(
            _function(an_object(item, f"functions.{index}"), f"functions.{index}", {})
            for index, item in enumerate(functions)
        )
    return tuple(_tool(item, f"tools.{index}") for index, item in enumerate(tools))


def _tool(value: Any, path: str) -> Tool:
    given = an_object(value, path)
    kind = a_string(given.get("type"), f"{path}.type")
    if kind == "function":
        inner = an_object(given.get("function"), f"{path}.function")
        return _function(inner, f"{path}.function", others(given, {"type", "function"}))
    if kind == "custom":
        return _custom(given, path)
    name = given.get("name")
    if not isinstance(name, str):
        return Tool(name="", kind=kind, extra=others(given, {"type"}), wire=WIRE)
    return Tool(name=name, kind=kind, extra=others(given, {"type", "name"}), wire=WIRE)


def _function(inner: dict[str, Any], path: str, extra: Extra) -> Tool:
    if left := others(inner, _FUNCTION):
        extra["function"] = raw(left)
    parameters = inner.get("parameters")
    return Tool(
        name=a_string(inner.get("name"), f"{path}.name"),
        description=maybe_string(inner.get("description"), f"{path}.description"),
        parameters=None if parameters is None else raw(an_object(parameters, f"{path}.parameters")),
        strict=maybe_boolean(inner.get("strict"), f"{path}.strict"),
        extra=extra,
        wire=WIRE if extra else "",
    )


def _custom(given: dict[str, Any], path: str) -> Tool:
    inner = an_object(given.get("custom"), f"{path}.custom")
    extra = others(given, {"type", "custom"})
    if left := others(inner, {"name", "description"}):
        extra["custom"] = raw(left)
    return Tool(
        name=a_string(inner.get("name"), f"{path}.custom.name"),
        description=maybe_string(inner.get("description"), f"{path}.custom.description"),
        kind="custom",
        extra=extra,
        wire=WIRE,
    )


def canonical_tool_choice(body: dict[str, Any], extra: Extra) -> ToolChoice | None:
    """Return the choice among tools; one without canonical words (``allowed_tools``) stays in ``extra``.

    Raises:
        InvalidRequest: it has a shape that the wire does not allow.
    """
    choice = body.get("tool_choice")
    if choice is None:
        return _function_call(body.get("function_call"))
    if isinstance(choice, str):
        return _word(choice, "tool_choice")
    given = an_object(choice, "tool_choice")
    kind = a_string(given.get("type"), "tool_choice.type")
    if kind in ("function", "custom") and set(given) == {"type", kind}:
        inner = an_object(given[kind], f"tool_choice.{kind}")
        name = a_string(inner.get("name"), f"tool_choice.{kind}.name")
        if set(inner) == {"name"}:
            return ToolChoice(mode="tool", name=name)
    extra["tool_choice"] = raw(given)
    return None


def _word(choice: str, path: str) -> ToolChoice:
    if choice == "auto":
        return ToolChoice(mode="auto")
    if choice == "none":
        return ToolChoice(mode="none")
    if choice == "required":
        return ToolChoice(mode="required")
    raise wrong(path, "auto, none, required or an object")


def _function_call(choice: Any) -> ToolChoice | None:
    if choice is None:
        return None
    if isinstance(choice, str):
        return _word(choice, "function_call")
    name = a_string(an_object(choice, "function_call").get("name"), "function_call.name")
    return ToolChoice(mode="tool", name=name)
