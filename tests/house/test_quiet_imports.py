"""Each module can be imported by itself, and importing it starts, opens and reads nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from workspace import members, module_name

PROBE = Path(__file__).with_name("import_probe.py")
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the probe forks")


def probe(names: list[str], *search: Path) -> dict[str, str]:
    """Return what each module did at import that it must not, keyed by module."""
    path = os.pathsep.join(str(directory) for directory in search)
    result = subprocess.run(
        [sys.executable, str(PROBE)],
        input=json.dumps(names),
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert result.returncode == 0, result.stderr
    findings: dict[str, str] = json.loads(result.stdout)
    return findings


def test_every_module_is_importable_alone_and_does_nothing_at_import() -> None:
    names = [module_name(path) for member in members() for path in member.modules]
    assert "hookway_sdk.brand" in names
    findings = probe(names)
    assert findings == {}, "\n".join(f"{name}: {finding}" for name, finding in findings.items())


LOUD = {
    "cache_thread": (
        "import threading, time\nthreading.Thread(target=time.sleep, args=(5,)).start()",
        "1 thread",
    ),
    "cache_getenv": ("import os\nos.getenv('HOME')", "reads the environment"),
    "cache_environ": ("import os\nos.environ.get('HOME')", "reads the environment"),
    "cache_socket": ("import socket\nsocket.socket()", "socket.__new__"),
    "cache_warning": ("import warnings\nwarnings.warn('old', DeprecationWarning)", "DeprecationWarning"),
    "cache_missing": ("import no_such_module", "ModuleNotFoundError"),
    "cache_exit": ("import os\nos._exit(3)", "ended with status"),
}


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return what the probe says of a namespace full of loud plugins."""
    search = tmp_path_factory.mktemp("loud")
    for token, (source, _) in LOUD.items():
        package = search / "hookway_plugins" / token
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(source)
    return probe([f"hookway_plugins.{token}" for token in LOUD], search)


@pytest.mark.parametrize("token", LOUD)
def test_a_module_that_does_something_at_import_is_found(findings: dict[str, str], token: str) -> None:
    assert LOUD[token][1] in findings[f"hookway_plugins.{token}"]
