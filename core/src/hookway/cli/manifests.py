"""``hookway manifests``: write each plugin's ``hookway-plugin.json``, or check that they are current."""

from __future__ import annotations

import argparse
import sys

from hookway_sdk import PluginError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("plugins", nargs="*", help="names of plugins (default: every installed one)")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if one is missing or old")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; 1 if ``--check`` found one that is not current."""
    from hookway.discovery import find_installed
    from hookway.manifests import make_manifest, manifest_path, render

    installed = find_installed()
    stale = []
    for name in arguments.plugins or sorted(installed):
        if name not in installed:
            raise PluginError(name, "is not installed")
        written = render(make_manifest(installed[name]))
        path = manifest_path(installed[name])
        if path.is_file() and path.read_bytes() == written:
            continue
        stale.append(name)
        if not arguments.check:
            path.write_bytes(written)
            print(f"wrote {path}")
    if arguments.check and stale:
        print(f"not current: {', '.join(stale)}; run: hookway manifests", file=sys.stderr)
        return 1
    return 0
