"""``hookway check``: validate everything that a start would, and say all that is wrong at once."""

from __future__ import annotations

import argparse
import asyncio

from hookway.cli.options import add_configuration_options, conf_d, environment


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_configuration_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; 0 when a start would succeed."""
    return asyncio.run(check(arguments))


async def check(arguments: argparse.Namespace) -> int:
    """Load configuration, plugins and resources without listening."""
    from hookway.gateway import Gateway

    gateway = Gateway(conf_d(arguments), environment(arguments))
    try:
        await gateway.prepare()
    finally:
        await gateway.close()
    runtime = gateway.serve.runtime
    counts = runtime.snapshot.resources.counts()
    listed = ", ".join(f"{count} {name}" for name, count in counts.items()) or "no resources"
    print(f"ok: {len(runtime.plugins)} plugins on, {listed}")
    for (collection, _), reason in runtime.snapshot.resources.closed.items():
        print(f"closed: {collection}: {reason}")
    return 0
