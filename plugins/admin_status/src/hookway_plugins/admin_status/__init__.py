"""What serves, what was rejected and how models fare, on the metrics listener."""

from hookway_plugins.admin_status.plugin import StatusAdmin

__all__ = ["StatusAdmin"]
