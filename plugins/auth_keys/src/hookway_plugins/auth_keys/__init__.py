"""API keys: callers prove themselves by a key of which only the SHA-256 is known."""

from hookway_plugins.auth_keys.plugin import KeysAuth

__all__ = ["KeysAuth"]
