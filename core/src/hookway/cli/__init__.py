"""The ``hookway`` command."""

from hookway.cli.main import main

__all__ = ["main"]
