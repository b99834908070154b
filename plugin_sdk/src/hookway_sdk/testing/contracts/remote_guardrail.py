"""What a ``guardrail_`` plugin promises that asks another service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from hookway_sdk.kinds.guardrail import RemoteGuardrail
from hookway_sdk.resources import Scope
from hookway_sdk.services import HttpAnswer
from hookway_sdk.testing.contracts.garbage import GARBAGE, ODD_TEXTS
from hookway_sdk.testing.contracts.guardrail import assert_declares_its_row, assert_verdict, make_text
from hookway_sdk.testing.contracts.plugin import PluginContract
from hookway_sdk.testing.exchanges import make_exchange
from hookway_sdk.testing.scripted_services import HttpCall, HttpReply, HttpScript
from hookway_sdk.testing.services import RecordingServices, make_services
from hookway_sdk.texts import Block, Mask, Verdict, apply_mask


class RemoteGuardrailContract(PluginContract):
    """Promises of a guardrail that asks another service. Override :meth:`answer` to play that service.

    Attributes:
        passes: texts it has no objection to, as the service of :meth:`answer` judges.
        blocks: texts it refuses.
        masks: texts it masks, and what becomes of them.
    """

    plugin: ClassVar[type[RemoteGuardrail[Any]]]
    passes: ClassVar[Sequence[str]] = ()
    blocks: ClassVar[Sequence[str]] = ()
    masks: ClassVar[Mapping[str, str]] = {}

    def answer(self, call: HttpCall) -> HttpAnswer:
        """Answer as the service would."""
        raise NotImplementedError("the contract needs answer(call): play the service that is asked")

    def services(self) -> RecordingServices:
        """Make services whose HTTP is answered by :meth:`answer`."""
        return self.services_with(self.answer)

    def services_with(self, script: HttpScript | None) -> RecordingServices:
        """Make services whose HTTP is answered by a script, or by nobody."""
        return make_services(self.token(), http=script, provided=self.provided())

    async def check(
        self, texts: Sequence[str], services: RecordingServices | None = None
    ) -> list[Verdict | None]:
        """Judge texts and check the form of the verdicts."""
        guardrail = self.make(services)
        verdicts = await guardrail.check([make_text(text) for text in texts], make_exchange(*texts))
        assert len(verdicts) == len(texts), f"{len(verdicts)} verdicts for {len(texts)} texts"
        for verdict, text in zip(verdicts, texts, strict=True):
            assert_verdict(verdict, text)
        return list(verdicts)

    def test_it_is_shown_what_it_lets_pass_and_what_not(self) -> None:
        assert self.passes, "give the contract texts that pass: `passes`"
        assert self.blocks or self.masks, "give the contract texts that do not pass: `blocks` or `masks`"

    def test_its_rows_are_known(self) -> None:
        assert_declares_its_row(self)

    def test_it_allows_itself_a_bounded_time(self) -> None:
        assert 0 < self.plugin.timeout <= 600, f"timeout is {self.plugin.timeout} s"

    async def test_it_lets_pass_what_it_should(self) -> None:
        for text in self.passes:
            assert await self.check([text]) == [None], f"it objects to {text!r}"

    async def test_it_blocks_what_it_should(self) -> None:
        for text in self.blocks:
            (verdict,) = await self.check([text])
            assert isinstance(verdict, Block), f"it does not block {text!r}"

    async def test_it_masks_what_it_should(self) -> None:
        for text, masked in self.masks.items():
            (verdict,) = await self.check([text])
            assert isinstance(verdict, Mask), f"it does not mask {text!r}"
            made = apply_mask(text, verdict.spans)
            assert made == masked, f"{text!r} becomes {made!r}, not {masked!r}"

    async def test_verdicts_come_in_the_order_of_the_texts(self) -> None:
        texts = [*self.passes, *self.blocks, *self.masks]
        forth = await self.check(texts)
        back = await self.check(texts[::-1])
        assert forth == back[::-1], "the same texts in another order got other verdicts"
        assert any(forth[len(self.passes) :]), "among other texts the bad ones were missed"
        assert not any(forth[: len(self.passes)]), "among other texts the good ones were caught"

    async def test_no_texts_get_no_verdicts(self) -> None:
        assert await self.check([]) == [], "it judges texts that nobody gave it"

    async def test_odd_texts_get_a_verdict(self) -> None:
        for text in ODD_TEXTS:
            if "\ud800" not in text:  # no JSON that reaches it can hold half a character
                await self.check([text])

    async def test_a_service_that_is_away_is_not_taken_for_consent(self) -> None:
        services = self.services_with(None)
        for text in [*self.passes, *self.blocks, *self.masks]:
            assert await self._failed([text], services), f"{text!r} passes while the service is away"
        assert services.http.calls, "it never asked anybody"

    async def test_an_answer_that_makes_no_sense_is_not_taken_for_consent(self) -> None:
        for body in GARBAGE:
            for status in (200, 500):
                services = self.services_with(lambda _, status=status, body=body: HttpReply(status, body))  # type: ignore[misc]
                for text in [*self.blocks, *self.masks][:1]:
                    failed = await self._failed([text], services)
                    assert failed, f"{text!r} passes on status {status} and {body[:30]!r}"

    async def test_a_refused_credential_is_not_taken_for_consent(self) -> None:
        for status in (401, 403, 404, 429, 503):
            services = self.services_with(lambda _, status=status: HttpReply.of({}, status))  # type: ignore[misc]
            failed = await self._failed([*self.passes][:1], services)
            assert failed, f"a text passes while the service answers {status}"

    def test_it_says_plainly_whom_it_acts_for(self) -> None:
        answer = self.make().applies(Scope("id-of-a-model", "id-of-a-key", ""))
        assert isinstance(answer, bool), f"applies answers {answer!r}"

    async def _failed(self, texts: list[str], services: RecordingServices) -> bool:
        """Say whether it raised, or objected, rather than letting the texts pass."""
        try:
            verdicts = await self.check(texts, services)
        except AssertionError:
            raise
        except Exception:  # whatever it raises, the host closes
            return True
        return all(verdicts)
