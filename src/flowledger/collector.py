"""The garbage collector of a serving process."""

from __future__ import annotations

import gc

#: Objects that are made and not yet freed before the young ones are looked at, and rounds until the older are. Nearly all of ours are freed by their
#: count: what a cycle holds (a failed call with its traceback) may wait for some megabytes.
YOUNG, OLDER, OLD = 20_000, 20, 20


def rest() -> None:
    """Once a process serves: modules, models and wiring stay for ever, and are not looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, OLDER, OLD)
