"""The counts of one process: one row per combination of labels, from which a scrape derives every family."""

from __future__ import annotations

from bisect import bisect_left

from hookway_plugins.sink_prometheus.client_rules import compile_rule
from hookway_plugins.sink_prometheus.client_types import Rule, client_type
from hookway_plugins.sink_prometheus.labels import INTERNAL, LEFT
from hookway_plugins.sink_prometheus.outcomes import Outcomes
from hookway_plugins.sink_prometheus.row_index import RowIndex
from hookway_plugins.sink_prometheus.rows import RequestRow, UsageRow
from hookway_plugins.sink_prometheus.settings import PrometheusSettings
from hookway_plugins.sink_prometheus.sketch import BOUNDS
from hookway_sdk import RequestEnded

AT_ONCE = 16
"""Requests that are counted together: those after the first cost half as much."""

CACHED_AGENTS = 4_096
"""User agents whose word is remembered; callers choose them, so beyond that they are forgotten together."""


class Tally:
    """Counts that live as long as the process, so that a reload of settings loses none.

    Attributes:
        settings: those of the newest instance that was used.
        generation: number of that instance.
        index: rows of requests.
        outcomes: attempts and credentials.
        clients: tokens read and written, by word for the client and model.
        rejected_kinds: collections that had rejected rows.
        stale_kinds: collections in which last good values served in place of rejected rows.
        hashes: hash of the configuration that serves, and of the one before it.
    """

    def __init__(self, settings: PrometheusSettings) -> None:
        self.settings = settings
        self.generation = 0
        self.index = RowIndex(settings)
        self.outcomes = Outcomes(settings.max_rows)
        self.clients: dict[tuple[str, str], list[int]] = {}
        self.rejected_kinds: set[str] = set()
        self.stale_kinds: set[str] = set()
        self.hashes: tuple[str, ...] = ()
        self._enrolled = 0
        self._waiting: list[RequestEnded] = []
        self._agents: dict[str, str] = {}
        self._rules: tuple[Rule, ...] = ()
        self._take(settings)

    # ── settings ────────────────────────────────────────────────────────────────────────────

    def enrol(self) -> int:
        """Return the number of a new instance; a higher one is newer."""
        self._enrolled += 1
        return self._enrolled

    def adopt(self, generation: int, settings: PrometheusSettings) -> None:
        """Follow the settings of an instance that is in use, unless a newer one has been.

        An instance may be made for a configuration that is then refused, so that being made changes nothing.
        """
        if generation > self.generation:
            self.generation = generation
            if settings != self.settings:
                self.catch_up()
                self._take(settings)

    def _take(self, settings: PrometheusSettings) -> None:
        self.settings = settings
        self._rules = tuple((compile_rule(one.pattern), one.client) for one in settings.client_type_rules)
        self._agents.clear()
        self._edges, self._first_edges = self.index.adopt(settings)
        self._by_event = self.index.by_event
        self.outcomes.most = settings.max_rows

    # ── requests ────────────────────────────────────────────────────────────────────────────

    def ended(self, event: RequestEnded) -> None:
        """Count a request that ended, with the next few or at the next scrape."""
        self._waiting.append(event)
        if len(self._waiting) >= AT_ONCE:
            self.catch_up()

    def catch_up(self) -> None:
        """Count the requests that wait for others; who reads the counts asks for it."""
        waiting = self._waiting
        waiting.reverse()
        while waiting:
            self._count(waiting.pop())

    def _count(self, event: RequestEnded) -> None:
        if event.parent_id or event.protocol == INTERNAL:
            self._ended_inside(event)
            return
        status = event.status
        if status == LEFT and event.begun:
            status = 200  # what the caller was told, before it left in the middle of a stream
        key = (
            event.endpoint,
            event.model,
            status,
            event.stream,
            event.key_id,
            event.provider_key_id,
            event.target_model,
            event.provider,
            event.protocol,
            event.provider_key_name,
            event.team_id,
            event.user_id,
            event.user_name,
        )
        row = self._by_event.get(key) or self.index.find(event, status, key)
        if event.last_attempt == "fallback":
            row.fallbacks += 1
        else:
            row.direct += 1
        took, first = event.latency_ms, event.ttft_ms
        latency = row.latency
        latency.ms += took
        latency.counts[bisect_left(self._edges, took)] += 1
        if first:
            self._first(row, first)
            took = first
        row.ms += took
        if (sketch := row.sketch) is not None:
            bucket = bisect_left(BOUNDS, took)
            sketch[bucket] = sketch.get(bucket, 0) + 1
        usage = event.usage
        read, wrote = usage.input_tokens, usage.output_tokens
        if read or wrote:
            self._tokens(row.usage, event.user_agent, read, wrote)
        if event.auth_method:
            allowed = self.outcomes.allowed
            allowed[event.auth_method] = allowed.get(event.auth_method, 0) + 1

    def _first(self, row: RequestRow, first: float) -> None:
        """Count the first piece of a stream."""
        usage, latency = row.usage, row.latency
        usage.firsts += 1
        usage.first_ms += first
        if (sketch := usage.first_sketch) is not None:
            bucket = bisect_left(BOUNDS, first)
            sketch[bucket] = sketch.get(bucket, 0) + 1
        if latency.firsts is None:
            latency.firsts = [0] * (len(self._first_edges) + 1)
        latency.firsts[bisect_left(self._first_edges, first)] += 1
        latency.first_ms += first

    def _tokens(self, usage: UsageRow, agent: str, read: int, wrote: int) -> None:
        """Count tokens."""
        usage.input += read
        usage.output += wrote
        place = (self._agents.get(agent) or self._client(agent), usage.model)
        cell = self.clients.get(place)
        if cell is None:
            cell = self.clients[place] = [0, 0]
        cell[0] += read
        cell[1] += wrote

    def _client(self, agent: str) -> str:
        if len(self._agents) >= CACHED_AGENTS:
            self._agents.clear()
        word = self._agents[agent] = client_type(agent, self._rules)
        return word

    def _ended_inside(self, event: RequestEnded) -> None:
        """Take note of a nested call, which is no caller's request.

        What it used is in its parent's usage already, unless the gateway made it for itself.
        """
        usage = event.usage
        if event.auth_method == INTERNAL and (usage.input_tokens or usage.output_tokens):
            row = self.index.usage_row(event)
            self._tokens(row, event.user_agent, usage.input_tokens, usage.output_tokens)
