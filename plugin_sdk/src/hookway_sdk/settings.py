"""Bases of everything an operator writes: a plugin's settings in conf.d, and the fields of a row.

:mod:`hookway_sdk.walker` reads them, and knows more than plain types: secrets, durations and sizes
(:mod:`hookway_sdk.durations`), values written as one text (:class:`FromText`), second names of a key
(:func:`also`) and conditions on a value (:func:`checked`)::

    class CacheSettings(Settings):
        \"\"\"Settings under ``plugins.cache_redis``.

        Args:
            url: where Redis listens.
            password: what it asks for, if it asks.
            ttl: how long an answer is kept.
        \"\"\"

        url: Annotated[str, also("address")]
        password: Secret | None = None
        ttl: Annotated[Seconds, also(ttl_ms=0.001)] = 300.0

What stands under ``Args:`` becomes the description in the published JSON Schema.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Self

import msgspec

ALSO = "also"
"""Key of :func:`also` in a field's metadata."""
CHECKED = "checked"
"""Key of :func:`checked` in a field's metadata."""


_FROZEN: dict[str, bool] = {"frozen": True}
# Given by name, `frozen` would have to be repeated by every subclass for type checkers, though
# msgspec inherits it; a plugin's row is to be just ``class ShoutRow(Row)``.


class Settings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, **_FROZEN):
    """Base of a plugin's settings, and of the core's sections. Unknown keys are refused.

    Fields without a default come first, or the class says ``kw_only=True``: msgspec does not inherit that.
    """


class NoSettings(Settings):
    """Settings of a plugin that has none."""


class Row(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, **_FROZEN):
    """Base of the fields of a resource row. Unknown keys are refused; see :class:`Settings`."""


class FromText(ABC):
    """Base of a type that is written as one text (an address, a network) and read into something else.

    Instances should be immutable and comparable, since they stand in frozen Structs. The class itself
    is a plain one: msgspec reads Structs, dataclasses and named tuples in its own way.

    Attributes:
        expected: what is right, in a few words (``an address such as 127.0.0.1:3000``).
        schema: further members of its JSON Schema (``{"format": "hostname"}``).
        secret: what is written may be a secret, so no message may quote it.
        exported_as: the field under which its ``str`` stands in an export, where that is another one
            (a key that is written as it is and kept as its hash).
    """

    expected: ClassVar[str]
    schema: ClassVar[dict[str, Any]] = {}
    secret: ClassVar[bool] = False
    exported_as: ClassVar[str] = ""

    @classmethod
    @abstractmethod
    def parse(cls, text: str) -> Self:
        """Read the text.

        Raises:
            ValueError: it cannot be read; the message goes on where the quoted text ends
                (``has no port``) and does not repeat it, since it may be a secret in the wrong place.
        """


def also(*names: str, **scaled: float) -> msgspec.Meta:
    """Give a field further names in configuration; giving two of them is a mistake that names both.

    Args:
        names: other names of the same value (``name`` for ``display_name``).
        scaled: other names whose bare numbers are in another unit, with the factor that turns them
            into the field's own (``ttl_ms=0.001`` beside a field in seconds).
    """
    return msgspec.Meta(extra={ALSO: {**dict.fromkeys(names, 1), **scaled}})


def checked(check: Callable[[Any], None]) -> msgspec.Meta:
    """Put a condition on a field beyond its type, so that a violation is reported with its place.

    Args:
        check: is called with the value (durations and sizes as numbers) and raises :class:`ValueError`
            with the rest of a sentence that begins with the value (``is not a power of two``).
    """
    return msgspec.Meta(extra={CHECKED: check})
