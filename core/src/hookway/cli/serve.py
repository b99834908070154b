"""``hookway serve``: run the gateway until it is told to end."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import gc
import importlib.util
import os
import shlex
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

from hookway.cli.options import add_configuration_options, conf_d, environment
from hookway.config.state_dir import KEY_FILE

if TYPE_CHECKING:
    from hookway.gateway import Gateway


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_configuration_options(parser)
    parser.add_argument(
        "--quiet", action="store_true", help="do not print where it listens and how to try it"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(serve(arguments))


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Return uvloop's maker of loops where the platform has it; ``HOOKWAY_LOOP=asyncio`` says otherwise."""
    wanted = os.environ.get("HOOKWAY_LOOP", "uvloop")
    if wanted == "uvloop" and importlib.util.find_spec("uvloop") is not None:
        import uvloop

        made: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
        return made
    return asyncio.new_event_loop


async def serve(arguments: argparse.Namespace) -> int:
    """Start, wait for a signal, drain and end."""
    from hookway.gateway import Gateway

    environ = environment(arguments)
    gateway = Gateway(conf_d(arguments), environ)
    await gateway.start()
    settle_collector()
    settle_allocator()
    loop = asyncio.get_running_loop()
    end = EndSignals()
    loop.add_signal_handler(signal.SIGTERM, end.ask, True)
    loop.add_signal_handler(signal.SIGINT, end.ask, False)
    reloads = ReloadSignal(gateway)
    with contextlib.suppress(NotImplementedError, AttributeError):
        loop.add_signal_handler(signal.SIGHUP, reloads.ask)
    if not arguments.quiet:
        with contextlib.suppress(BrokenPipeError):  # nobody reads it; that ends no gateway
            print(welcome(gateway), flush=True)
    gateway.process.log.info("listening", address=str(gateway.address))
    await end.asked.wait()
    await reloads.finish()
    await end.drain(gateway)
    await gateway.close()
    gateway.process.log.info("hookway shut down cleanly")
    return 0


YOUNG_OBJECTS = 50_000
"""Allocations between two looks of the collector; a request makes no cycles, so it finds nothing anyway."""


def settle_collector() -> None:
    """Keep the garbage collector away from what lives as long as the process, and from busy moments.

    Measured at 1 KB relayed: 4 to 5 of 80 µs a request (``docs/decisions/0003-garbage-collector.md``).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 100)


KEPT_BY_MALLOC = 16 * 1024 * 1024
"""Bytes of freed memory that stay with the process, so that the next large body finds its pages there."""


def settle_allocator() -> None:
    """Let glibc's malloc keep large buffers instead of giving their pages back after every request.

    Fresh pages cost as much as copying: a 1 MB body is 256 page faults (``docs/decisions/0006``).
    Elsewhere than on glibc nothing happens.
    """
    m_trim_threshold, m_mmap_threshold = -1, -3
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(m_mmap_threshold, KEPT_BY_MALLOC)
        mallopt(m_trim_threshold, KEPT_BY_MALLOC)


class EndSignals:
    """Ends on SIGTERM after draining, on SIGINT without the shortest drain; a second signal ends at once.

    Attributes:
        asked: the first signal came.
    """

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self._at_once = asyncio.Event()
        self._patient = True

    def ask(self, patient: bool) -> None:
        """Take a signal; ``patient`` keeps accepting for ``shutdown.min_drain_secs`` first."""
        if self.asked.is_set():
            self._at_once.set()
        self._patient = patient
        self.asked.set()

    async def drain(self, gateway: Gateway) -> None:
        """Wait until requests are over, or until somebody insists."""
        shutdown = gateway.serve.runtime.settings.shutdown
        at_least = shutdown.min_drain_secs if self._patient else 0.0
        drained = asyncio.ensure_future(gateway.serve.drain(at_least, shutdown.max_drain_secs))
        insisted = asyncio.ensure_future(self._at_once.wait())
        await asyncio.wait((drained, insisted), return_when=asyncio.FIRST_COMPLETED)
        for one in (drained, insisted):
            one.cancel()
        await asyncio.gather(drained, insisted, return_exceptions=True)


class ReloadSignal:
    """Reloads on SIGHUP, one reload at a time; signals that come meanwhile become one more."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._task: asyncio.Task[None] | None = None
        self._again = False

    def ask(self) -> None:
        """Begin a reload, or one after the one that runs."""
        if self._task is not None and not self._task.done():
            self._again = True
            return
        self._task = asyncio.get_running_loop().create_task(self._reload())

    async def finish(self) -> None:
        """Wait for a reload that runs."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _reload(self) -> None:
        await self._gateway.control.reload_everything()
        while self._again:
            self._again = False
            await self._gateway.control.reload_everything()


def welcome(gateway: Gateway) -> str:
    """Return what a person needs to try it: address, key, and a line to paste."""
    host = gateway.address.host
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    scheme = "https" if gateway.serve.runtime.settings.proxy.tls else "http"
    base = f"{scheme}://{f'[{shown}]' if ':' in shown else shown}:{gateway.address.port}"
    snapshot = gateway.serve.runtime.snapshot
    names = [name for name, _ in snapshot.model_names()]
    model = "echo" if "echo" in names else names[0] if names else ""
    lines = [f"Hookway listens on {base}", f"  models: {', '.join(names[:8]) or 'none yet'}"]
    operators = gateway.serve.operator_addresses.get("metrics")
    if operators is not None:
        paths = [path for _, path, _ in gateway.serve.runtime.operator_routes["metrics"].items()]
        lines.append(f"  for operators: http://{operators}  ({', '.join(sorted(paths))})")
    key_row = next((one for one in snapshot.rows("api_keys") if one.source == "state_dir"), None)
    header = "$YOUR_API_KEY"
    if key_row is not None and "HOOKWAY_KEY" in gateway.process.environ:
        lines.append("  the first caller key is the one in $HOOKWAY_KEY")
        header = "$HOOKWAY_KEY"
    elif key_row is not None:
        path = gateway.process.state_dir.path / KEY_FILE
        lines.append(f"  the first caller key is in {path}")
        header = f"$(cat {shlex.quote(str(path))})"
    if not model:
        lines.append("  add one to your resources; without any, the model echo answers")
        return "\n".join(lines)
    lines += [
        "  try:",
        f"    curl {base}/v1/chat/completions \\",
        f'      -H "Authorization: Bearer {header}" \\',
        f'      -d \'{{"model": "{model}", "messages": [{{"role": "user", "content": "hello"}}]}}\'',
    ]
    return "\n".join(lines)
