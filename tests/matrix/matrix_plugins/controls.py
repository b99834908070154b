"""The switches by which a test makes its gateway's plugins misbehave while it runs."""

from __future__ import annotations

import threading

from hookway_sdk import Decision, Phase

BOOM = "sesame-7f3a secret of the crash"
"""What crashing plugins say; callers must never read it."""


class Controls:
    """Switches of one gateway; :meth:`reset` puts all of them back.

    Attributes:
        crash: the phase in which hooks crash.
        wait: the phase in which hooks wait until their request is cancelled.
        waiting: set once one of them waits.
        store: ``alive``, ``unavailable`` (says so) or ``broken`` (raises what it should not).
        remote: what the remote guardrail does: ``passes``, ``blocks``, ``masks``, ``hangs``, ``raises``,
            or ``upstream`` (the service it asks cannot be reached).
        word: what the word blocker does: ``works``, ``sleeps`` (finds nothing) or ``raises``.
        cache: ``works``, ``slow`` (takes its time to keep something) or ``raises``.
        excluded: names of targets that the filter takes out.
        deferred: names of those that it puts off.
        decision: what the judge says.
        refused: names of targets whose limit is used up.
    """

    def __init__(self) -> None:
        self.waiting = threading.Event()
        self.reset()

    def reset(self) -> None:
        """Let everything work."""
        self.crash: Phase | None = None
        self.wait: Phase | None = None
        self.waiting.clear()
        self.store = "alive"
        self.remote = "passes"
        self.word = "works"
        self.cache = "works"
        self.excluded: frozenset[str] = frozenset()
        self.deferred: frozenset[str] = frozenset()
        self.refused: frozenset[str] = frozenset()
        self.decision: Decision | None = None
