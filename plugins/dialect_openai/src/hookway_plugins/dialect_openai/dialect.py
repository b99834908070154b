"""The dialect: which paths speak OpenAI's wire."""

from __future__ import annotations

from collections.abc import Sequence

from hookway_plugins.dialect_openai.chat_endpoint import ChatCompletions
from hookway_plugins.dialect_openai.models_endpoints import ModelList, ModelRetrieve
from hookway_sdk import Dialect, Endpoint, NoSettings


class OpenAIDialect(Dialect[NoSettings]):
    """Serve clients that speak OpenAI's Chat Completions: any OpenAI SDK with another base URL."""

    def endpoints(self) -> Sequence[Endpoint]:
        """Return the chat endpoint and the two that list models."""
        return (ChatCompletions(), ModelList(self.services), ModelRetrieve(self.services))
