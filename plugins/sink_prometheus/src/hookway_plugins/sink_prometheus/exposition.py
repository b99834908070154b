"""Writes metric families in Prometheus' text format, piece by piece."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence

from hookway_plugins.sink_prometheus.families import FamilySpec
from hookway_plugins.sink_prometheus.sketch import QUANTILES, Sketch, quantiles

CONTENT_TYPE = "text/plain; version=0.0.4"

AT_ONCE = 128
"""Series that are written between two looks at the clock."""


def number(value: float) -> str:
    """Write a value."""
    if isinstance(value, int):
        return str(value)
    if math.isfinite(value):
        return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"


def seconds(milliseconds: float) -> str:
    """Write milliseconds as seconds, to the microsecond, which is shorter than what a float holds."""
    return f"{milliseconds / 1000:.6f}"


def head(name: str, type: str, help: str) -> str:
    """Return the lines that begin a family."""
    text = help.replace("\\", "\\\\").replace("\n", "\\n")
    return f"# HELP {name} {text}\n# TYPE {name} {type}\n"


def joined(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines in pieces of a size that takes little time."""
    piece: list[str] = []
    for line in lines:
        piece.append(line)
        if len(piece) >= AT_ONCE:
            yield "".join(piece)
            piece.clear()
    if piece:
        yield "".join(piece)


def block(name: str, type: str, help: str, lines: Iterable[str]) -> Iterator[str]:
    """Yield a family in pieces; nothing at all while it has no series."""
    begun = False
    for piece in joined(lines):
        if not begun:
            begun = True
            yield head(name, type, help)
        yield piece


def family(prefix: str, spec: FamilySpec, lines: Iterable[str]) -> Iterator[str]:
    """Yield a family of ours in pieces."""
    return block(prefix + spec.name, spec.type, spec.help, lines)


def values(prefix: str, spec: FamilySpec, series: Iterable[tuple[str, float]]) -> Iterator[str]:
    """Yield a counter or gauge of ours, given its labels as they are written, and values."""
    return family(prefix, spec, value_lines(prefix + spec.name, series))


def value_lines(name: str, series: Iterable[tuple[str, float]]) -> Iterator[str]:
    """Yield the lines of a counter or gauge."""
    for labels, value in series:
        yield f"{name}{braces(labels)} {number(value)}\n"


def braces(labels: str) -> str:
    """Return labels between braces, and nothing for none."""
    return f"{{{labels}}}" if labels else ""


def summary_lines(name: str, labels: str, sum_ms: float, count: int, sketch: Sketch | None) -> str:
    """Return the lines of one series of a summary; quantiles where there is a sketch that saw anything."""
    lines = f"{name}_sum{{{labels}}} {seconds(sum_ms)}\n{name}_count{{{labels}}} {count}\n"
    if not sketch:
        return lines
    told = [
        f'{name}{{{labels},quantile="{word}"}} {seconds(value)}\n'
        for (_, word), value in zip(QUANTILES, quantiles(sketch), strict=True)
    ]
    return "".join(told) + lines


def histogram_lines(name: str, labels: str, edges: Sequence[str], counts: Sequence[int], sum: str) -> str:
    """Return the lines of one series of a histogram.

    Args:
        edges: upper edges as they are written, ``+Inf`` last.
        counts: observations by bucket, not cumulated.
        sum: their sum as it is written.
    """
    before = f'{name}_bucket{{{labels},le="' if labels else f'{name}_bucket{{le="'
    totals = list(itertools.accumulate(counts))
    lines = [f'{before}{edge}"}} {total}\n' for edge, total in zip(edges, totals, strict=True)]
    lines.append(f"{name}_sum{braces(labels)} {sum}\n{name}_count{braces(labels)} {totals[-1]}\n")
    return "".join(lines)


@functools.lru_cache(maxsize=64)
def edge_words(edges: tuple[float, ...]) -> tuple[str, ...]:
    """Write upper edges, without trailing zeros, infinity last."""
    return (*(number(float(edge)) for edge in edges), "+Inf")
