"""Data objects, stores and associations (BPMN 2.0.2, 10.4)."""

from __future__ import annotations

from typing import Any

from flowledger.kernel.model.graph import Loop, Node, Process


def read(r: Any, process: Process, element: Any) -> None:
    """Data elements of a process."""


def enter(d: Any, i: Any, token: Any, node: Node) -> None:
    """Data inputs of an activity."""


def leave(d: Any, i: Any, token: Any, node: Node) -> None:
    """Data outputs of an activity."""


def read_loop(node: Node, loop: Loop, element: Any, r: Any) -> None:
    """`loopDataInputRef` and its kin."""
