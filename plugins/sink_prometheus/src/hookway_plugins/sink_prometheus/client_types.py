"""What kind of client sent a request, told from its ``User-Agent`` in a bounded set of words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

UNKNOWN = "unknown"
OTHER = "other"

CLIENTS: tuple[tuple[str, str], ...] = (
    ("claude-cli", "claude-code"),
    ("claude-code", "claude-code"),
    ("codex", "codex"),
    ("cline", "cline"),
    ("roo-code", "roo-code"),
    ("roocode", "roo-code"),
    ("kilo-code", "kilocode"),
    ("kilocode", "kilocode"),
    ("zoo-code", "zoo-code"),
    ("zoocode", "zoo-code"),
    ("githubcopilot", "github-copilot"),
    ("cursor", "cursor"),
    ("opencode", "opencode"),
    ("qwencode", "qwen-code"),
    ("geminicli", "gemini-cli"),
    ("charm-crush", "crush"),
    ("zed/", "zed"),
    ("aider", "aider"),
    ("openai-python", "openai-python"),
    ("openai/python", "openai-python"),
    ("openai-node", "openai-node"),
    ("openai/js", "openai-node"),
    ("anthropic-sdk-python", "anthropic-python"),
    ("anthropic/python", "anthropic-python"),
    ("anthropic-sdk-typescript", "anthropic-typescript"),
    ("anthropic/js", "anthropic-typescript"),
    ("langchain", "langchain"),
    ("llama-index", "llamaindex"),
    ("llama_index", "llamaindex"),
    ("llamaindex", "llamaindex"),
    ("litellm", "litellm"),
    ("ai-sdk/provider-utils", "vercel-ai-sdk"),
    ("curl", "curl"),
    ("python-requests", "python-requests"),
    ("python-httpx", "httpx"),
    ("httpx", "httpx"),
    ("aiohttp", "aiohttp"),
    ("okhttp", "okhttp"),
    ("go-http-client", "go-http-client"),
    ("node-fetch", "node"),
    ("undici", "node"),
    ("axios", "node"),
    ("postmanruntime", "postman"),
    ("mozilla", "browser"),
)
"""What is looked for in a lower-cased user agent, in this order, and the word for it."""


Rule = tuple[Callable[[str], bool], str]
"""Whether an operator's pattern is found in a user agent, and the word if it is."""


def client_type(agent: str, rules: Sequence[Rule] = ()) -> str:
    """Return the word for a user agent: ``unknown`` for none, ``other`` for one that nobody knows.

    Args:
        rules: the operator's own, which come first.
    """
    plain = agent.encode(errors="replace").decode()
    if not plain.strip():
        return UNKNOWN
    for matches, word in rules:
        if matches(plain):
            return word
    lowered = plain.lower()
    for part, word in CLIENTS:
        if part in lowered:
            return word
    return OTHER
