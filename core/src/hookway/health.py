"""``/livez`` and ``/readyz``: what a load balancer asks."""

from __future__ import annotations


class Health:
    """The state probes report.

    Attributes:
        draining: the process is ending; take it out of rotation.
        configured: a configuration has been applied at least once.
    """

    def __init__(self) -> None:
        self.draining = False
        self.configured = False

    def probe(self, path: str, *, verbose: bool) -> tuple[int, str]:
        """Return status and text of a probe."""
        return self.live(verbose) if path == "/livez" else self.ready(verbose)

    def live(self, verbose: bool) -> tuple[int, str]:
        """The process runs and is not ending."""
        if self.draining:
            return 503, "[+]ping ok\n[-]shutdown failed: reason withheld\nlivez check failed"
        return 200, "[+]ping ok\n[+]shutdown ok\nlivez check passed\n" if verbose else "ok"

    def ready(self, verbose: bool) -> tuple[int, str]:
        """The process is configured and not ending."""
        lines = [
            "[-]shutdown failed: draining" if self.draining else "[+]shutdown ok",
            "[+]config ok" if self.configured else "[-]config failed: not ready",
        ]
        if self.draining or not self.configured:
            return 503, "\n".join([*lines, "readyz check failed"])
        return 200, "\n".join([*lines, "readyz check passed", ""]) if verbose else "ok"
