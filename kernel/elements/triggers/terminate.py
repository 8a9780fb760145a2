"""Terminate: ends all else in its scope at once, without compensation.

Source: BPMN 2.0.2, chapters 10.5.5 and 13.5.6.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.model.graph import Node


def throw(d: Any, i: Any, token: Any, node: Node, event: Any) -> bool:
    """The others of the scope are withdrawn; then this token ends and with it the scope."""
    d.terminate_scope(i, token.scope, but=(token.key,))
    return True
