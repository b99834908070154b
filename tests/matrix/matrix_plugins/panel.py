"""A model shape: two members are asked, the second with what the first said."""

from __future__ import annotations

from hookway_sdk import ChatAnswer, ChatRequest, Conductor, Exchange, Row


class PanelRow(Row):
    """Fields of ``models.panel``.

    Args:
        members: names of the models that are asked, in order.
    """

    members: tuple[str, ...]


class Panel(Conductor[PanelRow]):
    """Ask every member; the last one's answer stands."""

    shape = "panel"

    async def run(self, exchange: Exchange, request: ChatRequest) -> ChatAnswer:
        """Ask them one after the other."""
        answers = [await self.services.call(member, request, parent=exchange) for member in self.row.members]
        answers[-1].usage = exchange.usage.copy()
        return answers[-1]
