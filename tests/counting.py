"""What work costs, counted: the same on a busy machine as on an idle one."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Calls:
    """A profiler (`sys.setprofile`): how many functions are called, those of Python, or with `native` all. What counts covered lines meanwhile is none."""

    def __init__(self, native: bool = False) -> None:
        self.found, self._native, self._beside = 0, native, 0

    def __call__(self, frame: Any, event: str, argument: Any) -> None:
        if event == "call":
            if self._beside or "/slipcover/" in frame.f_code.co_filename:
                self._beside += 1
            else:
                self.found += 1
        elif event == "return":
            self._beside -= self._beside > 0
        elif event == "c_call" and self._native and not self._beside and "slipcover" not in str(getattr(argument, "__module__", "")):
            self.found += 1


@contextmanager
def undisturbed() -> Iterator[None]:
    """What others left behind is finalized now, and not while it is counted."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def calls(work: Callable[[], Any]) -> int:
    """How many functions written in Python `work` calls."""
    count = Calls()
    with undisturbed():
        sys.setprofile(count)
        try:
            work()
        finally:
            sys.setprofile(None)
    return count.found
