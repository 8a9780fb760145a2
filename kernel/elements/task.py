"""Undefined (abstract) task: nothing to do, the token passes through.

Source: BPMN 2.0.2, chapter 13.3.3.
"""

from __future__ import annotations

from flowledger.kernel.decision import close_activity
from flowledger.kernel.model.graph import Behaviour

BEHAVIOUR = Behaviour(close_activity, close_activity, activity=True)
