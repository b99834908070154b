"""OpenAI's wire for clients: Chat Completions and the list of models."""

from __future__ import annotations

from hookway_plugins.dialect_openai.dialect import OpenAIDialect

__all__ = ["OpenAIDialect"]
