"""From OpenAI's usage object to counts, tolerant of what compatible servers make of it.

Sources: https://platform.openai.com/docs/api-reference/chat/object (``usage``), and
https://api-docs.deepseek.com/api/create-chat-completion for ``prompt_cache_hit_tokens``.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from hookway_plugins.provider_openai.wire import member, object_of
from hookway_sdk import Envelope, Usage
from hookway_sdk.usage import LARGEST_COUNT, count

_PREDICTION = ("accepted_prediction_tokens", "rejected_prediction_tokens")
_DEEPSEEK = ("prompt_cache_hit_tokens", "prompt_cache_miss_tokens")

_Count = Annotated[int, msgspec.Meta(ge=0, le=LARGEST_COUNT)] | None


class _Read(msgspec.Struct, gc=False):
    """``prompt_tokens_details``."""

    cached_tokens: _Count = None
    cache_write_tokens: _Count = None
    audio_tokens: _Count = None
    image_tokens: _Count = None


class _Written(msgspec.Struct, gc=False):
    """``completion_tokens_details``."""

    reasoning_tokens: _Count = None
    audio_tokens: _Count = None
    accepted_prediction_tokens: _Count = None
    rejected_prediction_tokens: _Count = None


class _UsageObject(msgspec.Struct, gc=False):
    """``usage`` as OpenAI and DeepSeek send it."""

    prompt_tokens: _Count = None
    completion_tokens: _Count = None
    prompt_tokens_details: _Read | None = None
    completion_tokens_details: _Written | None = None
    prompt_cache_hit_tokens: _Count = None
    prompt_cache_miss_tokens: _Count = None


_decode = msgspec.json.Decoder(_UsageObject).decode


def read_usage(envelope: Envelope) -> Usage:
    """Return the counts in the ``usage`` of an answer or chunk.

    Raises:
        UpstreamUndecodable: it is not JSON after all.
    """
    value = envelope.get("usage")
    if value is None:
        return Usage()
    try:
        given = _decode(value)
    except ValueError:  # a count that is none, or no object at all
        return tolerant_counts(member(envelope, "usage"))
    # Most answers have few of the counts: the others are set only where they are there.
    usage = Usage(given.prompt_tokens or 0, given.completion_tokens or 0)
    read, written = given.prompt_tokens_details, given.completion_tokens_details
    if read is not None:
        _note_read(usage, read)
    if written is not None:
        _note_written(usage, written)
    if given.prompt_cache_hit_tokens is not None:
        usage.cached_input_tokens = usage.cached_input_tokens or given.prompt_cache_hit_tokens
        _count_other(usage, "prompt_cache_hit_tokens", given.prompt_cache_hit_tokens)
    if given.prompt_cache_miss_tokens is not None:
        _count_other(usage, "prompt_cache_miss_tokens", given.prompt_cache_miss_tokens)
    return usage


def _note_read(usage: Usage, read: _Read) -> None:
    if read.cached_tokens:
        usage.cached_input_tokens = read.cached_tokens
    if read.cache_write_tokens:
        usage.cache_write_tokens = read.cache_write_tokens
    if read.audio_tokens:
        usage.audio_input_tokens = read.audio_tokens
    if read.image_tokens:
        usage.image_input_tokens = read.image_tokens


def _note_written(usage: Usage, written: _Written) -> None:
    if written.reasoning_tokens:
        usage.reasoning_tokens = written.reasoning_tokens
    if written.audio_tokens:
        usage.audio_output_tokens = written.audio_tokens
    if written.accepted_prediction_tokens:
        _count_other(usage, "accepted_prediction_tokens", written.accepted_prediction_tokens)
    if written.rejected_prediction_tokens:
        _count_other(usage, "rejected_prediction_tokens", written.rejected_prediction_tokens)


def _count_other(usage: Usage, name: str, number: int) -> None:
    if usage.other is None:
        usage.other = {}
    usage.other[name] = number


def tolerant_counts(value: Any) -> Usage:
    """Return the counts of a usage object with odd ones among them; what is no non-negative number is 0."""
    given = object_of(value)
    read = object_of(given.get("prompt_tokens_details"))
    written = object_of(given.get("completion_tokens_details"))
    other = {name: count(written.get(name)) for name in _PREDICTION if count(written.get(name))}
    other |= {name: count(given.get(name)) for name in _DEEPSEEK if given.get(name) is not None}
    return Usage(
        input_tokens=count(given.get("prompt_tokens")),
        output_tokens=count(given.get("completion_tokens")),
        cached_input_tokens=count(read.get("cached_tokens")) or count(given.get("prompt_cache_hit_tokens")),
        cache_write_tokens=count(read.get("cache_write_tokens")),
        reasoning_tokens=count(written.get("reasoning_tokens")),
        audio_input_tokens=count(read.get("audio_tokens")),
        audio_output_tokens=count(written.get("audio_tokens")),
        image_input_tokens=count(read.get("image_tokens")),
        other=other or None,
    )
