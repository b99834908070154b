"""The directory for what outlives the process, and the two secrets that are made there on first run.

Directories are made with mode 0700 and files with 0600; a file appears whole or not at all. Secrets
come from the environment where it has them: ``HOOKWAY_KEY`` is the first caller's key and
``HOOKWAY_SECRET`` the root secret, from which ids are signed and stored credentials encrypted.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from hookway_sdk.errors import ConfigError, StartError
from hookway_sdk.problems import Place, Problem
from hookway_sdk.secrets import Secret

KEY_FILE = "first-key"
SECRET_FILE = "root-secret"
KEY_VARIABLE = "HOOKWAY_KEY"
SECRET_VARIABLE = "HOOKWAY_SECRET"
KEY_PREFIX = "hw-"
SHORTEST_SECRET = 32

_LARGEST_SECRET_FILE = 4096
_VISIBLE = re.compile(r"[\x21-\x7e]{1,512}")

TokenMaker = Callable[[int], str]
"""Returns URL-safe text made of that many random bytes."""


def default_directory(environ: Mapping[str, str]) -> Path:
    """Return where state goes when nobody says otherwise.

    Source: XDG Base Directory Specification 0.8; a relative ``XDG_STATE_HOME`` is ignored, as it says.

    Raises:
        StartError: the environment names no home directory.
    """
    base = environ.get("XDG_STATE_HOME", "")
    if os.path.isabs(base):
        return Path(base, "hookway")
    home = environ.get("HOME", "")
    if not os.path.isabs(home):
        raise StartError("no home directory for state; set state_dir in conf.d, or HOOKWAY_STATE_DIR")
    return Path(home, ".local", "state", "hookway")


class StateDir:
    """The directory, there and writable.

    Args:
        path: the directory; missing parts are made.

    Raises:
        StartError: it cannot be made or written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _failed(path, "made", error) from error
        if not os.access(path, os.W_OK | os.X_OK):
            raise StartError(f"the state directory '{path}' cannot be written to; {_WAY_OUT}")

    @classmethod
    def open(cls, setting: str | None, environ: Mapping[str, str]) -> StateDir:
        """Make or find the directory that ``state_dir`` names.

        Args:
            setting: the setting, in which ``~`` is the home directory; ``None`` for the default.
            environ: the environment variables.

        Raises:
            StartError: as in :class:`StateDir`.
        """
        if setting is None:
            return cls(default_directory(environ))
        home = environ.get("HOME", "")
        if setting == "~" or setting.startswith("~/"):
            if not os.path.isabs(home):
                raise StartError(f"state_dir is '{setting}', and the environment names no home directory")
            setting = home + setting[1:]
        return cls(Path(setting).absolute())

    def directory(self, name: str) -> Path:
        """Return a directory inside, made when it is missing.

        Raises:
            StartError: it cannot be made.
        """
        path = self.path / name
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _failed(path, "made", error) from error
        return path

    def read(self, name: str, *, limit: int) -> bytes | None:
        """Return what a file holds, ``None`` if there is none.

        Args:
            name: its name in the directory.
            limit: largest size in bytes.

        Raises:
            StartError: it cannot be read, or is larger.
        """
        path = self.path / name
        try:
            with path.open("rb") as file:
                data = file.read(limit + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _failed(path, "read", error) from error
        if len(data) > limit:
            raise StartError(f"'{path}' is larger than {limit} bytes")
        return data

    def write(self, name: str, data: bytes) -> None:
        """Replace a file: a reader sees the old or the new one, also after a crash.

        Raises:
            StartError: it cannot be written.
        """
        self._put(name, data, os.replace)

    def create(self, name: str, data: bytes) -> bool:
        """Write a file that is not there yet; return whether it was this call that wrote it.

        Of several processes that try at once, one wins, and all of them find its file whole.

        Raises:
            StartError: it cannot be written.
        """
        try:
            self._put(name, data, os.link)
        except FileExistsError:
            return False
        return True

    def _put(self, name: str, data: bytes, publish: Callable[[str, Path], None]) -> None:
        path = self.path / name
        try:
            handle, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=self.path)  # with mode 0600
            try:
                with open(handle, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                publish(temporary, path)
            finally:
                with contextlib.suppress(FileNotFoundError):  # a replace has moved it
                    os.unlink(temporary)
        except FileExistsError:
            raise
        except OSError as error:
            raise _failed(path, "written", error) from error

    def first_key(self, environ: Mapping[str, str], token: TokenMaker = secrets.token_urlsafe) -> Secret:
        """Return the key of the first caller: ``HOOKWAY_KEY``, or the one made here on first run.

        Args:
            environ: the environment variables.
            token: where randomness comes from.

        Raises:
            ConfigError: ``HOOKWAY_KEY`` cannot be a key.
            StartError: the file cannot be read or written.
        """
        given = environ.get(KEY_VARIABLE, "")
        if not given:
            return Secret(self._kept(KEY_FILE, lambda: KEY_PREFIX + token(32)))
        if not _VISIBLE.fullmatch(given):
            raise _unfit(KEY_VARIABLE, "cannot be a key", "1 to 512 visible ASCII characters without spaces")
        return Secret(given)

    def root_secret(self, environ: Mapping[str, str], token: TokenMaker = secrets.token_urlsafe) -> Secret:
        """Return the root secret: ``HOOKWAY_SECRET``, or the one made here on first run.

        Args:
            environ: the environment variables.
            token: where randomness comes from.

        Raises:
            ConfigError: ``HOOKWAY_SECRET`` is too short to be one.
            StartError: the file cannot be read or written.
        """
        given = environ.get(SECRET_VARIABLE, "")
        if not given:
            return Secret(self._kept(SECRET_FILE, lambda: token(48)))
        if len(given) < SHORTEST_SECRET:
            expected = f"{SHORTEST_SECRET} characters at least, as from 'openssl rand -base64 48'"
            raise _unfit(SECRET_VARIABLE, f"is too short ({len(given)} characters)", expected)
        return Secret(given)

    def _kept(self, name: str, make: Callable[[], str]) -> str:
        """Return what a file holds, after writing it if it is missing."""
        for _ in range(2):
            data = self.read(name, limit=_LARGEST_SECRET_FILE)
            if data is not None:
                return self._secret_text(name, data)
            made = make()
            if self.create(name, made.encode() + b"\n"):
                return made
        raise StartError(f"'{self.path / name}' comes and goes; is another process removing it?")

    def _secret_text(self, name: str, data: bytes) -> str:
        text = data.decode("ascii", "replace").strip()
        if not _VISIBLE.fullmatch(text):
            raise StartError(f"'{self.path / name}' holds no secret; remove it, and a new one is made")
        return text


_WAY_OUT = "set state_dir in conf.d, or HOOKWAY_STATE_DIR, to a directory of its own"


def _failed(path: Path, verb: str, error: OSError) -> StartError:
    reason = (error.strerror or type(error).__name__).lower()
    return StartError(f"'{path}' in the state directory cannot be {verb}: {reason}; {_WAY_OUT}")


def _unfit(variable: str, message: str, expected: str) -> ConfigError:
    place = Place(f"environment variable {variable}")
    return ConfigError([Problem("", message, expected, place=place)])
