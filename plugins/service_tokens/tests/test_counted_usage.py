"""Through a gateway: what an upstream does not count is counted here, and shown to no client."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from hookway.testing import GatewayFactory
from hookway_sdk import RequestEnded

TEXT = "antidisestablishmentarianism"
"""Six tokens in either encoding, and seven by size."""

NEEDED = (
    "auth_keys",
    "dialect_openai",
    "provider_openai",
    "service_tokens",
    "source_file",
    "store_memory",
    "strategy_failover",
)


class Uncounted(BaseHTTPRequestHandler):
    """Answers without usage."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        message = {"role": "assistant", "content": TEXT}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        body = json.dumps({"id": "x", "object": "chat.completion", "model": "gpt-4o", "choices": [choice]})
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Uncounted)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    thread.join(5)
    server.server_close()


def test_an_upstream_that_does_not_count_is_counted_for(gateway: GatewayFactory, address: str) -> None:
    model = {"name": "fast", "model": "openai/gpt-4o", "key": "sk-x", "api_base": address}
    running = gateway(resources={"models": [model]}, only=NEEDED)
    answer = running.chat("hello world", model="fast")
    assert answer.status == 200
    assert "usage" not in answer.json()
    usage = running.wait_for(RequestEnded)[0].usage
    assert (usage.output_tokens, usage.estimated) == (6, True)
    assert usage.input_tokens == 2 + 7  # two words, and what stands around one message
    assert not any(line["event"] == "token_table_unusable" for line in running.log)
