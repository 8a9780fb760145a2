"""Makes the scenarios of the kernel importable: models of other formats are run, not only read."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "kernel"))
sys.path.insert(0, str(Path(__file__).parent))
