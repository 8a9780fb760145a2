"""The platform's capabilities as they are registered: eight named ones, six services, the tool manager and the context manager.

Source: requirements D-CON-003, D-CON-004, D-CON-006, APG-CON-003 to APG-CON-010.
"""

from __future__ import annotations

from typing import Any


def _schema(fields: str) -> dict[str, Any]:
    """`"to! text:array at:number"`: `!` is required; without a type a field is a text, `any` is any value."""
    properties: dict[str, Any] = {}
    required: list[str] = []
    for word in fields.split():
        name, _, kind = word.partition(":")
        if name.endswith("!"):
            name = name[:-1]
            required.append(name)
        properties[name] = {} if kind == "any" else {"type": kind or "string"}
    return {"type": "object", "properties": properties, "required": required}


def _operation(description: str, given: str, gives: str, errors: str = "") -> dict[str, Any]:
    row: dict[str, Any] = {"description": description, "input": _schema(given), "output": _schema(gives)}
    return {**row, "errors": errors.split()} if errors else row


#: name -> (title, events, {operation: row})
_ALL: dict[str, tuple[str, str, dict[str, dict[str, Any]]]] = {
    "auth_rbac": ("Authentication and rights", "user.suspended role.changed", {
        "check": _operation("Whether somebody has a permission", "user! permission! resource", "allowed!:boolean"),
        "require": _operation("The same; DENIED where they haven't", "user! permission! resource", "allowed!:boolean", "DENIED"),
        "roles": _operation("The roles of somebody", "user!", "roles!:array"),
    }),
    "audit_compliance": ("Audit and compliance", "policy.changed", {
        "record": _operation("Keep an entry of the audit trail", "action! subject:any", "record!"),
        "check": _operation("Whether something complies with a policy", "policy! subject:any", "compliant!:boolean must_report!:boolean"),
        "report": _operation("A report over what was recorded", "incident summary:any", "report! entries!:integer"),
    }),
    "ai_orchestration": ("Predictions and language", "model.published", {
        "predict": _operation("What a model says of some features", "model! features!:object", "prediction!:object"),
        "classify": _operation("How severe a text is, and of which kinds", "model text!", "severity! kinds!:array"),
        "summarise": _operation("A text in short", "text room:any", "summary!"),
        "optimise": _operation("The best of some choices, by their cost", "choices!:array", "best!:any"),
    }),
    "federated_learning": ("Learning without the data", "round.ended", {
        "contribute": _operation("The weights that one tenant learned, and nothing of its data", "model! tenant! weights!:array", "contributions!:integer"),
        "aggregate": _operation("The mean of the weights of all", "model!", "weights!:array tenants!:integer", "NO_CONTRIBUTIONS"),
    }),
    "real_time_collaboration": ("Rooms for people", "room.opened room.closed", {
        "open_room": _operation("A room for some people", "title! people:array", "room!"),
        "post": _operation("Say something in a room", "room! text!", "messages!:integer", "NO_ROOM"),
        "close_room": _operation("Nobody says anything there any more", "room!", "closed!:boolean", "NO_ROOM"),
    }),
    "notification_engine": ("Notices", "notice.read", {
        "send": _operation("Tell somebody something", "to! text! subject channel", "notice!"),
        "notices": _operation("What somebody was told", "to!", "notices!:array"),
    }),
    "document_management": ("Documents with versions", "document.stored", {
        "store": _operation("Keep a document, as its next version", "name! content!:any", "document! version!:integer"),
        "get": _operation("A version of a document; the newest where none is said", "document! version:integer", "content!:any version!:integer", "NOT_FOUND"),
        "fill": _operation("A template with its fields filled", "template! fields!:object", "content!"),
    }),
    "time_series_analytics": ("Measurements over time", "threshold.passed", {
        "write": _operation("Keep a value", "series! value!:number", "count!:integer"),
        "trend": _operation("Mean and slope of a series", "series!", "mean!:number slope!:number count!:integer", "NO_SERIES"),
    }),
    "agent_assistance": ("Agents that help", "", {
        "ask": _operation("An answer to a question", "question! context:any", "answer! confidence!:number"),
        "ask_later": _operation("The same, given later to an address", "question! answer_to! context:any", "asked!:boolean"),
    }),
    "model_manager": ("Models", "model.published", {
        "run": _operation("What a model makes of an input", "model! input!:any", "output!:any model_version!"),
    }),
    "simulation_manager": ("Simulations", "", {
        "simulate": _operation("Results of many runs of a scenario", "scenario! runs:integer", "mean!:number p95!:number runs!:integer"),
    }),
    "analysis_manager": ("Analyses", "", {
        "analyse": _operation("Figures of some numbers", "data!:array", "count!:integer mean!:number least!:number most!:number", "NO_DATA"),
    }),
    "knowledge_service": ("Knowledge", "", {
        "add": _operation("Keep a text", "title! text!", "entries!:integer"),
        "search": _operation("Texts with the words of a query", "query! limit:integer", "hits!:array"),
    }),
    "data_manager": ("Data", "", {
        "put": _operation("Keep a value under a key", "key! value!:any", "version!:integer"),
        "get": _operation("The value of a key", "key!", "value!:any version!:integer", "NOT_FOUND"),
    }),
    "tool_manager": ("Tools", "tool.registered", {
        "register": _operation("A tool: what it can, and a calculation of its arguments (+, -, *, /)", "tool! can! calculation!", "tools!:integer"),
        "find": _operation("The tools that can something", "can!", "tools!:array"),
        "call": _operation("A tool at work", "tool! arguments!:object", "result!:any", "NO_TOOL"),
    }),
    "context_manager": ("Context", "", {
        "context": _operation("What is known of a subject", "subject!", "context!:object"),
        "tell": _operation("Something that is known of a subject", "subject! key! value!:any", "known!:integer"),
    }),
}  # fmt: skip


def records(endpoint: str, secret: str = "") -> dict[str, dict[str, Any]]:
    """name -> record of registry `capability`, at the stubs of this address. `secret`: name of the secret that is their token."""
    authentication = {"authentication": {"type": "bearer", "token": f"{{{{secrets.{secret}}}}}"}} if secret else {}
    return {
        name: {
            "title": title, "version": "1", "endpoint": f"{endpoint.rstrip('/')}/{name}", "health": "/health", "events": events.split(),
            "operations": operations, **authentication,
        }
        for name, (title, events, operations) in _ALL.items()
    }  # fmt: skip
