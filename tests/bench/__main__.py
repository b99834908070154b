"""``python -m tests.bench`` is ``python tests/bench/run.py``: its files import each other by name."""

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    os.execv(sys.executable, [sys.executable, str(Path(__file__).with_name("run.py")), *sys.argv[1:]])
