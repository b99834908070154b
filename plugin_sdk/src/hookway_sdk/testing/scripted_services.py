"""Services whose answers a test writes: HTTP, nested calls, documents and the root secret."""

from __future__ import annotations

import hashlib
import hmac
import inspect
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from hookway_sdk.errors import ConfigError, ProviderUnavailable, TransportFailed, UpstreamTooLarge
from hookway_sdk.exchange import Exchange
from hookway_sdk.messages import ChatAnswer, ChatRequest
from hookway_sdk.problems import Place, Problem
from hookway_sdk.scalars import LooseText, VariableText
from hookway_sdk.services import Charge, Document, HttpAnswer


class HttpCall(msgspec.Struct, frozen=True):
    """One request that a plugin sent."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    timeout: float = 30.0
    limit: int = 8 * 1024 * 1024
    caller_supplied: bool = False

    def header(self, name: str) -> str:
        """Return the first value of a header, ``""`` if absent."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    def json(self) -> Any:
        """Return the body as plain data."""
        return msgspec.json.decode(self.body)


class HttpReply(msgspec.Struct, frozen=True):
    """An answer to a plugin's request."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    def header(self, name: str) -> str:
        """Return the first value of a header, ``""`` if absent."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    @classmethod
    def of(cls, value: Any, status: int = 200) -> HttpReply:
        """Make a JSON answer."""
        return cls(status, msgspec.json.encode(value), (("content-type", "application/json"),))


HttpScript = Callable[[HttpCall], HttpAnswer | Awaitable[HttpAnswer]]
"""What answers in place of the network; it may raise what ``Http.request`` raises."""


class ScriptedHttp:
    """HTTP that asks a function, or refuses as a dead network does.

    Attributes:
        calls: every request, in order.
    """

    def __init__(self, script: HttpScript | None = None) -> None:
        self.script = script
        self.calls: list[HttpCall] = []

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        timeout: float = 30.0,  # noqa: ASYNC109  # the protocol's own argument
        limit: int = 8 * 1024 * 1024,
        caller_supplied: bool = False,
    ) -> HttpAnswer:
        """Note the request and let the script answer it."""
        call = HttpCall(method, url, tuple(headers), body, timeout, limit, caller_supplied)
        self.calls.append(call)
        if self.script is None:
            raise TransportFailed(f"a test without network; answer {method} with http=", sent=False)
        answer = self.script(call)
        if inspect.isawaitable(answer):
            answer = await answer
        if len(answer.body) > limit:
            raise UpstreamTooLarge(limit)
        return answer


class NestedCall(msgspec.Struct, frozen=True):
    """One nested call that a plugin made."""

    model: str
    request: ChatRequest
    parent: Exchange | None
    charge: Charge


CallScript = Callable[[NestedCall], ChatAnswer]
"""What answers nested calls; it may raise any ``GatewayError``."""


class ScriptedCaller:
    """Nested calls that ask a function, or end as for a model without a provider.

    Attributes:
        calls: every call, in order.
    """

    def __init__(self, script: CallScript | None = None) -> None:
        self.script = script
        self.calls: list[NestedCall] = []

    async def __call__(
        self, model: str, request: ChatRequest, *, parent: Exchange | None, charge: Charge = Charge.PARENT
    ) -> ChatAnswer:
        """Note the call and let the script answer it."""
        call = NestedCall(model, request, parent, charge)
        self.calls.append(call)
        if self.script is None:
            raise ProviderUnavailable(f"no model '{model}' in this test; answer it with call=")
        return self.script(call)


class ScriptedDocuments:
    """A strict reader of JSON; give it a ``parser`` for anything else.

    The SDK brings no YAML. A test of a plugin that reads YAML passes ``parser=yaml.safe_load`` (with
    PyYAML among its own test dependencies), or tests through the gateway, whose reader is YAML 1.2 and
    knows the place of every key. This one knows the place of the document only.
    """

    def __init__(
        self,
        parser: Callable[[bytes], Any] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._parse = parser or _parse_json
        self._environment = environment or {}

    def parse(self, text: bytes, *, file: str, interpolate: bool = False) -> Document:
        """Parse one document."""
        try:
            value = self._parse(text)
            if interpolate:
                value = self._filled(value)
        except ConfigError:
            raise
        except Exception as error:  # whatever an injected parser raises is the document's fault
            raise ConfigError([Problem("", f"cannot be read: {error}", place=Place(file, 1))]) from error
        return Document(value, {(): Place(file, 1)})

    def _filled(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._interpolated(value)
        if isinstance(value, list):
            return [self._filled(item) for item in value]
        if isinstance(value, dict):
            return {name: self._filled(item) for name, item in value.items()}
        return value

    def _interpolated(self, text: str) -> str:
        if whole := _VARIABLE.fullmatch(text):
            return LooseText(self._variable(whole))
        filled = _VARIABLE.sub(self._variable, text)
        return text if filled == text else VariableText(filled)

    def _variable(self, found: re.Match[str]) -> str:
        value = self._environment.get(found[1])
        if value is None:
            raise ValueError(f"variable '{found[1]}' is not set")
        return value


_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def _parse_json(text: bytes) -> Any:
    return json.loads(text, object_pairs_hook=_without_repeats, parse_constant=_refuse_constant)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    built = dict(pairs)
    if len(built) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return built


def _refuse_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


class HmacSecrets:
    """Signing under a root secret, HMAC-SHA-256 with a key derived for each purpose.

    Args:
        root: the current root secret.
        previous: the one before it, whose signatures still count.
    """

    def __init__(self, root: bytes = b"a root secret for tests", previous: bytes | None = None) -> None:
        self._roots = (root,) if previous is None else (root, previous)

    def sign(self, purpose: str, data: bytes) -> bytes:
        """Return a MAC under the current root secret."""
        return _mac(self._roots[0], purpose, data)

    def verify(self, purpose: str, data: bytes, mac: bytes) -> bool:
        """Check a MAC against every root secret, in constant time."""
        return any([hmac.compare_digest(_mac(root, purpose, data), mac) for root in self._roots])


def _mac(root: bytes, purpose: str, data: bytes) -> bytes:
    key = hmac.digest(root, purpose.encode(), hashlib.sha256)
    return hmac.digest(key, data, hashlib.sha256)
