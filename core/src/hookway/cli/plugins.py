"""``hookway plugins``: what is installed, what is on, and why the rest is not."""

from __future__ import annotations

import argparse
import asyncio

from hookway.cli.options import add_configuration_options, conf_d, environment
from hookway.cli.table import render_table


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_configuration_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    return asyncio.run(show(arguments))


async def show(arguments: argparse.Namespace) -> int:
    """Print a row per plugin instance."""
    from hookway.gateway import Gateway

    gateway = Gateway(conf_d(arguments), environment(arguments))
    try:
        # Without resources, which may be wrong for want of a plugin.
        runtime = await gateway.loader.load(gateway.configuration)
        await gateway.loader.forget(gateway.configuration, None)
    finally:
        await gateway.close()
    rows = []
    for name, loaded in runtime.plugins.items():
        kinds = sorted({kind.kind for kind in loaded.plugin.kinds})
        place = gateway.configuration.places.get(("plugins", name))
        rows.append(
            (
                name,
                loaded.installed.version,
                loaded.installed.distribution,
                "on",
                ",".join(kinds),
                str(place or ""),
            )
        )
    for name, why in sorted(runtime.off.items()):
        installed = gateway.loader.installed[name]
        manifest = installed.manifest
        kinds = list(manifest.kinds) if manifest is not None else []
        rows.append((name, installed.version, installed.distribution, "off", ",".join(kinds), why))
    print(render_table(("plugin", "version", "package", "state", "kinds", "from"), rows))
    return 0
