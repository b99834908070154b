"""Ask models in the background whether they work, and avoid those that do not."""

from hookway_plugins.resilience_checks.plugin import BackgroundChecks

__all__ = ["BackgroundChecks"]
