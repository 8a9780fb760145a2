"""BPMN in the Zeebe dialect -> steps: the other way of `steps.py`.

What a step is made of (its task, what skips it, what takes over when it fails) is found again by its shape, since ids don't say what a process does. There
are three ways to say in which order steps run; those that fit are written, and whoever asked takes the one that does the same (`drawn.py`).
"""

from __future__ import annotations

import copy
import json
from typing import Any, NamedTuple

from flowledger.kernel.findings import Finding
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.formats import build, step_shapes
from flowledger.kernel.model.formats.step_cells import END
from flowledger.kernel.model.formats.write_process import TASKS, Node, Writer, executable, named, tag_of

_WAYS = ("exclusiveGateway", "parallelGateway")


class Cell:
    """A step as it was found: its task, the node by which it is entered, and those by which it is left."""

    __slots__ = ("entry", "fallback", "id", "left", "of", "on_error", "says", "task")

    def __init__(self, id: str, task: Any, of: str) -> None:
        self.id, self.task, self.of = id, task, of
        self.entry = task
        self.left: list[Any] = [task]
        self.says: Node = {}
        self.on_error: Any = None
        self.fallback: Cell | None = None


class _Led(NamedTuple):
    """Where a way leads: a node, and whether it waits there for others."""

    to: Any
    joins: bool


def write(tree: Any, file: str = "") -> tuple[list[tuple[str, list[Finding]]], list[Finding]]:
    """Texts, each with another way to say the order, and with findings of what steps have no words for; none where no process can be written at all."""
    w = _Steps(tree, file)
    if (process := executable(w, tree)) is None:
        return [], w.findings
    return [(json.dumps(found, ensure_ascii=False, indent=2) + "\n", left) for found, left in w.texts(process)], w.findings


class _Steps(Writer):
    WORD = "steps have no word for it"

    def texts(self, p: Any) -> list[tuple[Node, list[Finding]]]:
        self.nodes = {e.get("id"): e for e in p if e.get("id")}
        self.out: dict[str, list[Any]] = {}
        self.into: dict[str, list[Any]] = {}
        for flow in p.findall(x.B + "sequenceFlow"):
            self.out.setdefault(flow.get("sourceRef"), []).append(flow)
            self.into.setdefault(flow.get("targetRef"), []).append(flow)
        #: nodes that something was said of
        self.told: set[str] = set()
        top = self.top(p)
        self.cells = {id: c for id, c in ((e.get("id"), self.cell(e)) for e in p) if c is not None}
        for cell in self.cells.values():
            self.skipped(cell)
        self.entries = {c.entry.get("id"): c for c in self.cells.values()}
        for cell in self.cells.values():
            self.failure(cell)
        stand_ins = {id(c.fallback) for c in self.cells.values() if c.fallback is not None}
        self.main = self.ordered([c for c in self.cells.values() if id(c) not in stand_ins])
        found = []
        common, told = self.findings, self.told
        for order in (self.by_next, self.by_dependencies):
            self.findings, self.told = list(common), set(told)
            if steps := order():
                self.rest(p)
                found.append(({**top, "steps": steps}, self.findings))
        self.findings, self.told = list(common), told
        if not found:
            self.lost(p, "WRITE_LOST", "the order is not kept: steps follow one another, or wait for one another")
            self.rest(p)
            found.append(({**top, "steps": [self.step(c) for c in self.main]}, self.findings))
        return found

    def rest(self, p: Any) -> None:
        """What belongs to no step."""
        for e in p:
            tag = tag_of(e)
            if e.get("id") and e.get("id") not in self.told and tag not in step_shapes.QUIET and not tag.startswith("dataObject"):
                self.lost(e, "WRITE_LOST", f"'{e.get('id')}': steps have no word for this {tag} at this place")

    # ------------------------------------------------------------------ the workflow

    def top(self, p: Any) -> Node:
        out: Node = named({"format": "flowledger/steps@1", "id": p.get("id")}, p)
        for name, ext in self.extensions(p):
            if name == "zeebe:versionTag":
                out["version_tag"] = ext.get("value")
            elif name == "flowledger:states":
                out["states"] = _states(ext)
            else:
                self.left_out(p, name)
        starts = p.findall(x.B + "startEvent")
        if len(starts) == 1 and not any(tag_of(d).endswith("EventDefinition") for d in starts[0]):
            self.told.add(starts[0].get("id"))
            for name, ext in self.extensions(starts[0]):
                given = step_shapes.defaults_of(ext) if name == "zeebe:ioMapping" else None
                if given is None:
                    self.left_out(starts[0], name)
                else:
                    out["input"] = given
        for sub in p.findall(x.B + "subProcess"):
            if "timeout" not in out and (limit := step_shapes.limit_of(sub)):
                out["timeout"] = limit
                self.told.add(sub.get("id"))
        return out

    # ------------------------------------------------------------------ steps

    def cell(self, e: Any) -> Cell | None:
        tag = tag_of(e)
        waits = tag == "intermediateCatchEvent" and e.find(x.B + "timerEventDefinition") is not None
        if tag not in TASKS and not waits:
            return None
        script = step_shapes.noted(e)
        if script is not None:
            return None  # belongs to the step that it is noted for
        own = copy.deepcopy(e)
        result = step_shapes.take_result(own)
        states = step_shapes.take_states(own)
        step_shapes.take_failed(own)
        says = self.wait(own) if waits else self.task(own, tag)
        self.told.add(e.get("id"))
        variable = build.variable_name(e.get("id"))
        if result is None:
            self.lost(e, "WRITE_LOST", f"'{e.get('id')}': a step leaves its result in a variable of its name, and this does not")
        else:
            says.pop("output", None)
            if result.output is not None:
                says["output"] = result.output
            if says["type"] in ("script", "decision") and says.get("result") == "output":
                del says["result"]
        name = result.variable if result is not None and result.variable != variable else e.get("id")
        cell = Cell(name, e, result.stands_for if result is not None else "")
        cell.says = {**says, "id": name, **({"states": states} if states else {})}
        return cell

    def wait(self, e: Any) -> Node:
        found = self.event(e, "intermediateCatchEvent")
        out: Node = {**found, "type": "wait"}
        if "timeout" in found:
            out["for"] = out.pop("timeout")
        for key in ("cron", "every"):
            if key in out:
                del out[key]
                self.left_out(e, "a timer that comes back")
        return out

    def skipped(self, cell: Cell) -> None:
        flows = self.into.get(cell.task.get("id"), [])
        split = self.nodes.get(flows[0].get("sourceRef")) if len(flows) == 1 else None
        ways = self.out.get(split.get("id"), []) if split is not None and tag_of(split) == "exclusiveGateway" else []
        if split is None or len(ways) != 2:
            return
        [other] = [w for w in ways if w is not flows[0]]
        skip = self.nodes.get(other.get("targetRef"))
        if skip is None or split.get("default") != other.get("id") or step_shapes.noted(skip) != ("skipped", build.variable_name(cell.id)):
            return
        cell.says["when"] = step_shapes.condition(flows[0])
        cell.entry = split
        cell.left.append(skip)
        self.told |= {split.get("id"), skip.get("id")}

    def failure(self, cell: Cell) -> None:
        ends = []
        handled = False
        for e in self.nodes.values():
            if e.get("attachedToRef") != cell.task.get("id"):
                continue
            definitions = [d for d in e if tag_of(d).endswith("EventDefinition")]
            kind = tag_of(definitions[0]) if len(definitions) == 1 and e.get("cancelActivity") != "false" else ""
            if kind == "timerEventDefinition" and "timeout" not in cell.says and "timeout" in (found := self.event(e, "boundaryEvent")):
                cell.says["timeout"] = found["timeout"]
            elif kind == "errorEventDefinition" and not definitions[0].get("errorRef") and not handled:
                handled = True
            else:
                continue  # said when all is done
            self.told.add(e.get("id"))
            ends.append(e)
        if not ends:
            return
        led = {
            id(found.to): found.to
            for found in (self.led(flow) for e in ends for flow in self.out.get(e.get("id"), []))
            if found.to is not None
        }
        if len(led) != 1:
            self.lost(
                cell.task, "WRITE_LOST", f"'{cell.task.get('id')}': a step's time limit and its failure lead to one place, and these do not"
            )
            return
        [to] = led.values()
        other = self.entries.get(to.get("id"))
        if not handled and step_shapes.ends_with(to, self.roots) == "STEP_TIMEOUT":
            self.told.add(to.get("id"))
        elif handled and step_shapes.noted(to) == ("failed", build.variable_name(cell.id)):
            cell.says["optional"] = True
            cell.left.append(to)
            self.told.add(to.get("id"))
        elif handled and other is not None and other.of and other.of == build.variable_name(cell.id):
            cell.fallback = other
        elif handled:
            cell.on_error = to
        else:
            self.lost(
                cell.task,
                "WRITE_LOST",
                f"'{cell.task.get('id')}': a time limit that leads on is said with on_error, which errors take as well",
            )

    def step(self, cell: Cell, **more: Any) -> Node:
        out = {"id": cell.id, **{k: v for k, v in cell.says.items() if k != "id"}, **{k: v for k, v in more.items() if v is not None}}
        if cell.fallback is not None:
            out["fallback"] = self.step(cell.fallback)
        return out

    def left(self, cell: Cell) -> list[Any]:
        """Nodes by which a step is left, also those of what stands in for it."""
        return [*cell.left, *(self.left(cell.fallback) if cell.fallback is not None else ())]

    # ------------------------------------------------------------------ their order

    def led(self, flow: Any) -> _Led:
        """Through merges and joins, to where something is decided or done."""
        joins = False
        seen: set[str] = set()
        while True:
            node = self.nodes.get(flow.get("targetRef"))
            if node is None or node.get("id") in seen:
                return _Led(None, joins)
            seen.add(node.get("id"))
            ways = self.out.get(node.get("id"), [])
            if node.get("id") in self.entries or tag_of(node) not in _WAYS or len(ways) != 1 or step_shapes.condition(ways[0]):
                return _Led(node, joins)
            joins = joins or (tag_of(node) == "parallelGateway" and len(self.into.get(node.get("id"), [])) > 1)
            self.told.add(node.get("id"))
            flow = ways[0]

    def ordered(self, cells: list[Cell]) -> list[Cell]:
        """As they are reached from the start, then the others."""
        found: list[Cell] = []
        todo = [e for e in self.nodes.values() if tag_of(e) == "startEvent"]
        seen: set[str] = set()
        while todo:
            node = todo.pop(0)
            if node.get("id") in seen:
                continue
            seen.add(node.get("id"))
            if (cell := self.entries.get(node.get("id"))) in cells and cell not in found:
                found.append(cell)
            todo += [self.nodes[f.get("targetRef")] for f in self.out.get(node.get("id"), []) if f.get("targetRef") in self.nodes]
            todo += [e for e in self.nodes.values() if e.get("attachedToRef") == node.get("id")]
        return found + [c for c in cells if c not in found]

    def by_next(self) -> list[Node] | None:
        """None: it forks before the first step."""
        first = [self.led(f) for e in self.nodes.values() if tag_of(e) == "startEvent" for f in self.out.get(e.get("id"), [])]
        if len(first) != 1 or (begins := self.place(first[0].to)) in (None, END) or not self.main or begins != self.main[0].id:
            return None
        nexts: dict[str, Any] = {}
        waits: set[str] = set()
        errors: dict[str, str] = {}
        for cell in self.main:
            nexts[cell.id] = self.ways(cell, waits)
            if cell.on_error is not None:
                if (place := self.place(cell.on_error)) is None:
                    self.lost(cell.task, "WRITE_LOST", f"'{cell.task.get('id')}': what follows its failure is no step")
                else:
                    errors[cell.id] = place
        in_turn = all(nexts[c.id] == (self.main[n + 1].id if n + 1 < len(self.main) else END) for n, c in enumerate(self.main))
        return [
            self.step(c, on_error=errors.get(c.id), join="all" if c.id in waits else None, next=None if in_turn else nexts[c.id])
            for c in self.main
        ]

    def place(self, node: Any) -> str | None:
        """A step's id, or the end; None: neither."""
        if node is None:
            return None
        if (cell := self.entries.get(node.get("id"))) is not None:
            return cell.id
        if tag_of(node) == "endEvent" and not any(tag_of(d).endswith("EventDefinition") for d in node):
            self.told.add(node.get("id"))
            return END
        return None

    def ways(self, cell: Cell, waits: set[str]) -> Any:
        flows = [f for node in self.left(cell)[:1] for f in self.out.get(node.get("id"), [])]
        if len(flows) != 1:
            self.lost(cell.task, "WRITE_LOST", f"'{cell.task.get('id')}': one way out was expected, found {len(flows)}")
            return END
        found = self.led(flows[0])
        if (place := self.place(found.to)) is not None:
            if found.joins:
                waits.add(place)
            state = step_shapes.state_of(flows[0])
            return {"to": place, "state": state} if state else place
        cases: list[Any] = []
        if found.to is not None and tag_of(found.to) in _WAYS:
            self.told.add(found.to.get("id"))
            chosen = tag_of(found.to) == "exclusiveGateway"
            for flow in self.out.get(found.to.get("id"), []):
                led = self.led(flow)
                if (to := self.place(led.to)) is None:
                    self.lost(flow, "WRITE_LOST", f"'{flow.get('id')}': what follows is no step")
                    continue
                if led.joins:
                    waits.add(to)
                plain = chosen and flow.get("id") == found.to.get("default") and to == END
                if plain and not flow.get("name") and not step_shapes.state_of(flow):
                    continue  # where no condition holds it ends anyhow
                case = {"to": to, "when": step_shapes.condition(flow), "name": flow.get("name"), "state": step_shapes.state_of(flow)}
                cases.append({k: v for k, v in case.items() if v} if chosen or flow.get("name") else to)
        return cases or END

    def by_dependencies(self) -> list[Node] | None:
        """None: it doesn't only fork and join."""
        steps: list[Node] = []
        owners = {node.get("id"): cell for cell in self.main for node in self.left(cell)}
        for cell in self.main:
            if cell.on_error is not None:
                return None
            needs = self.back(cell.entry, owners)
            if needs is None or cell in needs:
                return None
            steps.append(self.step(cell, dependencies=[c.id for c in needs]))
        for node in self.nodes.values():  # where nobody waits any more
            if tag_of(node) == "endEvent" and self.place(node) == END:
                self.back(node, owners)
        return steps

    def back(self, entry: Any, owners: dict[str, Cell]) -> list[Cell] | None:
        found: list[Cell] = []
        seen = {entry.get("id")}
        todo = [f.get("sourceRef") for f in self.into.get(entry.get("id"), [])]
        while todo:
            id = todo.pop(0)
            if id in seen:
                continue
            seen.add(id)
            if (cell := owners.get(id)) is not None:
                found += [cell] if cell not in found else []
                continue
            node = self.nodes.get(id)
            if node is None or any(step_shapes.condition(f) for f in self.out.get(id, [])):
                return None
            if tag_of(node) != "startEvent":
                if tag_of(node) not in _WAYS:
                    return None
                self.told.add(id)
                todo += [f.get("sourceRef") for f in self.into.get(id, [])]
        return found


def _states(ext: Any) -> Node:
    table: Node = {}
    final = []
    for state in ext:
        moves = [m.get("to") for m in state]
        table[state.get("name")] = {"to": moves, "description": state.get("description")} if state.get("description") else moves
        if state.get("final") == "true":
            final.append(state.get("name"))
    return {"initial": ext.get("initial"), "final": final, "transitions": table}
