"""Counting of texts of any length, with a counter that is good for short ones only."""

from __future__ import annotations

from collections.abc import Callable, Iterator

Count = Callable[[str], int]
"""Counts the tokens of a text of at most :data:`PIECE` characters."""

PIECE = 32 * 1024
"""Characters that are counted at once: tiktoken's matcher runs out of stack on 1 MB of blanks, and the list
of tokens it returns would take 36 bytes each."""

_WINDOW = 1024
_BYTES_A_TOKEN = 4


def by_bytes(text: str) -> int:
    """Return the tokens of a text by its size alone."""
    return -(-len(text.encode(errors="replace")) // _BYTES_A_TOKEN)


def count_whole(count: Count, text: str) -> int:
    """Return the tokens of a text of any length."""
    if len(text) <= PIECE:
        return count(text)
    return sum(count(piece) for piece in pieces(text, PIECE))


def count_by_head(count: Count, text: str, head: str) -> int:
    """Return the tokens of a text, on the assumption that it goes on as it begins."""
    return count_whole(count, head) * len(text) // len(head)


def head_of(text: str, limit: int) -> str:
    """Return the text itself if it fits, else its longest beginning that does.

    Args:
        limit: bytes of UTF-8, at least 4.
    """
    if len(text) <= limit // 4:
        return text
    if text.isascii():
        return text if len(text) <= limit else text[:limit]
    data = text[:limit].encode("utf-8", "surrogatepass")
    if len(data) <= limit:
        return text if len(text) <= limit else text[:limit]
    end = limit
    while data[end] & 0xC0 == 0x80:  # inside a character
        end -= 1
    return data[:end].decode("utf-8", "surrogatepass")


def pieces(text: str, size: int) -> Iterator[str]:
    """Cut a text into pieces of at most ``size`` characters, between two tokens where there are blanks."""
    start = 0
    while len(text) - start > size:
        end = cut(text, start, start + size)
        yield text[start:end]
        start = end
    yield text[start:]


def cut(text: str, start: int, limit: int) -> int:
    """Return where to end the piece that begins at ``start``, at the latest at ``limit``.

    That is before a blank that follows something else: no token of either encoding reaches across. Where
    there is none, one is cut in two at the limit, and the count is off by one or two.
    """
    end = limit + 1
    lowest = max(start, limit - _WINDOW)
    while (end := text.rfind(" ", lowest + 1, end)) != -1:
        if not text[end - 1].isspace():
            return end
    return limit
