"""The promises of every dialect, kept by this one."""

from __future__ import annotations

from hookway_plugins.dialect_openai import OpenAIDialect
from hookway_sdk.testing import DialectContract


class TestContract(DialectContract):
    plugin = OpenAIDialect
    name = "dialect_openai"
