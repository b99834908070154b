"""Who is measured: how each gateway is started against the mock upstream, and what a request to it needs.

This is the one file to touch when a command line or a configuration key changes. A contender that is not
installed says so in a sentence and is left out; so is one that does not start, with the tail of its log.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from load import key_of

HERE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent
KEY = "hookway-bench-key-0123456789abcdef"
ALIAS = "fast"
_START_TIMEOUT = 60.0  # seconds; LiteLLM needs many


@dataclass(frozen=True)
class Launch:
    """A command that serves in the foreground."""

    argv: list[str]
    env: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Contender:
    """A gateway that can be measured.

    Args:
        name: as written in tables and after ``--contender``.
        launch: makes the command from (own port, upstream's port, an empty directory).
        missing: why it cannot run here; empty when it can.
        headers: further headers that its requests need; ``{upstream}`` in them becomes the mock's port.
        ready: what answers 200 once it serves.
        ours: wrong answers end the run; another gateway is left out of the scenario that is too much for it.
        same_length: answers have the upstream's length (with the alias restored); otherwise only their end
        is checked.
    """

    name: str
    launch: Callable[[int, int, Path], Launch]
    missing: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    ours: bool = True
    same_length: bool = True
    ready: str = "/livez"

    def headers_for(self, upstream: int) -> dict[str, str]:
        """Return the further request headers for a mock on this port."""
        return {name: value.format(upstream=upstream) for name, value in self.headers.items()}


def free_port() -> int:
    """Return a port on 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# The floors.


def floor(script: str) -> Callable[[int, int, Path], Launch]:
    """Return the launcher of ``bare.py`` or ``splice.py``."""

    def launch(port: int, upstream: int, _: Path) -> Launch:
        argv = [
            sys.executable,
            str(HERE / script),
            "--port",
            str(port),
            "--upstream",
            f"http://127.0.0.1:{upstream}",
        ]
        return Launch(argv)

    return launch


# Hookway.

ESSENTIAL = (
    "source_file",
    "auth_keys",
    "dialect_openai",
    "provider_openai",
    "store_memory",
    "strategy_failover",
)
"""Without these no request is answered, so "no plugins" means these."""

FIVE = ("sink_access_log", "limit_rate", "guardrail_keyword", "cache_exact", "sink_prometheus")
"""The next five that most people switch on; those that are not installed are left out."""

NEVER = ("auth_none", "source_env", "compat_aisix")
"""Would change what is measured: no key, other models, another brand."""


def installed_plugins() -> list[str]:
    """Return the names of the installed plugins."""
    return sorted({entry.name for entry in importlib.metadata.entry_points(group="hookway.plugins")})


def hookway(enabled: Callable[[list[str]], set[str] | None]) -> Callable[[int, int, Path], Launch]:
    """Return Hookway's launcher.

    Args:
        enabled: from the installed plugins, those that are on; ``None`` leaves the shipped defaults.
    """

    def launch(port: int, upstream: int, directory: Path) -> Launch:
        conf = directory / "conf.d"
        conf.mkdir()
        resources = directory / "resources.yaml"
        plugins: dict[str, object] = {}
        installed = installed_plugins()
        wanted = enabled(installed)
        limited = wanted is None or "limit_rate" in wanted
        resources.write_text(json.dumps(hookway_resources(upstream, limited=limited)))  # JSON is YAML
        if wanted is not None:
            plugins = {name: {"enabled": name in wanted} for name in installed}
        plugins["source_file"] = {"path": str(resources)}
        settings = {
            "proxy": {"addr": f"127.0.0.1:{port}"},
            "admin": {"addr": f"127.0.0.1:{free_port()}"},
            "observability": {"metrics": {"prometheus": {"addr": f"127.0.0.1:{free_port()}"}}},
            "workers": 1,
            "plugins": plugins,
        }
        (conf / "10-bench.yaml").write_text(json.dumps(settings))
        argv = [str(BIN / "hookway"), "serve", "--conf-d", str(conf), "--state-dir", str(directory / "state")]
        return Launch(argv, {"HOOKWAY_KEY": KEY})

    return launch


LIMITS = {"rpm": 10**9, "tpm": 10**12, "concurrency": 10**6}
"""Three limits that are counted, and that no run reaches."""


CALLERS = 1000
"""How many further keys there are, for runs in which many callers take turns."""


def hookway_resources(upstream: int, *, limited: bool) -> dict[str, object]:
    """Return the rows: one key, with limits where these are counted, one model, one upstream."""
    common: dict[str, object] = {"allowed_models": ["*"]} | ({"rate_limit": LIMITS} if limited else {})
    keys: list[dict[str, object]] = [{"display_name": "bench", "key_env": "HOOKWAY_KEY", **common}]
    keys += [
        {"display_name": f"caller-{number}", "key": key_of(KEY, number), **common}
        for number in range(CALLERS)
    ]
    return {
        "_format_version": "1",
        "provider_keys": [
            {
                "display_name": "mock",
                "provider": "openai",
                "api_key": "sk-mock",
                "api_base": f"http://127.0.0.1:{upstream}/v1",
            }
        ],
        "models": [
            {"display_name": ALIAS, "provider": "openai", "model_name": "mini", "provider_key": "mock"}
        ],
        "api_keys": [{"display_name": "bench", "key_env": "HOOKWAY_KEY", **common}],
    }


def with_callers(contender: Contender) -> Contender:
    """Return a contender of ours to which :data:`CALLERS` further keys are known, each like its first."""

    def launch(port: int, upstream: int, directory: Path) -> Launch:
        made = contender.launch(port, upstream, directory)
        path = directory / "resources.yaml"
        if path.exists():  # the floors know no keys
            rows = json.loads(path.read_text())
            like = {name: value for name, value in rows["api_keys"][0].items() if name != "key_env"}
            rows["api_keys"] += [
                {**like, "display_name": f"caller-{number}", "key": key_of(KEY, number)}
                for number in range(CALLERS)
            ]
            path.write_text(json.dumps(rows))
        return made

    return replace(contender, launch=launch)


def only(names: tuple[str, ...]) -> Callable[[list[str]], set[str] | None]:
    """Switch on these plugins and no other."""
    return lambda installed: set(names) & set(installed)


def all_standard(installed: list[str]) -> set[str] | None:
    """Switch on every plugin that the distribution ``hookway`` brings, except :data:`NEVER`."""
    try:
        required = importlib.metadata.requires("hookway") or []
    except importlib.metadata.PackageNotFoundError:
        return set(installed) - set(NEVER)
    standard = {name.removeprefix("hookway-").replace("-", "_") for name in map(distribution_name, required)}
    return (standard & set(installed)) - set(NEVER)


def distribution_name(requirement: str) -> str:
    """Return the name in a requirement like ``hookway-auth-keys>=0.1,<1``."""
    end = next(
        (at for at, char in enumerate(requirement) if not (char.isalnum() or char in "-_.")), len(requirement)
    )
    return requirement[:end]


# Other gateways, where installed.


def litellm(port: int, upstream: int, directory: Path) -> Launch:
    """Start LiteLLM's proxy with one model and a master key."""
    parameters = {"model": "openai/mini", "api_base": f"http://127.0.0.1:{upstream}/v1", "api_key": "sk-mock"}
    config = {
        "model_list": [{"model_name": ALIAS, "litellm_params": parameters}],
        "general_settings": {"master_key": KEY},
        "litellm_settings": {"num_retries": 0, "telemetry": False},
    }
    (directory / "config.yaml").write_text(json.dumps(config))
    argv = [
        litellm_command(),
        "--config",
        str(directory / "config.yaml"),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    return Launch(argv, {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"})


def portkey(port: int, upstream: int, directory: Path) -> Launch:
    """Start Portkey's gateway, which is told everything by headers."""
    return Launch(["node", portkey_script(), "--headless", f"--port={port}"], {"NODE_ENV": "production"})


def litellm_command() -> str:
    """Return the path of LiteLLM's command, or nothing: ``BENCH_LITELLM``, else the one on the path."""
    return os.environ.get("BENCH_LITELLM") or shutil.which("litellm") or ""


def portkey_script() -> str:
    """Return the path of Portkey's start script: ``BENCH_PORTKEY``, else in ``node_modules``, else none."""
    local = Path("node_modules/@portkey-ai/gateway/build/start-server.js").resolve()
    return os.environ.get("BENCH_PORTKEY") or (str(local) if local.exists() else "")


def contenders() -> dict[str, Contender]:
    """Return everyone who may be measured, by name, floors first."""
    no_hookway = "" if (BIN / "hookway").exists() else "the command hookway is not installed; try: make dev"
    everyone = [
        Contender("bare", floor("bare.py")),
        Contender("bare-again", floor("bare.py")),
        Contender("splice", floor("splice.py")),
        Contender("hookway", hookway(lambda _: None), no_hookway),
        Contender("hookway-0", hookway(only(ESSENTIAL)), no_hookway),
        Contender("hookway-5", hookway(only(ESSENTIAL + FIVE)), no_hookway),
        Contender("hookway-all", hookway(all_standard), no_hookway),
        Contender(
            "litellm",
            litellm,
            "" if litellm_command() else "litellm is not on the path; BENCH_LITELLM may name its command",
            ours=False,
            same_length=False,
            ready="/health/liveliness",
        ),
        Contender(
            "portkey",
            portkey,
            ""
            if portkey_script()
            else "no node_modules/@portkey-ai/gateway; BENCH_PORTKEY may name its script",
            headers={
                "x-portkey-provider": "openai",
                "x-portkey-custom-host": "http://127.0.0.1:{upstream}/v1",
            },
            ours=False,
            same_length=False,
            ready="/",
        ),
    ]
    return {contender.name: contender for contender in everyone}


class NotStarted(RuntimeError):
    """A process ended or stayed silent instead of answering."""


class Running:
    """A contender's process, or the mock's; leaves nothing behind when the ``with`` block ends.

    Args:
        name: for messages.
        launch: its command.
        port: where it will listen.
        directory: for its log.
    """

    def __init__(self, name: str, launch: Launch, port: int, directory: Path) -> None:
        self.name = name
        self.port = port
        self._log = directory / "log"
        keep = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                launch.argv,
                env=keep | launch.env,
                cwd=directory,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.pid = self._process.pid

    def wait_ready(self, path: str = "/livez") -> None:
        """Return when ``GET path`` answers 200, asked again every millisecond.

        Raises:
            NotStarted: the process ended, or did not answer in time; with the tail of its log.
        """
        deadline = time.monotonic() + _START_TIMEOUT
        while not answers_200(self.port, path):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise NotStarted(f"it does not start:\n{self.log_tail()}")
            time.sleep(0.001)

    def log_tail(self) -> str:
        """Return the last lines of the log."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])

    def stop(self) -> None:
        """Kill the process and its children: a graceful end takes seconds, and nothing here needs one."""
        if self._process.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.stop()


def answers_200(port: int, path: str) -> bool:
    """Ask once, on a connection of its own."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(
                b"GET %b HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n" % path.encode()
            )
            return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def start(contender: Contender, upstream: int, directory: Path) -> Running:
    """Start a contender against the mock in a directory of its own, without waiting for it."""
    directory.mkdir(parents=True)
    port = free_port()
    return Running(contender.name, contender.launch(port, upstream, directory), port, directory)


def start_mock(directory: Path) -> Running:
    """Start the mock upstream and wait for it."""
    directory.mkdir(parents=True)
    port = free_port()
    mock = Running(
        "mock", Launch([sys.executable, str(HERE / "mock_upstream.py"), "--port", str(port)]), port, directory
    )
    mock.wait_ready()
    return mock
