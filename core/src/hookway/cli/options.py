"""Options that several commands share."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

DEFAULT_CONF_D = "conf.d"


def add_configuration_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--conf-d`` and ``--state-dir``."""
    parser.add_argument(
        "--conf-d",
        metavar="DIR",
        help="directory of YAML files that override the shipped defaults (default: ./conf.d if it exists)",
    )
    parser.add_argument("--state-dir", metavar="DIR", help="overrides the setting state_dir")


def conf_d(arguments: argparse.Namespace) -> Path | None:
    """Return the conf.d directory: the one that was named, or the one that is here."""
    if arguments.conf_d is not None:
        return Path(arguments.conf_d)
    here = Path(DEFAULT_CONF_D)
    return here if here.is_dir() else None


def environment(arguments: argparse.Namespace) -> dict[str, str]:
    """Return the environment with what options override."""
    environ = dict(os.environ)
    if arguments.state_dir is not None:
        environ["HOOKWAY_STATE_DIR"] = arguments.state_dir
    return environ
