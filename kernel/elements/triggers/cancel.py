"""Cancel: ends a transaction after compensating it. See `elements/transaction.py`.

Source: BPMN 2.0.2, chapters 10.5.5 and 13.3.4.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.elements import transaction
from flowledger.kernel.model.graph import Node


def throw(d: Any, i: Any, token: Any, node: Node, event: Any) -> bool:
    return transaction.cancel(d, i, token, node)


def resume(d: Any, i: Any, token: Any, node: Node, event: Any) -> bool:
    return transaction.resume(d, i, token, node, event)
