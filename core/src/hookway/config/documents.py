"""The ``documents`` service: plugins read their files as the core reads conf.d."""

from __future__ import annotations

from collections.abc import Mapping

from hookway.config.interpolation import interpolate
from hookway.config.yaml12 import parse
from hookway_sdk.errors import ConfigError
from hookway_sdk.services import Document

LARGEST = 256 * 1024 * 1024
"""A last bound in bytes; whoever reads a file bounds it first."""


class DocumentReader:
    """See :class:`hookway_sdk.services.Documents`.

    Args:
        environ: the variables of interpolation.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def parse(self, text: bytes, *, file: str, interpolate: bool = False) -> Document:
        """Parse one document; what variables give stays text.

        Raises:
            ConfigError: with every problem, each with its place.
        """
        document = parse(text, file, limit=LARGEST)
        return self._filled(document) if interpolate else document

    def _filled(self, document: Document) -> Document:
        filled = interpolate(document, self._environ, texts_only=True)
        if filled.problems:
            raise ConfigError(filled.problems)
        return Document(filled.value, document.places)
