"""Which encoding a model uses, by its name."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from typing import Literal

EncodingName = Literal["o200k_base", "cl100k_base"]

_RULES: tuple[tuple[re.Pattern[str], EncodingName], ...] = (
    (re.compile(r"(chatgpt-4o|gpt-4o|gpt-4\.[15]|gpt-5|gpt-oss)(?!\d)|o[134](?![\w.])"), "o200k_base"),
    (
        re.compile(
            r"gpt-4(?![\w.])|gpt-3\.?5(?!\d)|text-embedding-(3|ada-002)(?!\d)|(davinci|babbage)-002(?!\d)"
        ),
        "cl100k_base",
    ),
)
"""What OpenAI's models use, by how a name begins; whatever follows (a date, ``-mini``) changes nothing.

Source: https://github.com/openai/tiktoken/blob/main/tiktoken/model.py
"""


class ModelEncodings:
    """Finds the encoding of a model.

    Args:
        overrides: encodings by glob of the model's name, the first that fits counts; capitals are as good as
            small letters, and a glob is held against the name with and without what stands before its last
            ``/``.
        default: for models that nothing is known of.
    """

    def __init__(self, overrides: Mapping[str, EncodingName], default: EncodingName) -> None:
        self._overrides = [
            (re.compile(fnmatch.translate(glob.lower())), encoding) for glob, encoding in overrides.items()
        ]
        self._default = default

    def find(self, model: str) -> EncodingName:
        """Return the encoding of a model; costs microseconds, so keep what it says."""
        whole = model.lower()
        name = whole.rpartition("/")[2]
        for pattern, encoding in self._overrides:
            if pattern.match(whole) or pattern.match(name):
                return encoding
        name = name.removeprefix("ft:")
        for pattern, encoding in _RULES:
            if pattern.match(name):
                return encoding
        return self._default
