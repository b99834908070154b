"""Models from the environment: a vendor's key variable brings all of its models."""

from hookway_plugins.source_env.plugin import EnvSource

__all__ = ["EnvSource"]
