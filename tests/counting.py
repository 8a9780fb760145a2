"""What work costs, counted: the same on a busy machine as on an idle one."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any


def calls(work: Callable[[], Any]) -> int:
    """How many functions written in Python `work` calls; what counts covered lines meanwhile is none of it."""
    found = beside = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal found, beside
        if event == "call":
            if beside or "/slipcover/" in frame.f_code.co_filename:
                beside += 1
            else:
                found += 1
        elif event == "return" and beside:
            beside -= 1

    gc.collect()  # what others left behind is finalized now, and not while it is counted
    gc.disable()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
        gc.enable()
    return found
