"""Correlation by the standard's means: correlation properties and subscriptions (BPMN 2.0.2, 8.4.2)."""

from __future__ import annotations

from typing import Any

from flowledger.kernel.model.graph import Node


def key_of(d: Any, i: Any, holder: int, node: Node, event: Any) -> str:
    """The correlation key of a message event without `zeebe:subscription`; `""` when the model names none."""
    return ""
