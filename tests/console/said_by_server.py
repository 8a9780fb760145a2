"""What the server says in English, read from its sources: refusals by their sentence, codes of findings, hints. `…` stands for what is put in."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from flowledger.api.problems import BY_STATUS, STATUS

from .conftest import ROOT

sys.path.insert(0, str(ROOT / "tools"))

from validation_page import text_of

#: calls that refuse, and which of their arguments is the sentence
REFUSES = {"Rejected": 1, "Problem": 1, "malformed": 0, "senseless": 0, "Senseless": 0, "_refused": 0}
#: who is refused there is no person at the console: other protocols, callers from outside, readers of triggers and workers, owners among themselves
NOT_THE_CONSOLE = (
    *(f"api/{n}" for n in ("grpc/", "hooks/", "callbacks.py", "capability_events.py", "entrance.py", "job_stream.py", "guard.py", "closing.py", "issuers.py")),
    *(f"kernel/handlers/{n}.py" for n in ("records", "leases", "letters", "repairs", "handout", "__init__", "forgetting", "alerts")),
    "kernel/decide.py",
    "processors/link/",
)  # fmt: skip
#: calls that say a finding, or a warning of an evaluation
FINDS = {"find", "finding", "add", "error", "lost", "Finding", "warn", "Broken", "report", "_tell"}
CODE = re.compile(r"[A-Z]{2,}(_[A-Z]+)*")
WORDS = re.compile(r"[a-z]{3}")


def calls(*places: str) -> Iterator[tuple[str, str, ast.Call]]:
    for place in places:
        for file in sorted((ROOT / place).rglob("*.py")):
            path = Path(file).relative_to(ROOT).as_posix()
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call):
                    yield path, node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", ""), node


def refusals(*, everywhere: bool = False) -> set[str]:
    """Sentences of refusals: those that a person at the console can meet, or all."""
    return {
        text
        for path, name, call in calls("api", "kernel", "processors", "projections")
        if (everywhere or not path.startswith(NOT_THE_CONSOLE)) and name in REFUSES and len(call.args) > REFUSES[name]
        if WORDS.search(text := text_of(call.args[REFUSES[name]]))
    }


def found_elsewhere() -> tuple[set[str], set[str]]:
    """Codes and hints of what is found beside the checks of BPMN: decisions, forms, triggers, texts, what is protected."""
    codes, hints = {"BAD_EXPRESSION"}, set()
    for path, name, call in calls("kernel/dmn", "kernel/feel", "kernel/model", "kernel/tasks"):
        if name not in FINDS or "/checks/" in path or path.endswith(("dialects/own.py", "bpmn.py")):
            continue
        said = [*call.args, *(k.value for k in call.keywords)]
        own = {a.value for a in said if isinstance(a, ast.Constant) and isinstance(a.value, str) and CODE.fullmatch(a.value)}
        codes |= own
        hint = next(
            (k.value for k in call.keywords if k.arg == "hint"), call.args[4] if name in ("add", "_tell") and len(call.args) > 4 else None
        )
        if own and hint is not None and not path.startswith(("kernel/model/bpmn", "kernel/model/dialects")):
            hints.add(text_of(hint))
    return codes, {h for h in hints if WORDS.search(h.replace("…", ""))}


def codes_of_problems() -> set[str]:
    """Each code that a problem of the API can have."""
    written = {
        call.args[0].value
        for _, name, call in calls("api")
        if name == "Problem" and call.args and isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str)
    }
    return {*STATUS, *BY_STATUS.values(), *written}
