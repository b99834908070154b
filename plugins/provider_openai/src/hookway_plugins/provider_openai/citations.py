"""Annotations of OpenAI's wire as citations.

Source: https://platform.openai.com/docs/api-reference/chat/object (``message.annotations``)
"""

from __future__ import annotations

from typing import Any

from hookway_plugins.provider_openai.wire import WIRE, object_of, text_of
from hookway_sdk import Citation, raw

_KNOWN = frozenset({"url", "title", "start_index", "end_index"})


def citation_of(annotation: dict[str, Any]) -> Citation | None:
    """Return a URL citation, ``None`` for an annotation of another kind."""
    inner = object_of(annotation.get("url_citation"))
    if annotation.get("type") != "url_citation" or not text_of(inner.get("url")):
        return None
    extra = {name: raw(value) for name, value in inner.items() if name not in _KNOWN}
    return Citation(
        url=text_of(inner.get("url")),
        title=text_of(inner.get("title")),
        start=_offset(inner.get("start_index")),
        end=_offset(inner.get("end_index")),
        extra=extra,
        wire=WIRE if extra else "",
    )


def _offset(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else -1
