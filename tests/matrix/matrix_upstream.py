"""The one upstream of the matrix: it answers with the sample of the cell that is being tried."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from matrix_cells import Cell, compact

from hookway_sdk.testing.scripted_upstream import (
    Action,
    RecordedRequest,
    Reply,
    ScriptedUpstream,
    json_reply,
    sse_reply,
)

T = TypeVar("T")


class MatrixUpstream:
    """A scripted upstream on a loop and a thread of its own.

    Attributes:
        url: its root.
        answers: what it does next, in the place of the cell's sample; taken from the front.
        always: what it does with every request, if set.
    """

    def __init__(self) -> None:
        self.answers: list[Action] = []
        self.always: Callable[[RecordedRequest], Action] | None = None
        self._cell: Cell | None = None
        self._whole: Any = None
        self._frames: Sequence[Any] = ()
        self._began = 0
        self._gate: asyncio.Event | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="matrix upstream", daemon=True)
        self._thread.start()
        self._server = ScriptedUpstream(self._answer)
        self.run(self._server.__aenter__())
        self.url = self._server.url

    @property
    def requests(self) -> list[RecordedRequest]:
        """What arrived since :meth:`begin`."""
        return self._server.requests[self._began :]

    @property
    def asked(self) -> list[str]:
        """The upstream models that were asked, in order; a wire may have them in its body or its path."""
        return ["up-b" if b"up-b" in one.body + one.target.encode() else "up-a" for one in self.requests]

    def begin(self) -> None:
        """Forget what was said and seen."""
        self.answers.clear()
        self.always = None
        self._gate = None
        self._server.faults.clear()
        self._began = len(self._server.requests)

    def speak(self, cell: Cell, *, whole: Any = None, frames: Sequence[Any] | None = None) -> None:
        """Answer as a cell's upstream does.

        Args:
            whole: a finished answer in place of the sample's.
            frames: the frames of a stream in place of the sample's.
        """
        self._cell = cell
        self._whole = cell.whole if whole is None else whole
        self._frames = cell.frames if frames is None else frames

    def hold(self) -> None:
        """Let requests wait until :meth:`release`."""
        self._gate = asyncio.Event()

    def release(self) -> None:
        """Let those go that wait."""
        if self._gate is not None:
            self._loop.call_soon_threadsafe(self._gate.set)

    def wait_requests(self, count: int = 1) -> None:
        """Wait until so many requests have arrived."""
        self.run(self._server.wait_requests(self._began + count))

    def wait_departure(self) -> None:
        """Wait until the gateway has left in the middle of an answer."""
        self.run(self._server.wait_disconnect())

    def streamed(self) -> Reply:
        """Return the stream of the cell."""
        return sse_reply([frame_bytes(one) for one in self._frames], done=False)

    def finished(self) -> Reply:
        """Return the finished answer of the cell."""
        return json_reply(self._whole)

    def close(self) -> None:
        """Close it."""
        self.run(self._server.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the upstream's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(15)

    async def _answer(self, request: RecordedRequest) -> Action:
        if self._gate is not None:
            await self._gate.wait()
        if self.always is not None:
            return self.always(request)
        if self.answers:
            return self.answers.pop(0)
        return self.streamed() if wants_stream(request) else self.finished()


def wants_stream(request: RecordedRequest) -> bool:
    """Say whether a request asks for a stream: in its body, or in its path as Gemini's does."""
    try:
        body = json.loads(request.body)
    except ValueError:
        body = None
    return "stream" in request.target.lower() or (isinstance(body, dict) and body.get("stream") is True)


def frame_bytes(frame: Any) -> bytes:
    """Return a sample's frame as it is sent: bytes and whole lines as they are, values as data."""
    if isinstance(frame, bytes):
        return frame
    if isinstance(frame, str):
        return frame.encode() if frame.startswith(("event:", "data:")) else f"data: {frame}\n\n".encode()
    return b"data: " + compact(frame) + b"\n\n"
