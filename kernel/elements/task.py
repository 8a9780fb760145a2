"""Undefined (abstract) task: nothing to do, the token passes through.

Source: BPMN 2.0.2, chapter 13.3.3.
"""

from __future__ import annotations

from flowledger.kernel.model.graph import Behaviour
from flowledger.kernel.moves.activity import close_activity

BEHAVIOUR = Behaviour(close_activity, close_activity, activity=True)
