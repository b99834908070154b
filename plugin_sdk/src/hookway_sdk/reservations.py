"""What was taken in advance and has to be settled or given back."""

from __future__ import annotations

from abc import ABC, abstractmethod

from hookway_sdk.usage import Usage


class Reservation(ABC):
    """Something that a limit or a budget set aside for a request or an attempt.

    The core calls exactly one of :meth:`settle` and :meth:`release`, exactly once, whatever happens:
    success, error, block, cache hit, disconnect, a plugin that crashed. Both are plain functions that
    must not wait: they post to ``services.state`` (``post``), which applies in order and retries.
    """

    __slots__ = ()

    @abstractmethod
    def settle(self, usage: Usage) -> None:
        """Replace the estimate by what was really used; called when anything was dispatched."""

    @abstractmethod
    def release(self) -> None:
        """Give everything back; called when a later step refused before anything was dispatched."""
