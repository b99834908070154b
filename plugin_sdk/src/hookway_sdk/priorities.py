"""A plugin's place among plugins in one phase: lower runs earlier.

Bands leave gaps so that a third party fits between two of ours. The number is a default: operators
override it per plugin and phase (``plugins: {limit_rate: {priority: {admit_request: 210}}}``).
A row's place among rows of its kind is its ``order``, not its priority.
"""

from __future__ import annotations

FIRST = 100
"""Before everything else: tags, tenants, headers that later steps rely on."""
EARLY = 150
"""Before the usual work of every phase: cheap refusals."""
NORMAL = 500
"""The default."""
LATE = 700
"""After the usual work: what wants to see its result."""
LAST = 900
"""After everything else: observers."""

LIMIT = 200
"""``admit_request`` and ``admit_attempt``: limits, which come before budgets, as these before guardrails."""
BUDGET = 400
"""``admit_request`` and ``admit_attempt``: budgets, after the cheaper limits."""
GUARD_LOCAL = 300
"""``inspect_*``: guardrails that run in this process."""
GUARD_REMOTE = 600
"""``inspect_*``: guardrails that ask another service, after the local ones could refuse for free."""
CORE = 800
"""Where the core's own step stands in ``resolve``, ``order`` and ``judge``, so that plugins come first."""

BANDS: dict[str, int] = {
    "FIRST": FIRST,
    "EARLY": EARLY,
    "LIMIT": LIMIT,
    "GUARD_LOCAL": GUARD_LOCAL,
    "BUDGET": BUDGET,
    "NORMAL": NORMAL,
    "GUARD_REMOTE": GUARD_REMOTE,
    "LATE": LATE,
    "CORE": CORE,
    "LAST": LAST,
}
