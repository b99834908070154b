"""A model shape that is more than a list of targets: an ensemble, a semantic router, a tool loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hookway_sdk.kinds.base import RowKind, RowT

if TYPE_CHECKING:
    from hookway_sdk.exchange import Exchange
    from hookway_sdk.messages import ChatAnswer, ChatRequest
    from hookway_sdk.resources import Registry


class Conductor(RowKind[RowT]):
    """Answers a request by nested calls (``self.services.call``); takes the place of the attempt loop.

    Acts in place of phases ``filter``, ``order``, ``admit_attempt`` and ``judge``, which its nested calls
    meet instead.

    Attributes:
        shape: the field of a model row that makes it this shape (``ensemble``).
    """

    kind = "conductor"
    shape: str = ""

    @classmethod
    def register_resources(cls, registry: Registry) -> None:
        """Add the shape to ``models``."""
        registry.shape("models", key=cls.shape, row=cls.Row)

    async def run(self, exchange: Exchange, request: ChatRequest) -> ChatAnswer:
        """Answer; a stream is written from the finished answer.

        Raises:
            GatewayError: whatever ends the request.
        """
        raise NotImplementedError
