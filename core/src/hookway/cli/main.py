"""Parse the command line and hand over to the command's own file."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from hookway import __version__

COMMANDS = {
    "serve": "run the gateway",
    "check": "validate conf.d and resources, and say what is wrong",
    "plugins": "list installed plugins: version, source, on or off, and why",
    "hooks": "show each phase's steps in order, and where each number came from",
    "schema": "print the JSON Schema of conf.d, of a plugin's settings, or of resources",
    "export": "print the resources in their long form, secrets replaced by variables",
    "manifests": "write or check the manifests of plugins",
}
"""Commands and what they do; each is a module of its name with ``arguments`` and ``run``."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 refused with a reason, 2 wrong usage."""
    from hookway_sdk.errors import HookwayError

    options = list(sys.argv[1:] if argv is None else argv)
    name = next((one for one in options if not one.startswith("-")), "")
    parser = build_parser(name)
    arguments = parser.parse_args(options)
    if not arguments.command:
        parser.print_help()
        return 2
    try:
        code: int = importlib.import_module(f"hookway.cli.{arguments.command}").run(arguments)
        sys.stdout.flush()
    except HookwayError as error:
        print(f"hookway {arguments.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Who read the output has seen enough (`hookway schema | head`); at exit Python would flush once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def build_parser(name: str) -> argparse.ArgumentParser:
    """Return the parser; only the named command's own options are imported."""
    parser = argparse.ArgumentParser(
        prog="hookway", description="One address in front of every model provider."
    )
    parser.add_argument("--version", action="version", version=f"hookway {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for command, summary in COMMANDS.items():
        sub = commands.add_parser(command, help=summary, description=summary)
        if command == name:
            importlib.import_module(f"hookway.cli.{command}").arguments(sub)
    return parser
