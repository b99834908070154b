"""What a ``provider_`` plugin promises.

The promises stand in three files by what they are about: addresses and errors here, relayed traffic in
``provider_relay``, translated traffic in ``provider_chat``.
"""

from __future__ import annotations

import inspect
import re
from typing import Any, ClassVar

import pytest

from hookway_sdk.errors import InvalidUpstreamConfig, InvalidUpstreamCredential, UpstreamError
from hookway_sdk.kinds.provider import LocalAnswer, Provider
from hookway_sdk.targets import UpstreamTarget
from hookway_sdk.testing.contracts.garbage import GARBAGE, ODD_TEXTS
from hookway_sdk.testing.contracts.provider_chat import ChatPromises
from hookway_sdk.testing.contracts.provider_relay import RelayPromises
from hookway_sdk.testing.contracts.provider_trial import CREDENTIAL

_URL = re.compile(r"https?://[^/\s]+(/\S*)?")
_HEADER_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
_LINE_BREAKS = ("\r", "\n", "\x00")
_STATUSES = (400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529)


class ProviderContract(RelayPromises, ChatPromises):
    """Promises of a provider; ``provider_trial`` says what a subclass gives."""

    local_body: ClassVar[bytes] = b'{"model":"gpt-test","messages":[{"role":"user","content":"Hello"}]}'

    def test_it_names_what_it_serves_and_speaks(self) -> None:
        for what, words in (("adapters", self.plugin.adapters), ("wires", self.plugin.wires)):
            assert words, f"`{what}` is empty: no deployment leads here"
            assert len(set(words)) == len(words), f"a word stands twice in `{what}`"
        odd = [wire for wire in self.plugin.wires if not re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)+", wire)]
        assert not odd, f"a wire is written 'family.name', unlike {odd}"

    # ── addresses ───────────────────────────────────────────────────────────────────────────

    async def _targets(self, **facts: Any) -> list[UpstreamTarget]:
        async with self.running() as provider:
            deployment = self.deployment(**facts)
            return [
                provider.target(deployment, wire, stream)
                for wire in self.plugin.wires
                for stream in (False, True)
            ]

    async def test_a_plain_deployment_has_an_address(self) -> None:
        if self.plugin.local:
            pytest.skip("it answers by itself")
        for target in await self._targets():
            assert isinstance(target, UpstreamTarget), f"target answers {target!r}"
            assert _URL.fullmatch(target.url), f"'{target.url}' is no absolute URL"
            names = [name for name, _ in target.headers]
            assert all(_HEADER_NAME.fullmatch(name) for name in names), (
                f"names are lower case, unlike {names}"
            )
            assert len(set(names)) == len(names), f"a header stands twice in {names}"
            if target.method == "POST":
                assert "content-type" in names, "the target says no content-type"

    async def test_the_credential_stands_in_a_header_and_nowhere_else(self) -> None:
        if self.plugin.local or not self.sends_credential:
            pytest.skip("it sends no stored credential")
        for target in await self._targets():
            assert CREDENTIAL not in target.url, "the credential stands in the URL, which logs repeat"
            assert any(CREDENTIAL in value for _, value in target.headers), "the credential is not sent"

    async def test_a_credential_cannot_break_out_of_its_header(self) -> None:
        if self.plugin.local or not self.sends_credential:
            pytest.skip("it sends no stored credential")
        for line_break in _LINE_BREAKS:
            try:
                targets = await self._targets(secret=f"{CREDENTIAL}{line_break}x-admin: yes")
            except InvalidUpstreamCredential as error:
                assert CREDENTIAL not in f"{error} {error.detail}", "the error repeats the credential"  # noqa: PT017
                continue
            broken = [
                value for target in targets for _, value in target.headers if set(value) & set(_LINE_BREAKS)
            ]
            assert not broken, f"{line_break!r} in a credential reaches a header"

    async def test_settings_that_make_no_address_are_refused_as_such(self) -> None:
        if self.plugin.local:
            pytest.skip("it answers by itself")
        for base in (
            "no url",
            "ftp://example.com",
            "http://",
            "https://exa mple.com",
            "\x00",
            "//example.com",
        ):
            try:
                targets = await self._targets(api_base=base)
            except InvalidUpstreamConfig:
                continue
            assert all(_URL.fullmatch(one.url) for one in targets), f"api_base '{base}' makes no URL"

    async def test_an_odd_model_name_does_not_change_the_host(self) -> None:
        if self.plugin.local:
            pytest.skip("it answers by itself")
        plain = {one.url.split("/")[2] for one in await self._targets()}
        for model in (
            "../../other",
            "//evil.example/",
            "a?b=c",
            "a#b",
            "a b",
            "@evil.example",
            "\u65e5\u672c",
        ):
            try:
                targets = await self._targets(model=model)
            except InvalidUpstreamConfig:
                continue
            assert {one.url.split("/")[2] for one in targets} == plain, f"model '{model}' leads elsewhere"
            assert all(_URL.fullmatch(one.url) for one in targets), f"model '{model}' makes no URL"
            assert not any("/../" in one.url for one in targets), f"model '{model}' climbs out of its path"

    async def test_signing_adds_headers_or_nothing(self) -> None:
        async with self.running() as provider:
            if type(provider).sign is Provider.sign:
                pytest.skip("it signs nothing")
            wire = self.plugin.wires[0]
            target = UpstreamTarget("http://127.0.0.1:9/") if self.plugin.local else None
            deployment = self.deployment()
            target = target or provider.target(deployment, wire, False)
            added = await provider.sign(deployment, target, b"{}")
            assert isinstance(added, tuple), f"sign answers {added!r}"
            assert all(_HEADER_NAME.fullmatch(name) and value.isprintable() for name, value in added)

    # ── errors ──────────────────────────────────────────────────────────────────────────────

    async def test_any_error_answer_is_read_as_an_upstream_error(self) -> None:
        async with self.running() as provider:
            for status in _STATUSES:
                for body in (*GARBAGE, *(text.encode("utf-8", "replace") for text in ODD_TEXTS)):
                    error = provider.error(status, {}, body)
                    assert isinstance(error, UpstreamError), f"error answers {error!r}"
                    assert 400 <= error.status <= 599, f"status {error.status} for the caller"

    async def test_the_status_of_an_error_answer_is_kept(self) -> None:
        async with self.running() as provider:
            for status in _STATUSES:
                error = provider.error(status, {}, b"{}")
                assert error.upstream_status == status, f"{status} became {error.upstream_status}"
                kept = error.status == status if status < 500 else error.status >= 500
                assert kept, f"a caller sees {error.status} for the provider's {status}"

    async def test_recorded_error_answers_keep_their_sentence(self) -> None:
        if not self.errors:
            pytest.skip("no `errors` are given")
        async with self.running() as provider:
            for status, body, sentence in self.errors:
                error = provider.error(status, {}, body)
                said = error.message if status < 500 else f"{error.detail}"
                assert sentence in said, f"'{sentence}' is lost; it says '{said}'"

    async def test_what_a_failing_provider_says_is_for_operators(self) -> None:
        async with self.running() as provider:
            for status, body, sentence in self.errors:
                if status >= 500:
                    error = provider.error(status, {}, body)
                    assert sentence not in error.message, (
                        "a 5xx names hosts; its text is no caller's business"
                    )

    async def test_a_long_error_answer_makes_a_short_message(self) -> None:
        async with self.running() as provider:
            for body in (b"x" * 65_536, b'{"error":{"message":"' + b"x" * 60_000 + b'"}}'):
                error = provider.error(400, {}, body)
                assert len(error.message) <= 2_048, f"a message of {len(error.message)} characters"

    async def test_retry_after_is_read_and_nonsense_is_not(self) -> None:
        async with self.running() as provider:
            after = provider.error(429, {"retry-after": "7"}, b"{}").retry_after
            assert after == 7, f"a Retry-After of 7 became {after!r}"
            for odd in ("", "soon", "-5", "nan", "inf", "1e400", "7\u0660", "9" * 400):
                after = provider.error(429, {"retry-after": odd}, b"{}").retry_after
                assert after is None or (isinstance(after, int) and after >= 0), f"'{odd}' became {after!r}"

    # ── providers without a network ─────────────────────────────────────────────────────────

    async def test_what_it_answers_by_itself_is_read_like_an_upstream(self) -> None:
        if not self.plugin.local:
            pytest.skip("it has an upstream")
        async with self.running() as provider:
            for stream in (False, True):
                answer = await provider.answer(self.deployment(), self.local_body, stream)
                assert isinstance(answer, LocalAnswer), f"it answers {answer!r}"
                body = answer.body
                if not isinstance(body, bytes):
                    assert inspect.isasyncgen(body) or hasattr(body, "__aiter__")
                    body = b"".join([piece async for piece in body])
                assert 200 <= answer.status < 300, f"it answers {answer.status} to a plain request"
                self.read_whole(provider, self.plugin.wires[0], body, stream)
