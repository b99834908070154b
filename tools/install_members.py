"""Install every package of the tree in editable form, so that what is edited is what runs.

Third-party packages come from the pins before this runs; nothing is resolved here. A package whose directory
has gone is removed, because its entry point would stop the gateway from starting.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, distributions
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

from workspace import is_ours, members


def source_directory(distribution: Distribution) -> Path | None:
    """Return the directory that an editable installation points to, or None where it is not one."""
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    if not origin.get("dir_info", {}).get("editable"):
        return None
    return Path(url2pathname(urlparse(origin["url"]).path))


def orphans(installed: Iterable[Distribution], present: set[Path]) -> list[str]:
    """Return the names of our installed packages whose source is no longer in this tree."""
    ours = [distribution for distribution in installed if is_ours(distribution.metadata["Name"])]
    return sorted(found.metadata["Name"] for found in ours if source_directory(found) not in present)


def run(command: list[str]) -> None:
    """Run uv; when it fails it has said why, so end with its status and no traceback."""
    if status := subprocess.run(command).returncode:
        sys.exit(status)


def main() -> None:
    """Bring the environment of the running interpreter in line with the tree."""
    try:
        present = members()
    except FileNotFoundError as error:
        sys.exit(str(error))
    pip = [f"{sys.prefix}/bin/uv", "pip"]
    target = ["--quiet", "--python", sys.executable]
    if gone := orphans(distributions(), {member.directory for member in present}):
        run([*pip, "uninstall", *target, *gone])
    editables = [argument for member in present for argument in ("--editable", str(member.directory))]
    run([*pip, "install", *target, "--no-deps", *editables])


if __name__ == "__main__":
    main()
