"""What conf.d says about metrics: the path, the buckets, the words for clients, how many rows are kept."""

from __future__ import annotations

import itertools
import math
import re
from typing import Annotated

import msgspec

from hookway_plugins.sink_prometheus.client_rules import compile_rule
from hookway_sdk import Settings, checked

DEFAULT_PATH = "/metrics"

E2E_EDGES = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0),
    *(60.0, 120.0, 300.0, 420.0, 600.0),
)
TTFT_EDGES = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)

_PATH = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")
_CLIENT = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def possible_path(path: str) -> None:
    """Check that a request's path can be equal to a setting.

    Raises:
        ValueError: it cannot.
    """
    if not _PATH.fullmatch(path.strip()):
        raise ValueError("holds a character that no plain path has")


def ascending_edges(edges: tuple[float, ...]) -> None:
    """Check the upper edges of buckets.

    Raises:
        ValueError: they are no finite positive numbers that ascend.
    """
    if not all(math.isfinite(one) and one > 0 for one in edges):
        raise ValueError("holds an edge that is not a positive, finite number; +Inf is always there")
    if any(left >= right for left, right in itertools.pairwise(edges)):
        raise ValueError("does not ascend")


def client_word(word: str) -> None:
    """Check the word for a kind of client.

    Raises:
        ValueError: it cannot be one.
    """
    if not _CLIENT.fullmatch(word):
        raise ValueError("is not 1 to 64 of a-z, 0-9, '.', '_' and '-', the first a letter or digit")


def client_pattern(pattern: str) -> None:
    """Check that a pattern is a regular expression.

    Raises:
        ValueError: it is none, or too long.
    """
    if not 1 <= len(pattern.encode(errors="replace")) <= 512:
        raise ValueError("is not 1 to 512 bytes long")
    compile_rule(pattern)


Edges = Annotated[tuple[float, ...], msgspec.Meta(min_length=1, max_length=64), checked(ascending_edges)]


class ClientTypeRule(Settings):
    """A word for a kind of client.

    Args:
        pattern: regular expression that is looked for in the ``User-Agent``, in any case.
        client: the word.
    """

    pattern: Annotated[str, checked(client_pattern)]
    client: Annotated[str, checked(client_word)]


class BucketSettings(Settings):
    """Upper edges of histograms, in seconds.

    Args:
        request_e2e_latency: of ``request_e2e_latency_seconds``.
        request_ttft: of ``request_ttft_seconds``.
    """

    request_e2e_latency: Edges = E2E_EDGES
    request_ttft: Edges = TTFT_EDGES


class PrometheusSettings(Settings):
    """Settings under ``plugins.sink_prometheus``.

    Args:
        path: where metrics are served; a missing leading slash is added, blank means ``/metrics``.
        quantiles: duration families show quantiles, which makes a scrape about three times as long.
        max_rows: combinations of labels that are kept; in further ones, models, accounts, keys, teams and
            users become ``other``.
        env_id: value of the label of that name, ``""`` for ``unknown``.
        buckets: upper edges of histograms.
        client_type_rules: words for clients that the table of known ones lacks, or has differently; the
            first that matches counts.
    """

    path: Annotated[str, checked(possible_path)] = DEFAULT_PATH
    quantiles: bool = False
    max_rows: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 20_000
    env_id: Annotated[str, msgspec.Meta(max_length=128)] = ""
    buckets: BucketSettings = BucketSettings()
    client_type_rules: Annotated[tuple[ClientTypeRule, ...], msgspec.Meta(max_length=64)] = ()

    @property
    def route(self) -> str:
        """The path as a request has it."""
        path = self.path.strip() or DEFAULT_PATH
        return path if path.startswith("/") else f"/{path}"
