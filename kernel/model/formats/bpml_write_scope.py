"""A process or sub-process while it is written as BPML: its shape, and what its context declares."""

from __future__ import annotations

from typing import Any

from lxml import etree

from flowledger.kernel.model import xml as x
from flowledger.kernel.model.formats import bpml_grammar as g
from flowledger.kernel.model.formats.bpml_shapes import Shape, tag_of


class Scope:
    """A process or sub-process while it is written: its shape, and what its context declares."""

    def __init__(self, w: Any, holder: Any, to: Any, outer: Scope | None) -> None:
        self.w, self.holder, self.to, self.outer = w, holder, to, outer
        self.shape = Shape(holder)
        self.context: Any = None
        self.entered: set[str] = set()
        self.seen: set[str] = set()
        #: starts that stand outside of it, when it is there for its exceptions alone
        self.outer_starts: list[Any] = []
        #: sub-processes that are event sub-processes
        self.handlers = [
            e for e in holder if tag_of(e) in ("subProcess", "transaction", "adHocSubProcess") and e.get("triggeredByEvent") == "true"
        ]

    def opened(self) -> Any:
        """The context, which is made when it is needed, in its place."""
        if self.context is None:
            self.context = etree.Element(g.P + "context")
            at = sum(1 for k in self.to if x.local(k) in ("documentation", "parameter", "event"))
            self.to.insert(at, self.context)
        return self.context

    def declare(self, tag: str, **attributes: str) -> Any:
        """Something in the context."""
        self.opened()
        made = etree.Element(g.P + tag, **attributes)
        last = self.context.find(g.P + "faults")
        if last is not None:
            last.addprevious(made)
        else:
            self.context.append(made)
        return made
