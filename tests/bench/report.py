"""The tables a run prints: every figure beside its target, and how far the rounds were apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from rounds import Figures, Slice
from scenarios import FOOTPRINT_TARGETS, Scenario, Target

US = "hookway"


def scenario_table(
    scenario: Scenario, figures: Mapping[str, Figures], played: Sequence[Mapping[str, Slice]]
) -> str:
    """Return one scenario's table."""
    foreign = median(one.foreign for slices in played for one in slices.values())
    lines = [
        f"\n{scenario.name}: {scenario.title}",
        f"  {len(played)} rounds; other work on this machine took {foreign:.2f} cores meanwhile",
    ]
    lines += _columns(_stream_rows(figures) if scenario.stream else _answer_rows(scenario, figures))
    if US in figures:
        lines += [target_line(target, getattr(figures[US], target.figure)) for target in scenario.targets]
    return "\n".join(lines)


def _answer_rows(scenario: Scenario, figures: Mapping[str, Figures]) -> Iterable[list[str]]:
    yield ["", "µs CPU", f"of {scenario.against}", "(quartiles)", "answers/s", "p50 ms", "p99 ms", "+p50 ms"]
    for name, one in figures.items():
        yield [
            name,
            f"{one.cost:.1f}" if one.cost else "",
            f"{one.ratio:.3f}" if one.cost else "",
            f"({one.ratio_low:.3f} .. {one.ratio_high:.3f})" if one.cost else "",
            f"{one.rate:.0f}",
            f"{one.p50:.3f}",
            f"{one.p99:.3f}",
            f"{one.added_p50:+.3f}" if one.added_p50 is not None else "",
        ]


def _stream_rows(figures: Mapping[str, Figures]) -> Iterable[list[str]]:
    yield ["", "µs CPU", "- splice", "(quartiles)", "whole stream", "chunks/s", "chunks/read", "first ms p50"]
    for name, one in figures.items():
        yield [
            name,
            f"{one.cost:.1f}",
            f"{one.difference:+.1f}",
            f"({one.difference_low:+.1f} .. {one.difference_high:+.1f})",
            f"{one.whole_cost:.1f}",
            f"{one.rate:.0f}",
            f"{one.coalesced:.2f}",
            f"{one.p50:.1f}",
        ]


def footprint_table(footprint: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the table of cold start, memory and allocation peaks, without figures that were not taken."""
    requests = max((figures.get("requests", 0) for figures in footprint.values()), default=0)
    columns = {
        "start": "start s",
        "start_cpu": "CPU s",
        "rss_start": "RSS MB",
        "rss_early": f"at {requests // 5:,}",
        "rss": f"at {requests:,}",
        "growth": "growth",
        "peak_request": "1 MB request MB",
        "peak_answer": "1 MB answer MB",
    }
    taken = [name for name in columns if any(name in figures for figures in footprint.values())]
    rows = [["", *(columns[name] for name in taken)]]
    for contender, figures in footprint.items():
        rows.append([contender, *(f"{figures[name]:.2f}" if name in figures else "" for name in taken)])
    lines = ["\nfootprint: cold start (exec to the first 200 of /livez), resident memory, allocation peaks"]
    lines += _columns(rows)
    for name, target in FOOTPRINT_TARGETS.items():
        if name in footprint.get(US, {}):
            lines.append(target_line(target, footprint[US][name]))
    if 0 < requests < 100_000 and US in footprint:
        lines.append("  the memory targets are for 100,000 requests; this was a short run")
    return "\n".join(lines)


def target_line(target: Target, value: float) -> str:
    """Return whether a target is met, in words."""
    verdict = "met   " if value <= target.most else "MISSED"
    return f"  {verdict} {US} {target.figure} {value:.3g} {target.unit}, target <= {target.most:g}"


def _columns(rows: Iterable[list[str]]) -> list[str]:
    table = list(rows)
    widths = [max(len(row[at]) for row in table) for at in range(len(table[0]))]
    return [
        "  "
        + row[0].ljust(widths[0])
        + "".join("  " + cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in table
    ]
