"""Keep requests away from targets that have just failed."""

from hookway_plugins.resilience_cooldown.plugin import Cooldown

__all__ = ["Cooldown"]
