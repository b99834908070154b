"""What a ``cache_`` plugin promises."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from hookway_sdk.exchange import Exchange
from hookway_sdk.incoming import Principal
from hookway_sdk.kinds.cache import Cache
from hookway_sdk.resources import Scope
from hookway_sdk.testing.contracts.plugin import PluginContract
from hookway_sdk.testing.exchanges import make_exchange, make_model, make_principal, make_request
from hookway_sdk.usage import Usage
from hookway_sdk.views import Reply

_BODY = b'{"choices":[{"message":{"role":"assistant","content":"an answer"}}],"model":"gpt-test"}'


class CacheContract(PluginContract):
    """Promises of a cache.

    Attributes:
        exact: only equal requests share an answer; a semantic cache says False.
        shared: callers share answers on purpose.
        ttl: seconds after which an answer of the example row is forgotten; 0.0 if never.
        ignores: members of a request that the example row leaves out of the comparison.
    """

    plugin: ClassVar[type[Cache[Any]]]
    exact: ClassVar[bool] = True
    shared: ClassVar[bool] = False
    ttl: ClassVar[float] = 0.0
    ignores: ClassVar[tuple[str, ...]] = ()

    def exchange(
        self, text: str = "What is the capital?", *, principal: Principal | None = None, **members: Any
    ) -> Exchange:
        """Return an exchange with one question."""
        return make_exchange(request=make_request(text, **members), principal=principal)

    def reply(self, body: bytes = _BODY) -> Reply:
        """Return an answer as it was delivered."""
        return Reply(body, usage=Usage(11, 7))

    async def _kept(self) -> Any:
        cache = self.make()
        await cache.store(self.exchange(), self.reply())
        return cache

    def test_its_rows_are_known(self) -> None:
        kind = self.token().removeprefix("cache_")
        found = self.registry().variants
        assert ("cache_policies", kind) in found, f"policies of backend '{kind}' are unknown"

    async def test_an_empty_cache_has_no_answer(self) -> None:
        assert await self.make().lookup(self.exchange()) is None, "it answers what was never stored"

    async def test_a_hit_is_what_was_stored(self) -> None:
        found = await (await self._kept()).lookup(self.exchange())
        assert isinstance(found, Reply), f"a stored answer is looked up as {found!r}"
        stored = self.reply()
        for name in ("status", "body", "content_type"):
            assert getattr(found, name) == getattr(stored, name), f"a hit has another {name}"
        assert found.usage.input_tokens == stored.usage.input_tokens, "a hit says what the answer once cost"
        assert found.usage.output_tokens == stored.usage.output_tokens

    async def test_a_hit_can_be_had_again(self) -> None:
        cache = await self._kept()
        for _ in range(3):
            assert await cache.lookup(self.exchange()) is not None, "a hit can be had only so often"

    async def test_what_becomes_of_one_hit_does_not_show_in_the_next(self) -> None:
        cache = self.make()
        stored = self.reply()
        await cache.store(self.exchange(), stored)
        stored.body = b"changed after it was stored"
        stored.usage.input_tokens = 999
        for _ in range(2):
            found = await cache.lookup(self.exchange())
            assert found is not None
            assert found.body == _BODY, "an answer in the cache was changed from outside"
            assert found.usage.input_tokens == 11, "the usage in the cache was changed from outside"
            found.body = b"masked"
            found.usage.input_tokens = 999

    async def test_another_question_has_no_answer(self) -> None:
        cache = await self._kept()
        found = await cache.lookup(self.exchange("How do I bake bread?"))
        assert found is None, "another question gets the answer"

    async def test_every_member_of_a_request_counts(self) -> None:
        if not self.exact:
            pytest.skip("near questions share an answer")
        cache = await self._kept()
        members: dict[str, Any] = {"temperature": 1.0, "max_tokens": 7, "seed": 1, "no_such_member": "x"}
        for name, value in members.items():
            if name not in self.ignores:
                found = await cache.lookup(self.exchange(**{name: value}))
                assert found is None, f"'{name}' makes no difference"

    async def test_another_model_has_no_answer(self) -> None:
        cache = await self._kept()
        other = self.exchange(model="another-model")
        other.model = make_model("another-model")
        assert await cache.lookup(other) is None, "another model gets the answer"

    async def test_a_name_that_now_stands_for_another_model_has_no_answer(self) -> None:
        cache = await self._kept()
        other = self.exchange()
        other.model = make_model(id="id-of-another-row")
        assert await cache.lookup(other) is None, "the name stands for another model, and still hits"

    async def test_callers_do_not_see_each_others_answers_unless_they_share_on_purpose(self) -> None:
        cache = self.make()
        await cache.store(self.exchange(principal=make_principal("key-1", team_id="team-1")), self.reply())
        other = self.exchange(principal=make_principal("key-2", team_id="team-2"))
        found = await cache.lookup(other)
        if self.shared:
            assert found is not None, "callers are said to share, and do not"
        else:
            assert found is None, "a caller gets what another one asked for"

    async def test_an_answer_is_forgotten_in_time(self) -> None:
        if not self.ttl:
            pytest.skip("answers of the example row are kept for good")
        services = self.services()
        cache = self.make(services)
        await cache.store(self.exchange(), self.reply())
        services.clock.advance(self.ttl * 0.9)
        assert await cache.lookup(self.exchange()) is not None, "it forgets too early"
        services.clock.advance(self.ttl * 0.2)
        assert await cache.lookup(self.exchange()) is None, "it forgets too late"

    async def test_a_later_answer_takes_the_place_of_an_earlier_one(self) -> None:
        cache = await self._kept()
        await cache.store(self.exchange(), self.reply(b'{"choices":[]}'))
        found = await cache.lookup(self.exchange())
        assert found is not None
        assert found.body == b'{"choices":[]}', "the earlier answer is still given"

    async def test_any_bytes_can_be_stored(self) -> None:
        cache = self.make()
        for number, body in enumerate((b"", b"\x00\xff", "\u65e5\u672c".encode(), b"x" * 200_000)):
            await cache.store(self.exchange(f"question {number}"), self.reply(body))
            found = await cache.lookup(self.exchange(f"question {number}"))
            assert found is not None, f"{body[:20]!r} was not kept"
            assert found.body == body, f"{body[:20]!r} came back as {found.body[:20]!r}"

    def test_it_says_plainly_whom_it_acts_for(self) -> None:
        answer = self.make().applies(Scope("id-of-a-model", "id-of-a-key", ""))
        assert isinstance(answer, bool), f"applies answers {answer!r}"
