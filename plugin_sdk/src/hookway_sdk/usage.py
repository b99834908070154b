"""What an answer consumed, in counts; money is derived from it elsewhere."""

from __future__ import annotations

import msgspec


class Usage(msgspec.Struct, gc=False, omit_defaults=True):
    """Counts of one call, one attempt or one session. All are totals, none is negative.

    Args:
        input_tokens: all tokens read, cached ones included.
        output_tokens: all tokens written, reasoning included.
        cached_input_tokens: part of ``input_tokens`` read from the provider's prompt cache.
        cache_write_tokens: part of ``input_tokens`` written to the provider's prompt cache.
        reasoning_tokens: part of ``output_tokens`` spent on reasoning.
        audio_input_tokens: part of ``input_tokens`` that was audio.
        audio_output_tokens: part of ``output_tokens`` that was audio.
        image_input_tokens: part of ``input_tokens`` that was images.
        other: counts that only one vendor has, under the vendor's names (``web_search_requests``).
        estimated: at least one count was computed here because the provider reported none.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0
    image_input_tokens: int = 0
    other: dict[str, int] | None = None
    estimated: bool = False

    @property
    def total_tokens(self) -> int:
        """Tokens read and written."""
        return self.input_tokens + self.output_tokens

    @property
    def known(self) -> bool:
        """Whether anything was counted at all; an answer without any count has not reported its usage."""
        return bool(self.input_tokens or self.output_tokens or self.other)

    def observe(self, seen: Usage) -> None:
        """Keep the larger of each count; providers repeat a stream's usage as it grows."""
        for name in _COUNTS:
            value = getattr(seen, name)
            if value > getattr(self, name):
                setattr(self, name, value)
        if seen.other:
            mine = self.other = dict(self.other or {})
            for name, value in seen.other.items():
                mine[name] = max(value, mine.get(name, 0))
        self.estimated = self.estimated or seen.estimated

    def add(self, further: Usage) -> None:
        """Add the counts of another call (members of an ensemble, turns of a session)."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(further, name))
        if further.other:
            mine = self.other = dict(self.other or {})
            for name, value in further.other.items():
                mine[name] = mine.get(name, 0) + value
        self.estimated = self.estimated or further.estimated

    def copy(self) -> Usage:
        """Return an independent copy."""
        copied = msgspec.structs.replace(self)
        if self.other is not None:
            copied.other = dict(self.other)
        return copied


_COUNTS = tuple(
    field.name for field in msgspec.structs.fields(Usage) if field.name not in ("other", "estimated")
)


LARGEST_COUNT = 2**53 - 1
"""The largest count: beyond it JSON numbers lose digits, and sums leave what stores and sinks can hold."""


def count(value: object) -> int:
    """Read a count from a provider's JSON: a non-negative integer, or 0 for anything else.

    What is larger than any answer could be counts as :data:`LARGEST_COUNT`.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0
    return int(min(value, LARGEST_COUNT)) if 0 < value < float("inf") else 0
