"""The core of the Hookway AI gateway."""

__version__ = "0.1.0"
