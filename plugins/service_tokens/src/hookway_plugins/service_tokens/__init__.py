"""Count tokens as the models' own tokenizers do, from bundled and checksummed tables."""

from hookway_plugins.service_tokens.plugin import TokenCounter

__all__ = ["TokenCounter"]
