"""What a conductor promises: a model shape that answers by nested calls."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import pytest

from hookway_sdk.errors import GatewayError, UpstreamTimeout
from hookway_sdk.exchange import Exchange
from hookway_sdk.kinds.conductor import Conductor
from hookway_sdk.messages import ChatAnswer, ChatRequest, Choice, Message, TextPart
from hookway_sdk.services import Charge
from hookway_sdk.testing.contracts.plugin import PluginContract
from hookway_sdk.testing.exchanges import MODEL, make_exchange
from hookway_sdk.testing.scripted_services import CallScript, NestedCall
from hookway_sdk.testing.services import RecordingServices, make_services
from hookway_sdk.usage import Usage


class ConductorContract(PluginContract):
    """Promises of a conductor. Override :meth:`answer` where the models it asks have to say more."""

    plugin: ClassVar[type[Conductor[Any]]]

    def answer(self, call: NestedCall) -> ChatAnswer:
        """Answer a nested call."""
        message = Message(role="assistant", parts=(TextPart(text=f"an answer of {call.model}"),))
        return ChatAnswer(model=call.model, choices=(Choice(message=message),), usage=Usage(10, 5))

    def request(self) -> ChatRequest:
        """Return the request to answer."""
        return ChatRequest(
            model=MODEL, messages=(Message(role="user", parts=(TextPart(text="What is best?"),)),)
        )

    def services(self) -> RecordingServices:
        """Make services whose nested calls are answered by :meth:`answer`."""
        return self.services_with(self.answer)

    def services_with(self, script: CallScript) -> RecordingServices:
        """Make services whose nested calls are answered by a script."""
        return make_services(self.token(), call=script, provided=self.provided())

    async def _run(self, services: RecordingServices) -> tuple[Exchange, ChatAnswer]:
        exchange = make_exchange("What is best?")
        answer = await self.make(services).run(exchange, self.request())
        assert isinstance(answer, ChatAnswer), f"it answers {answer!r}"
        return exchange, answer

    def test_its_shape_is_known_to_models(self) -> None:
        assert self.plugin.shape, "`shape` is empty: no row can ask for it"
        found = self.registry().shapes
        assert ("models", self.plugin.shape) in found, f"models know the shapes {list(found)} only"

    async def test_it_answers_with_something_to_read(self) -> None:
        _, answer = await self._run(self.services())
        assert answer.choices, "the answer has no choices"
        assert all(choice.message.parts for choice in answer.choices), "a choice is empty"

    async def test_models_are_asked_on_behalf_of_the_request(self) -> None:
        services = self.services()
        exchange, _ = await self._run(services)
        assert services.call.calls, "it asked no model; what it answers is not billed to anybody"
        for call in services.call.calls:
            assert call.parent is exchange or call.charge is Charge.GATEWAY, (
                f"'{call.model}' is asked for nobody"
            )

    async def test_it_leaves_the_request_as_it_was(self) -> None:
        request = self.request()
        before = copy.deepcopy(request)
        await self.make().run(make_exchange("What is best?"), request)
        assert request == before, "the caller's request has changed"

    async def test_it_ends_with_a_gateway_error_when_no_model_answers(self) -> None:
        def fail(call: NestedCall) -> ChatAnswer:
            raise UpstreamTimeout(1_000)

        with pytest.raises(GatewayError):
            await self._run(self.services_with(fail))

    async def test_answers_without_words_are_survived(self) -> None:
        for silent in (
            ChatAnswer(),
            ChatAnswer(choices=(Choice(message=Message(role="assistant")),)),
            ChatAnswer(choices=(Choice(message=Message(role="assistant", parts=(TextPart(text=""),))),)),
        ):
            try:
                await self._run(self.services_with(lambda call, silent=silent: silent))  # type: ignore[misc]
            except GatewayError:
                continue
