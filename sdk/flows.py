"""Processes written in Python: a builder whose result is a model (BPMN XML), deployed like any other file. It is not code that is replayed.

    flow = Flow("order", name="Order")
    flow.start("received").service("check", job="order.check").exclusive("size")
    flow.at("size").when("amount > 1000").user("approve", groups=["sales"]).to("ship")
    flow.at("size").otherwise().service("ship", job="order.ship").end("shipped")
    client.deploy(flow)

Each verb adds an element behind the cursor and moves the cursor there; `at` moves it back, `to` leads to an element by its id, also to one that comes
later. Conditions are FEEL text. `xml()` raises ValueError with all that is wrong at once.
"""

from __future__ import annotations

from typing import Any

from lxml import etree

from flowledger.kernel.model import layout
from flowledger.kernel.model.formats import build
from flowledger.sdk.job import job_type_of


class Flow:
    """A process in the making. `id` is the key that instances are started by."""

    def __init__(self, id: str, name: str = "", description: str = "", version_tag: str = "", _scope: build.Scope | None = None) -> None:
        self._draft = _scope.draft if _scope is not None else build.Draft(id)
        self._scope = _scope or self._draft.process(id, name)
        build.document(self._scope.element, description)
        if version_tag:
            build.extension(self._scope.element, "zeebe", "versionTag", value=version_tag)
        self._nodes: dict[str, Any] = {}
        self._cursor: Any = None
        self._condition: str | None = None
        self._default = False
        self._later: list[tuple[Any, str, str | None, bool]] = []
        self._wrong: list[str] = []
        self._subs: list[Flow] = []
        #: handlers that services were made of, in all sub-processes too; `Worker.add(flow)` takes them
        self.handlers: list[Any] = []
        self.root: Flow = self

    # ------------------------------------------------------------------ moving the cursor

    def at(self, id: str) -> Flow:
        """Go on from the element `id`."""
        if id not in self._nodes:
            self._wrong.append(f"at('{id}'): no such element; there are {', '.join(self._nodes) or 'none'}")
        self._cursor = self._nodes.get(id)
        self._condition, self._default = None, False
        return self

    def when(self, condition: str) -> Flow:
        """The next flow is taken when the FEEL condition holds."""
        self._condition = condition
        return self

    def otherwise(self) -> Flow:
        """The next flow is the default one."""
        self._default = True
        return self

    def to(self, id: str) -> Flow:
        """Lead from here to the element `id`, which may come later."""
        if self._cursor is None:
            self._wrong.append(f"to('{id}') has nothing to start from")
        else:
            self._later.append((self._cursor, id, self._condition, self._default))
        self._cursor, self._condition, self._default = None, None, False
        return self

    # ------------------------------------------------------------------ events

    def start(self, id: str = "start", name: str = "", *, message: str = "", signal: str = "", cron: str = "", form: str = "") -> Flow:
        self._cursor = None
        node = self._add("startEvent", id, name)
        if message or signal:
            self._scope.event(node, "message" if message else "signal", message or signal)
        elif cron:
            self._scope.event(node, "cycle", cron)
        if form:
            build.extension(node, "zeebe", "formDefinition", formId=form)
        return self

    def end(self, id: str = "end", name: str = "", *, error: str = "", terminate: bool = False) -> Flow:
        node = self._add("endEvent", id, name)
        if error or terminate:
            self._scope.event(node, "error" if error else "terminate", error)
        self._cursor = None
        return self

    def wait(
        self, id: str, duration: str = "", name: str = "", *, until: str = "", message: str = "", key: str = "", signal: str = ""
    ) -> Flow:
        """A timer (ISO 8601 duration, or a moment by `until`), a message with its correlation key, or a signal."""
        node = self._add("intermediateCatchEvent", id, name)
        kinds = [(k, v) for k, v in (("timer", duration), ("date", until), ("message", message), ("signal", signal)) if v]
        if len(kinds) != 1:
            self._wrong.append(f"wait('{id}'): give exactly one of duration, until, message, signal")
        elif kinds[0][0] == "message" and not key:
            self._wrong.append(f"wait('{id}'): a message needs key=, the correlation key")
        else:
            self._scope.event(node, *kinds[0], key=key)
        return self

    def on(self, host: str, id: str, *, timeout: str = "", error: str = "", message: str = "", key: str = "", escalation: str = "", signal: str = "",
           interrupting: bool = True, name: str = "") -> Flow:  # fmt: skip
        """A boundary event of the element `host`; the cursor moves to it. `error="*"` catches any."""
        if host not in self._nodes:
            self._wrong.append(f"on('{host}', '{id}'): no such element to stand on")
            return self
        kinds = [
            (k, v)
            for k, v in (("timer", timeout), ("error", error), ("message", message), ("escalation", escalation), ("signal", signal))
            if v
        ]
        if len(kinds) != 1:
            self._wrong.append(f"on('{host}', '{id}'): give exactly one of timeout, error, message, escalation, signal")
            return self
        self._cursor = None
        node = self._add("boundaryEvent", id, name)
        node.set("attachedToRef", self._nodes[host].get("id"))
        if not interrupting:
            node.set("cancelActivity", "false")
        kind, value = kinds[0]
        self._scope.event(node, kind, "" if value == "*" else value, key=key)
        return self

    # ------------------------------------------------------------------ activities

    def service(self, id: Any, name: str = "", *, job: Any = "", retries: int | None = None, headers: dict[str, str] | None = None,
                inputs: dict[str, Any] | None = None, outputs: dict[str, Any] | None = None) -> Flow:  # fmt: skip
        """Work for a program. Either an id and a job type, or a handler that carries its type (`@handles("type")`, `@worker.job("type")`): alone,
        then the function's name is the id, or as `job`. Raises: TypeError: a function without a type."""
        if not isinstance(id, str):
            id, job = getattr(id, "__name__", ""), id
        if not isinstance(job, str):
            self.root.handlers.append(job)
            job = job_type_of(job).type
        node = self._add("serviceTask", id, name, inputs, outputs)
        build.job(node, job or id, retries, headers)
        return self

    def user(self, id: str, name: str = "", *, assignee: str = "", groups: list[str] | str = "", users: list[str] | str = "", form: str = "",
             due: str = "", priority: int | None = None, inputs: dict[str, Any] | None = None, outputs: dict[str, Any] | None = None) -> Flow:  # fmt: skip
        node = self._add("userTask", id, name, inputs, outputs)
        build.people(node, assignee, groups if isinstance(groups, str) else ",".join(groups), users if isinstance(users, str) else ",".join(users), form,
                     due, "", priority)  # fmt: skip
        return self

    def script(self, id: str, expression: str, result: str, name: str = "") -> Flow:
        build.script(self._add("scriptTask", id, name), expression, result)
        return self

    def decision(self, id: str, decision: str, result: str, name: str = "") -> Flow:
        build.decision(self._add("businessRuleTask", id, name), decision, result)
        return self

    def call(
        self, id: str, process: str, name: str = "", *, inputs: dict[str, Any] | None = None, outputs: dict[str, Any] | None = None
    ) -> Flow:
        build.call(self._add("callActivity", id, name, inputs, outputs), process)
        return self

    def each(self, items: str, item: str = "item", *, parallel: bool = True, collect: str = "", collect_from: str = "") -> Flow:
        """Run the activity at the cursor once for each item."""
        if self._cursor is None:
            self._wrong.append(f"each('{items}') has no activity before it")
        else:
            build.each(self._draft, self._cursor, items, item, parallel, collect, collect_from or (item if collect else ""))
        return self

    def sub(self, id: str, name: str = "") -> Flow:
        """A sub-process: returns the builder of its inside; the cursor of this builder stands on it."""
        node = self._add("subProcess", id, name)
        inner = Flow(id, _scope=build.Scope(self._draft, node))
        inner.root = self.root
        self._subs.append(inner)
        return inner

    # ------------------------------------------------------------------ gateways

    def exclusive(self, id: str, name: str = "") -> Flow:
        self._add("exclusiveGateway", id, name)
        return self

    def parallel(self, id: str, name: str = "") -> Flow:
        self._add("parallelGateway", id, name)
        return self

    def inclusive(self, id: str, name: str = "") -> Flow:
        self._add("inclusiveGateway", id, name)
        return self

    def first_of(self, id: str, name: str = "") -> Flow:
        """An event-based gateway: the first of the events behind it decides."""
        self._add("eventBasedGateway", id, name)
        return self

    # ------------------------------------------------------------------ result

    def tree(self) -> Any:
        """The BPMN document with a diagram. Raises: ValueError with all that is wrong."""
        self._settle()
        wrong = self._all_wrong()
        if wrong:
            raise ValueError(f"the flow '{self._scope.id}' can't be built:\n" + "\n".join(f"- {w}" for w in wrong))
        return layout.add(self._draft.finish())

    @property
    def id(self) -> str:
        return str(self._scope.element.get("id"))

    def xml(self) -> bytes:
        """The BPMN file. Raises: ValueError with all that is wrong."""
        tree = self.tree()
        etree.indent(tree)
        text: bytes = etree.tostring(tree, xml_declaration=True, encoding="UTF-8")
        return text

    def graph(self) -> Any:
        """The graph that the engine runs. Raises: ValueError with all findings."""
        from flowledger.kernel import model

        graph, findings = model.read(self.xml(), f"{self._scope.id}.bpmn")
        errors = [f for f in findings if f.severity == "error"]
        if errors:
            raise ValueError("\n".join(f"{f.element or ''}: {f.code}: {f.message}" for f in errors))
        return graph

    def _add(self, tag: str, id: str, name: str, inputs: dict[str, Any] | None = None, outputs: dict[str, Any] | None = None) -> Any:
        if id in self._nodes:
            self._wrong.append(f"the id '{id}' is used twice")
        node = self._scope.node(tag, id, name)
        for direction, mappings in (("input", inputs), ("output", outputs)):
            for target, source in (mappings or {}).items():
                build.mapping(node, direction, build.source_of(source), target)
        self._nodes.setdefault(id, node)
        if self._cursor is not None:
            self._lead(self._cursor, node, self._condition, self._default)
        elif self._condition is not None or self._default:
            self._wrong.append(f"'{id}': when() or otherwise() has nothing to start from")
        self._cursor, self._condition, self._default = node, None, False
        return node

    def _lead(self, source: Any, target: Any, condition: str | None, default: bool) -> None:
        flow = self._scope.flow(source, target, condition)
        if default:
            source.set("default", flow.get("id"))

    def _settle(self) -> None:
        for inner in self._subs:
            inner._settle()
        for source, id, condition, default in self._later:
            if id in self._nodes:
                self._lead(source, self._nodes[id], condition, default)
            else:
                self._wrong.append(f"to('{id}'): no such element; there are {', '.join(self._nodes)}")
        self._later = []

    def _all_wrong(self) -> list[str]:
        return [*self._wrong, *(w for inner in self._subs for w in inner._all_wrong())]


__all__ = ["Flow"]
