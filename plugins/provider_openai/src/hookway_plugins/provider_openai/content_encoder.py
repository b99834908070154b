"""From canonical parts to the parts of OpenAI's message content.

Sources: https://platform.openai.com/docs/guides/images-vision, https://platform.openai.com/docs/guides/audio,
https://developers.openai.com/api/docs/guides/file-inputs (PDF as data or file id; the text of any other file
is to be sent as a text part).
"""

from __future__ import annotations

from typing import Any

import msgspec

from hookway_plugins.provider_openai.dropped import Dropped, merged
from hookway_plugins.provider_openai.wire import WIRE
from hookway_sdk import AudioPart, FilePart, ImagePart, OpaquePart, Part, RefusalPart, TextPart

_AUDIO_FORMATS = {"audio/mpeg": "mp3", "audio/mp3": "mp3", "audio/x-wav": "wav", "audio/wave": "wav"}
_UNKNOWN_TYPE = "application/octet-stream"


def bare_text(part: dict[str, Any]) -> bool:
    """Say whether a part is text and nothing else, so that a string says the same."""
    return part.keys() == {"type", "text"}


def encode_content_part(part: Part, where: str, dropped: Dropped) -> dict[str, Any] | None:
    """Return a part in OpenAI's words, or ``None`` (and note it) where the wire has none.

    Args:
        where: the part's JSON pointer.
    """
    if isinstance(part, OpaquePart):
        if part.wire == WIRE:
            value: dict[str, Any] = msgspec.json.decode(part.value)
            return value
        dropped.note(where)
        return None
    built = _words(part)
    if built is None:
        dropped.note(where)
        return None
    _note_details(part, where, dropped)
    extra = dropped.own_extra(part.extra, part.wire, where)
    kind = built["type"]
    if isinstance(built.get(kind), dict):
        built[kind] = merged(extra, kind, built[kind])
    return {**extra, **built}


def _words(part: Part) -> dict[str, Any] | None:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, RefusalPart):
        return {"type": "refusal", "refusal": part.text}
    if isinstance(part, ImagePart):
        return _image(part)
    if isinstance(part, AudioPart):
        return _audio(part)
    return _file(part) if isinstance(part, FilePart) else None


def _note_details(part: Part, where: str, dropped: Dropped) -> None:
    if isinstance(part, TextPart):
        dropped.note_if(part.citations, f"{where}/citations")
    elif isinstance(part, AudioPart):
        dropped.note_if(part.transcript, f"{where}/transcript")
    elif isinstance(part, FilePart):
        dropped.note_if(part.citations, f"{where}/citations")
        if part.text:
            dropped.note_if(part.filename, f"{where}/filename")


def _image(part: ImagePart) -> dict[str, Any] | None:
    source = part.source
    if not source.url and not source.data:
        return None
    url = source.url or f"data:{source.media_type or _UNKNOWN_TYPE};base64,{source.data}"
    inner = {"url": url, "detail": part.detail} if part.detail else {"url": url}
    return {"type": "image_url", "image_url": inner}


def _audio(part: AudioPart) -> dict[str, Any] | None:
    source = part.source
    if not source.data:
        return None
    media_type = source.media_type
    form = part.format or _AUDIO_FORMATS.get(media_type) or media_type.partition("/")[2] or "wav"
    return {"type": "input_audio", "input_audio": {"data": source.data, "format": form}}


def _file(part: FilePart) -> dict[str, Any] | None:
    if part.text:
        return {"type": "text", "text": part.text}
    source = part.source
    if source.data:
        data = f"data:{source.media_type};base64,{source.data}" if source.media_type else source.data
        inner = {"file_data": data}
    elif source.file_id:
        inner = {"file_id": source.file_id}
    else:
        return None
    if part.filename:
        inner["filename"] = part.filename
    return {"type": "file", "file": inner}
