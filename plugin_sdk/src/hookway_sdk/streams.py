"""The two ends of a stream: the provider's reader of frames and the dialect's writer of bytes.

Both are plain objects with plain functions, called once per frame between two reads of a socket.
The core stands between them: framer → reader → gate → hold-back → writer → client.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from hookway_sdk.errors import GatewayError
from hookway_sdk.frames import Frame
from hookway_sdk.messages import StreamEvent
from hookway_sdk.usage import Usage


class StreamReader(ABC):
    """Reads one upstream stream; made by :meth:`Provider.reader` for each attempt.

    Attributes:
        usage: counts seen so far.
        upstream_id: the upstream's id of the answer.
        upstream_model: the model name the upstream says it used.
        stop_reason: the wire's own word, once it is known.
        done: the wire's end marker was seen.
    """

    def __init__(self) -> None:
        self.usage = Usage()
        self.upstream_id = ""
        self.upstream_model = ""
        self.stop_reason = ""
        self.done = False

    @abstractmethod
    def observe(self, frame: Frame) -> None:
        """Note what a relayed frame says of usage, ids and the end.

        Raises:
            UpstreamInBand: the frame is an error.
            UpstreamUndecodable: the frame is not what the wire promises.
        """

    @abstractmethod
    def decode(self, frame: Frame) -> Sequence[StreamEvent]:
        """Translate a frame into events, noting what :meth:`observe` would.

        Raises:
            UpstreamInBand: the frame is an error.
            UpstreamUndecodable: the frame is not what the wire promises.
        """

    def free_text(self, frame: Frame) -> Sequence[tuple[int, int]]:
        """Return where text stands in an observed frame's data that :meth:`observe` does not care for.

        Frames with the same bytes around other text may then be relayed without being observed. A reader
        that says nothing here, as by default, observes every frame.

        Returns:
            Begin and end of the inside of JSON strings, in order, without escaped quotes; none where the
            frame says anything else that is new (usage, an id, an error, why the model stopped).
        """
        return ()

    def close(self) -> Sequence[StreamEvent]:
        """Note that the upstream ended its body, and return the events that were still owed.

        Raises:
            StreamAborted: the wire has an end marker, and it never came.
        """
        return ()


class StreamWriter(ABC):
    """Writes one client stream; made by :meth:`Endpoint.writer` for each exchange.

    Attributes:
        copies_text: what ``relay`` makes of a frame depends on that frame alone and leaves nothing behind,
            and its JSON strings come through byte for byte. Frames that differ in nothing but such text may
            then be written by analogy.
    """

    copies_text: ClassVar[bool] = False

    @abstractmethod
    def relay(self, frame: Frame) -> bytes:
        """Return the bytes for a frame of the client's own wire, ``b""`` to hide it."""

    def end_relay(self) -> bytes:
        """Return the end marker of a relayed stream whose upstream left its own out, ``b""`` if it came."""
        return b""

    @abstractmethod
    def write(self, event: StreamEvent) -> bytes:
        """Return the bytes for a canonical event, ``b""`` where the wire has no word for it."""

    @abstractmethod
    def end(self, usage: Usage) -> bytes:
        """Return the bytes that properly end a translated stream (a relayed one ends by its own frames)."""

    @abstractmethod
    def fail(self, error: GatewayError) -> bytes:
        """Return the bytes that end a stream which began well and cannot go on."""
