"""What someone gets who has just installed it: no key, no server, model ``echo``."""

from __future__ import annotations

from hookway.testing import GatewayFactory
from hookway_sdk import RequestEnded


def test_echo_answers_without_any_configuration(gateway: GatewayFactory) -> None:
    running = gateway()
    answer = running.chat("hello there")
    assert answer.status == 200
    assert answer.json()["choices"][0]["message"]["content"] == "hello there"
    assert answer.json()["model"] == "echo"
    (ended,) = running.wait_for(RequestEnded)
    assert (ended.usage.input_tokens, ended.usage.output_tokens) == (2, 2)
