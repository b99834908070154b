"""OpenAI's Chat Completions as an upstream wire: OpenAI itself and every server that is compatible."""

from __future__ import annotations

from hookway_plugins.provider_openai.provider import OpenAIProvider

__all__ = ["OpenAIProvider"]
