"""No authentication: everyone who reaches the gateway is let in, on loopback only."""

from hookway_plugins.auth_none.plugin import NoneAuth

__all__ = ["NoneAuth"]
