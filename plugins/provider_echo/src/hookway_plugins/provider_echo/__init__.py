"""The model that answers without a network: it repeats what it is told, and fails on command."""

from hookway_plugins.provider_echo.plugin import EchoProvider

__all__ = ["EchoProvider"]
