"""Reads the file, and looks at it from time to time."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Mapping

from hookway_plugins.source_file.document_rows import FileRows
from hookway_plugins.source_file.file_state import FileState, Unusable, look, read
from hookway_sdk import ConfigError, Place, Problem, Services, Settings, Source, SourceDocument
from hookway_sdk.durations import Seconds, Size
from hookway_sdk.shared_resources import NonEmpty

DEFAULT_PATH = "resources.yaml"


class FileSourceSettings(Settings):
    """Settings under ``plugins.source_file``.

    Args:
        path: the file, relative to the working directory; unset, it is ``resources.yaml`` if there is one.
        watch: how often to look for a change; 0 waits for a reload to be asked for.
        max_size: how large the file may be.
    """

    path: NonEmpty | None = None
    watch: Seconds = 1.0
    max_size: Size = 64 * 1024 * 1024


class FileSource(Source[FileSourceSettings]):
    """Brings the rows of one YAML or JSON file, all of them or none.

    A file that had rows and has gone, or is empty, is refused like a wrong one: the rows go on serving.

    Args:
        environment: where ``key_env`` looks; the process's own unless a test brings another.
    """

    strict = True
    yields = False

    def __init__(
        self,
        name: str,
        settings: FileSourceSettings,
        services: Services,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(name, settings, services)
        self._environment = os.environ if environment is None else environment
        self._path = settings.path or DEFAULT_PATH
        self._loaded: FileState | None = None
        self._moving: FileState | None = None
        self._had_rows = False

    async def load(self) -> SourceDocument:
        """Read the file; reading and parsing happen in a thread, since a large file takes its time.

        Raises:
            ConfigError: it is missing though it was named or had rows, cannot be read, or is wrong.
        """
        try:
            document, self._loaded = await asyncio.to_thread(self._read)
        except FileNotFoundError as error:
            if self._had_rows or self.settings.path is not None:
                raise self._refused("there is no such file; restore it, or change 'path'") from error
            return SourceDocument({})
        except Unusable as error:
            raise self._refused(f"the file {error}") from error
        self._had_rows = self._had_rows or any(document.rows.values())
        return document

    async def watch(self, changed: Callable[[], None]) -> None:
        """Look at the file every ``watch`` seconds; a change counts once two looks saw the same."""

        async def examine() -> None:
            # A file that is written in place is half a file for a while, and half of YAML is often YAML.
            seen = await asyncio.to_thread(look, self._path)
            still, self._moving = seen == self._moving, seen
            if seen != self._loaded and still:
                self._loaded = seen
                changed()

        if self.settings.watch:
            self.services.tasks.every("watch", self.settings.watch, examine)

    def _read(self) -> tuple[SourceDocument, FileState]:
        data, state = read(self._path, self.settings.max_size)
        if self._had_rows and not data.strip():
            raise Unusable("is empty and had rows before; restore it")
        parsed = self.services.documents.parse(data, file=self._path, interpolate=True)
        found = FileRows(parsed, self._path, self._environment)
        revision = hashlib.sha256(data).hexdigest()
        return SourceDocument(found.rows, found.places, revision, tuple(found.problems)), state

    def _refused(self, message: str) -> ConfigError:
        return ConfigError([Problem(f"plugins.{self.name}", message, place=Place(self._path))])
