"""What the gateway gives every plugin: state, tasks, metrics, HTTP, nested calls, others' services."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from hookway_sdk.metrics import Metrics
from hookway_sdk.problems import Place

if TYPE_CHECKING:
    from hookway_sdk.brand import Brand
    from hookway_sdk.clock import Clock, Random
    from hookway_sdk.events import Event
    from hookway_sdk.exchange import Exchange
    from hookway_sdk.messages import ChatAnswer, ChatRequest
    from hookway_sdk.state import State
    from hookway_sdk.status import StatusView

P = TypeVar("P")


class HttpAnswer(Protocol):
    """An answer of :class:`Http`, read whole."""

    @property
    def status(self) -> int:
        """HTTP status."""

    @property
    def body(self) -> bytes:
        """The body, decompressed."""

    def header(self, name: str) -> str:
        """Return the first value of a header, ``""`` if absent."""


class Http(Protocol):
    """Calls to other services (a guardrail's API, a token endpoint); model traffic is the core's."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        timeout: float = 30.0,  # noqa: ASYNC109  # one deadline for connect, send and read together
        limit: int = 8 * 1024 * 1024,
        caller_supplied: bool = False,
    ) -> HttpAnswer:
        """Send a request and read the answer.

        Args:
            timeout: seconds for all of it.
            limit: bytes of the answer that are read at most.
            caller_supplied: the URL came from a caller: only public addresses are reached, redirects are
                not followed, and no stored credential may be among the headers.

        Raises:
            UpstreamError: no answer, or not in time.
            PermissionDenied: a caller's URL leads to an address that is not public.
        """


class Charge(enum.StrEnum):
    """Who pays for a nested call."""

    PARENT = "parent"
    """The principal of the exchange it belongs to: its limits and budgets apply."""
    GATEWAY = "gateway"
    """Nobody but the gateway: the work was not asked for by the caller (probes, embeddings of examples)."""


class Caller(Protocol):
    """Nested calls: one request asks another model (a judge, an embedding, a tool round, a probe)."""

    async def __call__(
        self,
        model: str,
        request: ChatRequest,
        *,
        parent: Exchange | None,
        charge: Charge = Charge.PARENT,
    ) -> ChatAnswer:
        """Run a child exchange and return its answer.

        It has the parent's principal, attempts admitted and settled on their own, is at most four levels
        deep, and is cancelled with its parent.

        Raises:
            GatewayError: whatever ended it.
        """


class Tasks(Protocol):
    """Supervised background work. A plugin's tasks end when its instance stops."""

    def start(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run a coroutine function until it returns; one that raises is logged, restarted with back-off."""

    def every(self, name: str, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        """Run a coroutine function at an interval, never twice at once."""

    def on_tick(self, work: Callable[[], None]) -> None:
        """Call a plain function on the worker's 50 ms tick while there is traffic, and once at the end."""


class Log(Protocol):
    """Structured log lines: an event name and fields. Never a body, a prompt or a credential."""

    def debug(self, event: str, **fields: Any) -> None:
        """Say what only a developer needs."""

    def info(self, event: str, **fields: Any) -> None:
        """Say what an operator may want to know."""

    def warning(self, event: str, **fields: Any) -> None:
        """Say what an operator should look at."""

    def error(self, event: str, **fields: Any) -> None:
        """Say what an operator has to mend."""


class Document(msgspec.Struct, frozen=True):
    """A parsed YAML or JSON document.

    Args:
        value: plain data.
        places: where each key and item stands, by path.
    """

    value: Any
    places: Mapping[tuple[str | int, ...], Place]


class Documents(Protocol):
    """Reading of YAML 1.2 and JSON with places, so that a plugin's own files get the same error messages."""

    def parse(self, text: bytes, *, file: str, interpolate: bool = False) -> Document:
        """Parse one document.

        Args:
            file: name for messages.
            interpolate: replace ``${NAME}`` in string values by environment variables.

        Raises:
            ConfigError: the text is not one document of YAML 1.2 core, or a variable is not set.
        """


class Secrets(Protocol):
    """The root secret's uses: signing ids and encrypting at rest."""

    def sign(self, purpose: str, data: bytes) -> bytes:
        """Return a MAC of the data under a key derived for the purpose."""

    def verify(self, purpose: str, data: bytes, mac: bytes) -> bool:
        """Check a MAC, in constant time, against the current and the previous root secret."""


# ── protocols that service_* plugins fill ──────────────────────────────────────────────────


class Tokens(Protocol):
    """Counts tokens the way a model does."""

    async def count(self, model: str, text: str) -> int:
        """Return how many tokens a text is for a model; waits for a table that has to be loaded first."""

    def count_now(self, model: str, text: str) -> int | None:
        """Return the same at once, or ``None`` while the model's table loads (which this begins)."""


class Prices(Protocol):
    """Knows what usage costs."""

    def cost(self, provider: str, model: str, usage: Any) -> int | None:
        """Return the cost in millionths of a US dollar, or ``None`` when the price is unknown."""


class Embedder(Protocol):
    """Turns texts into vectors."""

    async def embed(
        self, texts: Sequence[str], *, parent: Exchange | None = None
    ) -> Sequence[Sequence[float]]:
        """Return one vector for each text."""


class Vectors(Protocol):
    """Keeps vectors and finds near ones."""

    async def put(self, space: str, id: str, vector: Sequence[float], payload: bytes, ttl: float) -> None:
        """Keep a vector for ``ttl`` seconds."""

    async def nearest(
        self, space: str, vector: Sequence[float], count: int
    ) -> Sequence[tuple[str, float, bytes]]:
        """Return id, cosine similarity and payload of the nearest vectors, nearest first."""


class Sql(Protocol):
    """A relational database; statements use ``:name`` parameters."""

    async def fetch(self, statement: str, parameters: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """Run a query."""

    async def execute(self, statements: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Run statements in one transaction."""


class Signer(Protocol):
    """Signs a request for a cloud (AWS SigV4)."""

    async def sign(
        self, method: str, url: str, headers: Sequence[tuple[str, str]], body: bytes
    ) -> Sequence[tuple[str, str]]:
        """Return the headers to add."""


class GoogleAuth(Protocol):
    """Mints access tokens for Google Cloud."""

    async def token(self, credential: Mapping[str, Any]) -> str:
        """Return a token that is valid for at least another minute."""


class Pattern(Protocol):
    """A compiled regular expression of linear time."""

    def spans(self, text: str) -> Sequence[tuple[int, int]]:
        """Return start and end of every match."""


class Regex(Protocol):
    """Compiles user-supplied expressions on an engine that cannot blow up (RE2)."""

    def compile(self, pattern: str, *, ignore_case: bool = False) -> Pattern:
        """Compile an expression.

        Raises:
            ValueError: it is no expression, or needs look-around or back-references.
        """


class Services:
    """The services of one plugin instance; the core makes one for each, under the plugin's name.

    Attributes:
        plugin: the instance's name; prefix of its state keys, logger and tasks.
        http: calls to other services.
        call: nested model calls.
        state: shared counters, leases and values; keys are the plugin's own.
        tasks: background work.
        metrics: metric families.
        log: structured log.
        documents: YAML and JSON with places.
        secrets: signing and encryption under the root secret.
        clock: time.
        random: chance.
        state_dir: a directory of the plugin's own, made on first use.
        brand: names under which the gateway speaks.
        status: state of the configuration and of the models.
        emit: tell every sink an event.
    """

    __slots__ = (
        "_provided",
        "brand",
        "call",
        "clock",
        "documents",
        "emit",
        "http",
        "log",
        "metrics",
        "plugin",
        "random",
        "secrets",
        "state",
        "state_dir",
        "status",
        "tasks",
    )

    def __init__(
        self,
        plugin: str,
        *,
        http: Http,
        call: Caller,
        state: State,
        tasks: Tasks,
        metrics: Metrics,
        log: Log,
        documents: Documents,
        secrets: Secrets,
        clock: Clock,
        random: Random,
        state_dir: Callable[[], Path],
        brand: Brand,
        status: StatusView,
        emit: Callable[[Event], None],
        provided: Mapping[type, object],
    ) -> None:
        self.plugin = plugin
        self.http = http
        self.call = call
        self.state = state
        self.tasks = tasks
        self.metrics = metrics
        self.log = log
        self.documents = documents
        self.secrets = secrets
        self.clock = clock
        self.random = random
        self.state_dir = state_dir
        self.brand = brand
        self.status = status
        self.emit = emit
        self._provided = provided

    def get(self, protocol: type[P]) -> P:
        """Return the service another plugin provides under a protocol the plugin declared in ``needs``.

        Raises:
            LookupError: it was not declared; a declared one is always there.
        """
        found = self._provided.get(protocol)
        if found is None:
            raise LookupError(
                f"plugin '{self.plugin}' uses {protocol.__name__} without declaring it: "
                f"add it to the plugin's needs"
            )
        return found  # type: ignore[return-value]  # the core checked that it fills the protocol
