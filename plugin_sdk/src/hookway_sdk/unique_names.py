"""Names that nobody else makes, cheaper than a UUID each: one random word a process, and a number."""

from __future__ import annotations

import itertools
import os
import uuid


class _Names:
    """The names of this process; a forked one begins its own."""

    def __init__(self) -> None:
        self.renew()
        os.register_at_fork(after_in_child=self.renew)

    def renew(self) -> None:
        """Begin anew under another word."""
        self.word = uuid.uuid4().hex[:20]
        self.numbers = itertools.count(1)


_names = _Names()


def unique_name() -> str:
    """Return a name that no other call returns, in this process or in any other."""
    return f"{_names.word}-{next(_names.numbers)}"
