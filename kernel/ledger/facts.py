"""What a decision may know from outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flowledger.kernel import limits
from flowledger.kernel.model.graph import Process
from flowledger.kernel.tasks import schemas


class Facts:
    """All that a decision may know from outside.

    Attributes:
        now_us: time of the command, microseconds UTC; never goes back.
        processes: definition key -> its compiled process (Mapping; the shell compiles on a miss).
        decisions: definition key -> compiled decision model.
        resources: what a `Deploy` is made of: `read(name, content) -> (graph, findings)`, pure.
        instances_max: 0 is no limit.
        spread: called instances go to other partitions in turn instead of staying.
        validate: what is wrong with a value by a JSON Schema, as texts.
    """

    __slots__ = ("decisions", "instances_max", "now_us", "processes", "read", "rng_salt", "spread", "steps_max", "validate")

    def __init__(
        self,
        now_us: int = 0,
        processes: Mapping[int, Process] | None = None,
        decisions: Mapping[int, Any] | None = None,
        read: Callable[[str, str], Any] | None = None,
        instances_max: int = 0,
        steps_max: int = limits.STEPS_MAX,
        spread: bool = False,
        validate: Callable[[Any, Any], list[str]] = schemas.check,
    ) -> None:
        self.validate = validate
        self.now_us = now_us
        self.processes: Mapping[int, Process] = processes if processes is not None else {}
        self.decisions: Mapping[int, Any] = decisions if decisions is not None else {}
        self.read = read
        self.instances_max = instances_max
        self.steps_max = steps_max
        self.spread = spread
