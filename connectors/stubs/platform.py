"""What the stubs do: little, always the same, in memory. Each method is an operation; `Refused` is an answer of 409 with its code."""

from __future__ import annotations

import ast
import operator
import re
import statistics
from collections import defaultdict
from collections.abc import Callable
from typing import Any


class Refused(Exception):
    """A business error of an operation."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


_ARITHMETIC: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_SEVERE = {"ransomware": "critical", "breach": "critical", "malware": "high", "phishing": "medium"}
#: a value of a series that is told as an event
THRESHOLD = 100
#: who may not approve; everybody else may do all
_DENIED = frozenset({"mallory"})


class Platform:
    """The state of all stubs. `events`: what has happened and nobody was told yet: capability, type, data. `answers`: (address, answer) that are given later."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, dict[str, Any]]] = []
        self.answers: list[tuple[str, dict[str, Any]]] = []
        self.audit: list[dict[str, Any]] = []
        self.notices: dict[str, list[str]] = defaultdict(list)
        self.rooms: dict[str, list[str]] = {}
        self.documents: dict[str, list[Any]] = defaultdict(list)
        self.series: dict[str, list[float]] = defaultdict(list)
        self.weights: dict[str, dict[str, list[float]]] = defaultdict(dict)
        self.texts: list[tuple[str, str]] = []
        self.data: dict[str, list[Any]] = defaultdict(list)
        self.tools: dict[str, tuple[str, str]] = {}
        self.contexts: dict[str, dict[str, Any]] = defaultdict(dict)

    def do(self, capability: str, operation: str, given: dict[str, Any]) -> dict[str, Any]:
        """Raises: KeyError (no such operation), Refused."""
        method = getattr(self, f"{capability}__{operation}", None)
        if method is None:
            raise KeyError(operation)
        found: dict[str, Any] = method(**given)
        return found

    # --- the eight

    def auth_rbac__check(self, user: str, permission: str, resource: str = "") -> dict[str, Any]:
        return {"allowed": user not in _DENIED}

    def auth_rbac__require(self, user: str, permission: str, resource: str = "") -> dict[str, Any]:
        if user in _DENIED:
            raise Refused("DENIED", f"{user} may not {permission}")
        return {"allowed": True}

    def auth_rbac__roles(self, user: str) -> dict[str, Any]:
        return {"roles": [] if user in _DENIED else ["clerk"]}

    def audit_compliance__record(self, action: str, subject: Any = None) -> dict[str, Any]:
        self.audit.append({"action": action, "subject": subject})
        return {"record": f"audit-{len(self.audit)}"}

    def audit_compliance__check(self, policy: str, subject: Any = None) -> dict[str, Any]:
        personal = isinstance(subject, dict) and subject.get("personal_data") is True
        return {"compliant": not personal, "must_report": personal}

    def audit_compliance__report(self, incident: str = "", summary: Any = None) -> dict[str, Any]:
        return {"report": f"report of {incident or 'all'}", "entries": len(self.audit)}

    def ai_orchestration__predict(self, model: str, features: dict[str, Any]) -> dict[str, Any]:
        amount = features.get("amount")
        risk = "high" if isinstance(amount, (int, float)) and amount >= 10_000 else "low"
        return {"prediction": {"model": model, "risk": risk, "score": 0.75 if risk == "high" else 0.25}}

    def ai_orchestration__classify(self, text: str, model: str = "") -> dict[str, Any]:
        kinds = [word for word in _SEVERE if word in text.lower()]
        return {"severity": _SEVERE[kinds[0]] if kinds else "low", "kinds": kinds}

    def ai_orchestration__summarise(self, text: str = "", room: Any = None) -> dict[str, Any]:
        said = " ".join(self.rooms.get(str(room), [])) if room else text
        return {"summary": said[:100] or "nothing was said"}

    def ai_orchestration__optimise(self, choices: list[Any]) -> dict[str, Any]:
        return {"best": min(choices, key=lambda c: c.get("cost", 0) if isinstance(c, dict) else 0, default=None)}

    def federated_learning__contribute(self, model: str, tenant: str, weights: list[float]) -> dict[str, Any]:
        self.weights[model][tenant] = weights
        return {"contributions": len(self.weights[model])}

    def federated_learning__aggregate(self, model: str) -> dict[str, Any]:
        found = list(self.weights[model].values())
        if not found:
            raise Refused("NO_CONTRIBUTIONS", f"nobody has contributed to {model}")
        return {"weights": [statistics.fmean(each) for each in zip(*found, strict=False)], "tenants": len(found)}

    def real_time_collaboration__open_room(self, title: str, people: list[str] | None = None) -> dict[str, Any]:
        room = f"room-{len(self.rooms) + 1}"
        self.rooms[room] = []
        return {"room": room}

    def _room(self, room: str) -> list[str]:
        if room not in self.rooms:
            raise Refused("NO_ROOM", f"there is no room {room}")
        return self.rooms[room]

    def real_time_collaboration__post(self, room: str, text: str) -> dict[str, Any]:
        said = self._room(room)
        said.append(text)
        return {"messages": len(said)}

    def real_time_collaboration__close_room(self, room: str) -> dict[str, Any]:
        self._room(room)
        return {"closed": True}

    def notification_engine__send(self, to: str, text: str, subject: str = "", channel: str = "") -> dict[str, Any]:
        self.notices[to].append(text)
        return {"notice": f"notice-{sum(map(len, self.notices.values()))}"}

    def notification_engine__notices(self, to: str) -> dict[str, Any]:
        return {"notices": self.notices[to]}

    def document_management__store(self, name: str, content: Any) -> dict[str, Any]:
        self.documents[name].append(content)
        stored = {"document": name, "version": len(self.documents[name])}
        self.events.append(("document_management", "document.stored", stored))
        return stored

    def document_management__get(self, document: str, version: int = 0) -> dict[str, Any]:
        kept = self.documents[document]
        version = version or len(kept)
        if not 1 <= version <= len(kept):
            raise Refused("NOT_FOUND", f"there is no version {version} of {document}")
        return {"content": kept[version - 1], "version": version}

    def document_management__fill(self, template: str, fields: dict[str, Any]) -> dict[str, Any]:
        return {"content": re.sub(r"\{(\w+)\}", lambda m: str(fields.get(m[1], "")), template)}

    def time_series_analytics__write(self, series: str, value: float) -> dict[str, Any]:
        self.series[series].append(value)
        if value >= THRESHOLD:
            self.events.append(("time_series_analytics", "threshold.passed", {"series": series, "value": value}))
        return {"count": len(self.series[series])}

    def time_series_analytics__trend(self, series: str) -> dict[str, Any]:
        found = self.series[series]
        if not found:
            raise Refused("NO_SERIES", f"nothing was written to {series}")
        slope = statistics.linear_regression(range(len(found)), found).slope if len(found) > 1 else 0.0
        return {"mean": statistics.fmean(found), "slope": slope, "count": len(found)}

    # --- the services

    def agent_assistance__ask(self, question: str, context: Any = None) -> dict[str, Any]:
        return {"answer": f"{question} Yes.", "confidence": 0.5}

    def agent_assistance__ask_later(self, question: str, answer_to: str, context: Any = None) -> dict[str, Any]:
        self.answers.append((answer_to, self.agent_assistance__ask(question)))
        return {"asked": True}

    def model_manager__run(self, model: str, input: Any) -> dict[str, Any]:
        return {"output": input, "model_version": "1"}

    def simulation_manager__simulate(self, scenario: str, runs: int = 100) -> dict[str, Any]:
        return {"mean": float(len(scenario)), "p95": len(scenario) * 1.5, "runs": runs}

    def analysis_manager__analyse(self, data: list[Any]) -> dict[str, Any]:
        numbers = [n for n in data if isinstance(n, (int, float)) and not isinstance(n, bool)]
        if not numbers:
            raise Refused("NO_DATA", "expected numbers")
        return {"count": len(numbers), "mean": statistics.fmean(numbers), "least": min(numbers), "most": max(numbers)}

    def knowledge_service__add(self, title: str, text: str) -> dict[str, Any]:
        self.texts.append((title, text))
        return {"entries": len(self.texts)}

    def knowledge_service__search(self, query: str, limit: int = 10) -> dict[str, Any]:
        words = query.lower().split()
        return {"hits": [{"title": t, "text": x} for t, x in self.texts if any(w in f"{t} {x}".lower() for w in words)][:limit]}

    def data_manager__put(self, key: str, value: Any) -> dict[str, Any]:
        self.data[key].append(value)
        return {"version": len(self.data[key])}

    def data_manager__get(self, key: str) -> dict[str, Any]:
        if not self.data[key]:
            raise Refused("NOT_FOUND", f"there is no {key}")
        return {"value": self.data[key][-1], "version": len(self.data[key])}

    def tool_manager__register(self, tool: str, can: str, calculation: str) -> dict[str, Any]:
        self.tools[tool] = (can, calculation)
        return {"tools": len(self.tools)}

    def tool_manager__find(self, can: str) -> dict[str, Any]:
        return {"tools": sorted(tool for tool, (what, _) in self.tools.items() if what == can)}

    def tool_manager__call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if tool not in self.tools:
            raise Refused("NO_TOOL", f"there is no tool {tool}")
        try:
            return {"result": _calculated(ast.parse(self.tools[tool][1], mode="eval").body, arguments)}
        except (SyntaxError, ValueError, RecursionError, OverflowError):
            raise Refused("NO_TOOL", f"the calculation of {tool} can't be read") from None

    def context_manager__context(self, subject: str) -> dict[str, Any]:
        return {"context": self.contexts[subject]}

    def context_manager__tell(self, subject: str, key: str, value: Any) -> dict[str, Any]:
        self.contexts[subject][key] = value
        return {"known": len(self.contexts[subject])}


def _calculated(tree: ast.expr, arguments: dict[str, Any]) -> Any:
    """Numbers, names and four operations; nothing is evaluated by Python. Raises: Refused."""
    match tree:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.Name(id=name) if isinstance(arguments.get(name), (int, float)):
            return arguments[name]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            try:
                return _ARITHMETIC[type(op)](_calculated(left, arguments), _calculated(right, arguments))
            except ZeroDivisionError:
                raise Refused("NO_TOOL", "it divides by zero") from None
    raise Refused("NO_TOOL", "expected numbers, arguments, + - * /")
