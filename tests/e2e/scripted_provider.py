"""A provider for end-to-end tests: a scripted upstream on a loop and a thread of its own.

It outlives single tests, so that a module's tests can share one gateway, and serves blocking and asynchronous
clients alike. What it answers is scripted per upstream model, so that the targets of a group are told apart.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias, TypeVar

from hookway_sdk.testing.scripted_upstream import Action, Departure, RecordedRequest, ScriptedUpstream

T = TypeVar("T")

Answer: TypeAlias = "Action | Callable[[RecordedRequest], Action]"

KEY = "sk-upstream"
"""The credential of every account at this provider."""


class Provider:
    """A scripted upstream in a thread.

    Attributes:
        url: root of its API, as ``api_base`` has it.
    """

    def __init__(self) -> None:
        self._scripts: dict[str, deque[Answer]] = {}
        self._began = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="provider", daemon=True)
        self._thread.start()
        self._server = ScriptedUpstream(self._choose)
        self.run(self._server.__aenter__())
        self.url = self._server.url + "/v1"

    def account(self, **more: Any) -> dict[str, Any]:
        """Return the short form's members that make a model row one of this provider's; no retries."""
        return {"key": KEY, "api_base": self.url, "retries": 0, **more}

    def answers(self, *answers: Answer, model: str = "gpt-4o") -> None:
        """Append answers for an upstream model; each is for one request, and may be made from it."""
        self._scripts.setdefault(model, deque()).extend(answers)

    @property
    def requests(self) -> list[RecordedRequest]:
        """The requests of this test so far."""
        return self._server.requests[self._began :]

    @property
    def request(self) -> RecordedRequest:
        """The only request of this test so far."""
        (only,) = self.requests
        return only

    @property
    def asked(self) -> list[str]:
        """The models that this test's requests named, in order."""
        return [request.json()["model"] for request in self.requests]

    def departure(self) -> Departure:
        """Wait until a client has left in the middle of an answer, and tell when."""
        return self.run(self._server.wait_disconnect())

    def wait_requests(self, count: int = 1) -> None:
        """Wait until so many requests of this test have arrived."""
        self.run(self._server.wait_requests(self._began + count))

    def open_connections(self) -> int:
        """Return how many connections are open."""
        return self._server.open_connections

    def begin(self) -> None:
        """Forget what earlier tests said and saw."""
        self.run(self._forget())
        self._began = len(self._server.requests)

    def check(self) -> None:
        """Fail if a request came that nobody scripted, or an answer was scripted that nobody asked for."""
        faults, self._server.faults[:] = list(self._server.faults), []
        left = {model: len(actions) for model, actions in self._scripts.items() if actions}
        assert not faults, faults
        assert not left, f"answers that nobody asked for: {left}"

    def close(self) -> None:
        """Close it."""
        self.run(self._server.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the provider's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(15)

    async def _forget(self) -> None:
        self._scripts.clear()
        self._server.faults.clear()
        for _ in range(100):
            try:
                await self._server.wait_disconnect(0)
            except TimeoutError:
                return

    def _choose(self, request: RecordedRequest) -> Action:
        model = request.json()["model"]
        script = self._scripts.get(model)
        if not script:
            raise LookupError(f"no answer is left for {model}")
        answer = script.popleft()
        return answer(request) if callable(answer) else answer
