"""Which encoding a model's name leads to."""

from __future__ import annotations

import pytest
import tiktoken.model

from hookway_plugins.service_tokens.model_encodings import ModelEncodings

KNOWN = ModelEncodings({}, "o200k_base")
OTHERS = ModelEncodings({}, "cl100k_base")


@pytest.mark.parametrize(
    "model",
    [
        "gpt-4o",
        "gpt-4o-2024-08-06",
        "openai/gpt-4o-mini",
        "GPT-4o",
        "gpt-4.1-nano",
        "gpt-4.5-preview",
        "gpt-5",
        "gpt-5.1-codex",
        "o1",
        "o1-pro",
        "o3-mini",
        "o4-mini-2025-04-16",
        "chatgpt-4o-latest",
        "ft:gpt-4o-mini:acme::1",
        "azure/eu/gpt-4o",
    ],
)
def test_newer_models_use_o200k(model: str) -> None:
    assert OTHERS.find(model) == "o200k_base"


@pytest.mark.parametrize(
    "model",
    [
        "gpt-4",
        "gpt-4-0613",
        "gpt-4-32k",
        "gpt-4-turbo-2024-04-09",
        "openai/gpt-4",
        "gpt-3.5-turbo",
        "gpt-35-turbo-16k",
        "text-embedding-3-small",
        "text-embedding-ada-002",
        "ft:gpt-3.5-turbo:acme",
    ],
)
def test_older_models_use_cl100k(model: str) -> None:
    assert KNOWN.find(model) == "cl100k_base"


@pytest.mark.parametrize(
    "model", ["claude-sonnet-4-5", "llama-3.1-70b", "gemini-2.5-pro", "o10", "gpt-4.7", "gpt-40", "o1.5", ""]
)
def test_others_use_the_default(model: str) -> None:
    assert KNOWN.find(model) == "o200k_base"
    assert OTHERS.find(model) == "cl100k_base"


def test_it_agrees_with_tiktoken() -> None:
    names = dict(tiktoken.model.MODEL_TO_ENCODING)
    names |= {
        f"{prefix.rstrip('-')}-x": name for prefix, name in tiktoken.model.MODEL_PREFIX_TO_ENCODING.items()
    }
    # The two differ in special tokens only.
    ours = {model: name.replace("o200k_harmony", "o200k_base") for model, name in names.items()}
    ours = {model: name for model, name in ours.items() if name in ("o200k_base", "cl100k_base")}
    assert len(ours) > 25
    assert {model: KNOWN.find(model) for model in ours} == ours
    assert {model: OTHERS.find(model) for model in ours} == ours


def test_an_override_goes_before_what_is_known() -> None:
    known = ModelEncodings({"gpt-4o*": "cl100k_base", "*": "o200k_base"}, "cl100k_base")
    assert known.find("gpt-4o-mini") == "cl100k_base"
    assert known.find("openai/GPT-4o") == "cl100k_base"
    assert known.find("gpt-4") == "o200k_base"


def test_an_override_may_name_the_vendor() -> None:
    known = ModelEncodings({"Groq/*": "cl100k_base"}, "o200k_base")
    assert known.find("groq/llama-3.1-8b") == "cl100k_base"
    assert known.find("llama-3.1-8b") == "o200k_base"


def test_a_glob_fits_a_name_whole() -> None:
    assert ModelEncodings({"llama": "cl100k_base"}, "o200k_base").find("llama-3") == "o200k_base"
