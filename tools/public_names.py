"""Record the public names of the SDK in ``tests/house/public_names.txt`` (``make public-names``).

The file is the promise as last reviewed: a name that vanishes from it breaks plugins of other people.
"""

from __future__ import annotations

from workspace import ROOT

import hookway_sdk

RECORD = ROOT / "tests" / "house" / "public_names.txt"


def current() -> str:
    """Return the public names, one a line, sorted."""
    return "".join(f"{name}\n" for name in sorted(hookway_sdk.__all__))


def main() -> None:
    """Write the record."""
    RECORD.write_text(current())


if __name__ == "__main__":
    main()
