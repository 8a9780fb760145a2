"""What a model's reader calls in the elements, which stand above it: `kernel/elements/__init__.py` puts itself in here when it is loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowledger.kernel.model.graph import Behaviour, Loop, Node, Process

#: XML tag -> behaviour
ELEMENTS: dict[str, Behaviour] = {}
#: tags of elements that contain flow elements
SCOPES = frozenset({"subProcess", "transaction", "adHocSubProcess"})
#: of each flow element: (node, XML, reader)
NODE: list[Callable[[Node, Any, Any], None]] = []
#: of each activity: (node, XML, reader)
ACTIVITY: list[Callable[[Node, Any, Any], None]] = []
#: tag of loop characteristics -> (node, XML, reader) -> loop
LOOPS: dict[str, Callable[[Node, Any, Any], Loop]] = {}
#: of each process once its nodes are read: (reader, process, XML)
PROCESS: list[Callable[[Any, Process, Any], None]] = []
