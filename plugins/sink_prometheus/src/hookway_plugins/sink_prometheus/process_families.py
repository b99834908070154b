"""What every Prometheus client tells of its process: memory, processor time, files, garbage collection."""

from __future__ import annotations

from collections.abc import Callable


def process_families() -> Callable[[], bytes]:
    """Return a function that renders these families, under the names that everybody's dashboards have.

    The library is imported here: it takes 60 ms, which a start should not have to wait for.
    """
    from prometheus_client import (
        CollectorRegistry,
        GCCollector,
        PlatformCollector,
        ProcessCollector,
        generate_latest,
    )

    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return lambda: generate_latest(registry)
