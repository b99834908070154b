"""``/livez`` and ``/readyz`` say what contracts/aisix-ops.md 6.1 says, to the letter."""

from __future__ import annotations

import pytest

from hookway.health import Health

CASES = [
    ("/livez", False, False, False, 200, "ok"),
    ("/livez", True, False, False, 200, "[+]ping ok\n[+]shutdown ok\nlivez check passed\n"),
    (
        *("/livez", False, True, True, 503),
        "[+]ping ok\n[-]shutdown failed: reason withheld\nlivez check failed",
    ),
    ("/livez", True, True, True, 503, "[+]ping ok\n[-]shutdown failed: reason withheld\nlivez check failed"),
    ("/readyz", False, False, True, 200, "ok"),
    ("/readyz", True, False, True, 200, "[+]shutdown ok\n[+]config ok\nreadyz check passed\n"),
    ("/readyz", False, False, False, 503, "[+]shutdown ok\n[-]config failed: not ready\nreadyz check failed"),
    ("/readyz", True, True, True, 503, "[-]shutdown failed: draining\n[+]config ok\nreadyz check failed"),
    (
        *("/readyz", False, True, False, 503),
        "[-]shutdown failed: draining\n[-]config failed: not ready\nreadyz check failed",
    ),
]


@pytest.mark.parametrize(("path", "verbose", "draining", "configured", "status", "text"), CASES)
def test_a_probe_answers_what_the_state_is(
    path: str, verbose: bool, draining: bool, configured: bool, status: int, text: str
) -> None:
    health = Health()
    health.draining, health.configured = draining, configured
    assert health.probe(path, verbose=verbose) == (status, text)


def test_a_gateway_begins_alive_and_not_ready() -> None:
    health = Health()
    assert health.probe("/livez", verbose=False)[0] == 200
    assert health.probe("/readyz", verbose=False)[0] == 503
