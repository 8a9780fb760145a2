"""Makes `scenario.py` and its model notation importable from the scenarios."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
