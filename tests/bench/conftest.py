"""The benchmark's files import each other by their plain names, so its tests must find them likewise."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
