"""The smallest honest plugin of each kind; the contracts are proven with these and with broken ones."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from hookway_sdk import (
    Admin,
    Attempt,
    Auth,
    Block,
    Budget,
    BudgetExceeded,
    Cache,
    Candidate,
    ChatAnswer,
    ChatRequest,
    Choice,
    Conductor,
    Credential,
    Decision,
    Event,
    Exchange,
    Guard,
    Guardrail,
    Limit,
    LimitExceeded,
    Mask,
    Message,
    Next,
    NoSettings,
    OperatorReply,
    OperatorRequest,
    OperatorRoute,
    Phase,
    Place,
    Plan,
    Plugin,
    Principal,
    RemoteGuardrail,
    Reply,
    RequestEnded,
    Reservation,
    Resilience,
    Retry,
    Row,
    Service,
    Services,
    Settings,
    Sink,
    Source,
    SourceDocument,
    SourceRow,
    Span,
    StartError,
    Store,
    Strategy,
    Text,
    TextPart,
    Tokens,
    Unauthenticated,
    UpstreamUndecodable,
    Usage,
    Verdict,
    Window,
    hookimpl,
    priorities,
)
from hookway_sdk.memory_state import MemoryState
from hookway_sdk.secrets import Secret
from hookway_sdk.state import Acquire, Get, Hit, Increment, LeaseResult, Result, Set, ValueResult


class OneTokenSettings(Settings):
    """Settings of :class:`OneToken`.

    Args:
        token: the one that counts.
    """

    token: Secret


class OneToken(Auth[OneTokenSettings]):
    """Let in who has the one token."""

    async def authenticate(self, exchange: Exchange, credential: Credential | None) -> Principal | None:
        if credential is None or credential.scheme != "bearer":
            return None
        token = credential.token.reveal().encode(errors="surrogateescape")
        if not hmac.compare_digest(token, self.settings.token.reveal().encode()):
            raise Unauthenticated("unknown token")
        return Principal("the-one", method="one_token")


class Everyone(Auth[NoSettings]):
    """Let everyone in."""

    async def authenticate(self, exchange: Exchange, credential: Credential | None) -> Principal | None:
        return Principal("everyone", method="anonymous")


class Shuffled(Strategy[NoSettings]):
    """Order candidates by chance."""

    async def order(self, exchange: Exchange, group: str, tier: Sequence[Candidate]) -> Sequence[Candidate]:
        return sorted(tier, key=lambda candidate: self.services.random.random() ** (1 / candidate.weight))


class Lines(Sink[NoSettings]):
    """Keep the ids of requests, and say them on a tick."""

    events = (RequestEnded,)

    def __init__(self, name: str, settings: NoSettings, services: Services) -> None:
        super().__init__(name, settings, services)
        self.waiting: list[str] = []

    async def start(self) -> None:
        self.services.tasks.on_tick(self.flush)

    def record(self, event: Event) -> None:
        assert isinstance(event, RequestEnded)
        self.waiting.append(event.request_id)

    def flush(self) -> None:
        waiting, self.waiting = self.waiting, []
        for request_id in waiting:
            self.services.log.info("ended", request_id=request_id)


class Words(Service[NoSettings]):
    """Count words for tokens."""

    provides = Tokens

    async def count(self, model: str, text: str) -> int:
        return len(text.split())

    def count_now(self, model: str, text: str) -> int | None:
        return len(text.split())


class Memory(Store[NoSettings]):
    """Keep state in memory."""

    def __init__(self, name: str, settings: NoSettings, services: Services) -> None:
        super().__init__(name, settings, services)
        self._state = MemoryState(services.clock)

    def state(self) -> MemoryState:
        return self._state


class _Counted(Reservation):
    __slots__ = ("hit", "result", "services")

    def __init__(self, services: Services, hit: Hit, result: Result) -> None:
        self.services = services
        self.hit = hit
        self.result = result

    def settle(self, usage: Usage) -> None:
        self.services.state.post((self.hit.settle(self.result, usage.total_tokens),))

    def release(self) -> None:
        self.services.state.post((self.hit.settle(self.result, 0),))


class FewTokens(Limit[NoSettings]):
    """Let each caller but the free one use 300 tokens a minute, a request holding 100."""

    async def admit_request(self, exchange: Exchange) -> None:
        assert exchange.principal is not None
        if exchange.principal.key_id == "free":
            return
        hit = Hit(f"tokens:{exchange.principal.key_id}", 300, 60.0, 100)
        (result,) = await self.services.state.apply((hit,))
        if not result.allowed:
            self.refuse()
        exchange.reserve(_Counted(self.services, hit, result))

    def refuse(self) -> None:
        raise LimitExceeded("tokens", retry_after=60)


class FewDollars(Budget[NoSettings]):
    """Let everybody together spend 300 of something, a request holding 100."""

    async def admit_request(self, exchange: Exchange) -> None:
        hit = Hit("spent", 300, 86_400.0, 100)
        (result,) = await self.services.state.apply((hit,))
        if not result.allowed:
            raise BudgetExceeded("the budget is used up")
        exchange.reserve(_Counted(self.services, hit, result))


class TwoAtATime(Limit[NoSettings]):
    """Let a target serve two requests at a time."""

    async def admit_attempt(self, exchange: Exchange, attempt: Attempt) -> None:
        acquire = Acquire(attempt.candidate.deployment.id, exchange.id, 2, 300.0)
        (result,) = await self.services.state.apply((acquire,))
        assert isinstance(result, LeaseResult)
        if not result.allowed:
            raise LimitExceeded("concurrency")
        attempt.reserve(_Lease(self.services, acquire))


class _Lease(Reservation):
    __slots__ = ("acquire", "services")

    def __init__(self, services: Services, acquire: Acquire) -> None:
        self.services = services
        self.acquire = acquire

    def settle(self, usage: Usage) -> None:
        self.release()

    def release(self) -> None:
        self.services.state.post((self.acquire.release(),))


class DigitsRow(Row):
    """Fields of a row of kind ``digits``.

    Args:
        word: what is refused.
        pattern: what is masked.
    """

    word: str
    pattern: str = r"[0-9]{4}"


class Digits(Guardrail[DigitsRow]):
    """Refuse one word and mask stretches of four digits."""

    stream = Window(size=200, overlap=40)

    def prepare(self) -> None:
        try:
            self.pattern = re.compile(self.row.pattern)
        except re.error as error:
            raise ValueError(f"pattern '{self.row.pattern}' is no expression: {error}") from error

    def check(self, text: Text) -> Verdict | None:
        if self.row.word in text:
            return Block("a refused word")
        spans = tuple(Span(*found.span(), "****") for found in self.pattern.finditer(text))
        return Mask(spans, "digits") if spans else None


class AskedRow(Row):
    """Fields of a row of kind ``asked``.

    Args:
        url: where the service listens.
    """

    url: str = "http://127.0.0.1:9/judge"


class Asked(RemoteGuardrail[AskedRow]):
    """Ask a service that answers one word for each text."""

    async def check(self, texts: Sequence[Text], exchange: Exchange) -> Sequence[Verdict | None]:
        if not texts:
            return []
        body = msgspec.json.encode([str(text) for text in texts])
        answer = await self.services.http.request("POST", self.row.url, body=body, timeout=self.timeout)
        if answer.status != 200:
            raise UpstreamUndecodable(f"status {answer.status}")
        words = msgspec.json.decode(answer.body, type=list[str])
        if len(words) != len(texts):
            raise UpstreamUndecodable("another number of words")
        return [self.verdict(word, text) for word, text in zip(words, texts, strict=True)]

    def verdict(self, word: str, text: Text) -> Verdict | None:
        if word == "ok":
            return None
        return Block(word) if word == "no" else Mask((Span(0, len(text), "***"),), word)


class Remembered(Cache[Row]):
    """Remember answers for a minute."""

    ttl = 60.0

    def key(self, exchange: Exchange) -> str:
        assert exchange.principal is not None
        asked = (exchange.endpoint.path, exchange.principal.key_id, exchange.model.id)
        body = sorted((name, bytes(value)) for name, value in exchange.request.envelope.items())
        return hashlib.sha256(repr((asked, body)).encode()).hexdigest()

    async def lookup(self, exchange: Exchange) -> Reply | None:
        (found,) = await self.services.state.apply((Get(self.key(exchange)),))
        assert isinstance(found, ValueResult)
        return msgspec.msgpack.decode(found.value, type=Reply) if found.value else None

    async def store(self, exchange: Exchange, reply: Reply) -> None:
        await self.services.state.apply((Set(self.key(exchange), msgspec.msgpack.encode(reply), self.ttl),))


class Breaker(Resilience[NoSettings]):
    """Keep requests for half a minute from a target that failed three times."""

    async def broken(self, plan: Plan) -> list[Candidate]:
        results = await self.services.state.apply([Get(one.deployment.id) for one in plan.candidates])
        return [
            candidate
            for candidate, result in zip(plan.candidates, results, strict=True)
            if isinstance(result, ValueResult) and int(result.value or 0) >= 3
        ]

    async def filter(self, exchange: Exchange, plan: Plan) -> None:
        for candidate in await self.broken(plan):
            plan.exclude(candidate, "it failed three times")

    async def judge(self, exchange: Exchange, attempt: Attempt) -> Decision | None:
        return Retry(0.1) if attempt.index == 0 else Next()

    def ended(self, exchange: Exchange, attempt: Attempt) -> None:
        if attempt.error is not None:
            self.services.state.post((Increment(attempt.candidate.deployment.id, 1, 30.0),))


class Doors(Admin[NoSettings]):
    """Show the time, and take notes."""

    def routes(self) -> Sequence[OperatorRoute]:
        return (
            OperatorRoute("metrics", "GET", "/time", self.time, Guard.NONE),
            OperatorRoute("admin", "GET", "/notes/{id}", self.time),
            OperatorRoute("admin", "POST", "/notes", self.note),
        )

    async def time(self, request: OperatorRequest) -> OperatorReply:
        return OperatorReply(msgspec.json.encode({"time": self.services.clock.now()}))

    async def note(self, request: OperatorRequest) -> OperatorReply:
        try:
            note = msgspec.json.decode(request.body, type=dict[str, str])
        except (ValueError, RecursionError):
            return OperatorReply(b'{"error":"no note"}', 400)
        return OperatorReply(msgspec.json.encode(note))


class PanelRow(Row):
    """Fields of a model with ``panel``.

    Args:
        panel: the models that are asked.
    """

    panel: tuple[str, ...] = ("first", "second")


class Panel(Conductor[PanelRow]):
    """Ask several models and give the longest answer."""

    shape = "panel"

    async def run(self, exchange: Exchange, request: ChatRequest) -> ChatAnswer:
        answers = [await self.services.call(name, request, parent=exchange) for name in self.row.panel]
        texts = [
            part.text
            for answer in answers
            for choice in answer.choices
            for part in choice.message.parts
            if isinstance(part, TextPart)
        ]
        if not any(texts):
            raise UpstreamUndecodable("nobody said anything")
        message = Message(role="assistant", parts=(TextPart(text=max(texts, key=len)),))
        return ChatAnswer(choices=(Choice(message=message),))


class OneFileSettings(Settings):
    """Settings of :class:`OneFile`.

    Args:
        path: the file.
    """

    path: str


class OneFile(Source[OneFileSettings]):
    """Read rows from one JSON file."""

    def read(self) -> bytes:
        try:
            return Path(self.settings.path).read_bytes()
        except OSError as error:
            raise StartError(f"cannot read '{self.settings.path}': {error.strerror}") from error

    async def load(self) -> SourceDocument:
        text = self.read()
        document = self.services.documents.parse(text, file=self.settings.path)
        place = Place(self.settings.path, 1)
        rows = {
            collection: [SourceRow(row, {(name,): place for name in row}, place) for row in rows]
            for collection, rows in document.value.items()
        }
        places = dict.fromkeys(rows, place)
        return SourceDocument(rows, places, hashlib.sha256(text).hexdigest())

    async def watch(self, changed: Callable[[], None]) -> None:
        self.seen = self.read()

        async def look() -> None:
            now = self.read()
            if now != self.seen:
                self.seen = now
                changed()

        self.services.tasks.every("watch", 1.0, look)


class Tagger(Plugin[NoSettings]):
    """Tag requests by their user agent."""

    needs = (Tokens,)

    async def start(self) -> None:
        self.tokens = self.services.get(Tokens)

    @hookimpl(priority=priorities.FIRST)
    async def authorize(self, exchange: Exchange) -> None:
        exchange.tag("agent", exchange.client.user_agent)

    @hookimpl
    def record(self, event: Event) -> None:
        self.services.log.info("event", phase=Phase.RECORD)
