"""What the kernel knows of connectors: which job types they serve, where a model may name a secret, and how it tells them so.

A secret is a reference: `{{secrets.NAME}}` in a text, `secrets.NAME` in FEEL. Both may stand in the inputs and headers of a task that a connector
serves, and nowhere else. The engine resolves neither: in FEEL the reference becomes the text `{{secrets.NAME}}`, and a header of the job says which
inputs the model itself puts which names into, so that a text which arrives as data is taken for a reference in none of the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from flowledger.kernel.feel import FeelSyntaxError
from flowledger.kernel.feel.lexer import NAME, tokens
from flowledger.kernel.model import xml as x

#: job types of our own connectors begin so
PREFIX = "flowledger:"
#: what others call the same connector -> our job type
ALIASES = {"io.camunda:http-json:1": "flowledger:http"}
#: the header that tells a connector which inputs name which secrets: `{"authentication.token": ["TOKEN"]}`
SECRETS_HEADER = "flowledger:secrets"
#: headers in FEEL that the connector evaluates over its answer: what they make goes to variables, so no secret may stand there
RESULTS = frozenset({"resultExpression", "errorExpression"})
#: back-off of a connector's task whose model says nothing
RETRY = {"strategy": "exponential", "initialMs": "1000", "maxMs": "60000", "jitter": "0.2"}
#: references that one task may have
REFERENCES_MAX = 50
REFERENCE = re.compile(r"\{\{\s*secrets\.([A-Za-z_][A-Za-z0-9_-]{0,127})\s*\}\}")

#: where the address stands that the other side answers to; it goes with the names of secrets, of which none has a dot
CALLBACK, CALLBACK_NAME = re.compile(r"\{\{\s*callback\.url\s*\}\}"), "callback.url"

_HINT = "a secret stands in an input (zeebe:input) or a header of a task that a connector serves (docs/connectors.md)"
#: elements whose text is no expression and no value
_PROSE = frozenset({"documentation", "text"})
#: elements whose text is FEEL with or without a leading `=`
_FEEL = frozenset(
    "conditionExpression condition loopCardinality loopCondition completionCondition timeDate timeCycle timeDuration from to transformation "
    "expression activationCondition script".split()
)


def served(job_type: str) -> bool:
    """Whether jobs of the type are a connector's."""
    return job_type.startswith(PREFIX) or job_type in ALIASES


def type_of(element: Any) -> str:
    """The literal job type of an element, when a connector serves it; else empty."""
    definition = x.ext(element, "taskDefinition")
    found = definition.get("type", "") if definition is not None else ""
    return found if served(found) else ""


def in_feel(text: str) -> list[tuple[int, int, str]]:
    """(start, end, name) of each `secrets.NAME` of a FEEL text, outside of its strings."""
    if "secrets" not in text:
        return []
    try:
        found = tokens(text)
    except FeelSyntaxError:
        return []
    spots = []
    for i in range(len(found) - 3):
        name, dot, part = found[i : i + 3]
        if name.kind == NAME and name.text == "secrets" and dot.text == "." and part.kind == NAME and (i == 0 or found[i - 1].text != "."):
            spots.append((name.start, part.end, part.text))
    return spots


def placed(source: str) -> str:
    """The source of an input with each `secrets.NAME` of its FEEL as the text `{{secrets.NAME}}`."""
    if not source.lstrip().startswith("="):
        return source
    for start, end, name in reversed(in_feel(source)):
        source = f'{source[:start]}"{{{{secrets.{name}}}}}"{source[end:]}'
    return source


def header(element: Any) -> str:
    """What the job of a connector is told of its secrets; empty: its inputs name none."""
    found: dict[str, list[str]] = {}
    for m in x.ext_all(element, "ioMapping", "input"):
        source = placed(m.get("source", ""))
        if names := REFERENCE.findall(source) + [CALLBACK_NAME] * bool(CALLBACK.search(source)):
            found.setdefault(m.get("target", ""), []).extend(n for n in dict.fromkeys(names) if n not in found.get(m.get("target", ""), ()))
    return msgspec.json.encode(found).decode() if found else ""


def secrets_of(task: Any) -> list[str]:
    """Names of the secrets that inputs and headers of a task refer to."""
    found: dict[str, None] = {}
    for element, _, text in _texts(task):
        if _task_of(element) is task:
            found |= dict.fromkeys(REFERENCE.findall(text))
            found |= dict.fromkeys(name for _, _, name in in_feel(text)) if text.lstrip().startswith("=") else {}
    return sorted(found)


def check(r: Any) -> None:
    """References to secrets where nobody resolves them."""
    own_variable = any("secrets" in (e.get("target"), e.get("resultVariable")) for e in r.definitions.iter() if isinstance(e.tag, str))
    for element, attribute, text in _texts(r.definitions):
        names = REFERENCE.findall(text)
        tag = x.local(element)
        feel = text.lstrip().startswith("=") or (not attribute and tag in _FEEL)
        if feel and not own_variable:
            names += [name for _, _, name in in_feel(text)]
        if not names:
            continue
        task = _task_of(element)
        what = f"'secrets.{names[0]}'"
        if tag == "header" and attribute == "value" and element.get("key") in RESULTS and task is not None and type_of(task):
            message = f"{what} in {element.get('key')}: what it makes goes to variables, where no secret may be"
            r.finding("SECRET_IN_RESULT", message, element, hint=_HINT)
        elif task is not None and type_of(task) and (tag, attribute) in (("input", "source"), ("header", "value")):
            if len(names) > REFERENCES_MAX:
                r.finding("SECRETS_TOO_MANY", f"expected at most {REFERENCES_MAX} references to secrets, found {len(names)}", element)
        elif (
            task is not None
            and (tag, attribute) in (("input", "source"), ("header", "value"))
            and x.ext(task, "taskDefinition") is not None
        ):
            r.finding(
                "SECRET_NOT_RESOLVED",
                f"{what} goes to the worker as it is written: no connector serves the job type '{x.ext(task, 'taskDefinition').get('type')}'",
                element,
                severity="warning",
                hint=_HINT,
            )
        else:
            r.finding(
                "SECRET_OUTSIDE_CONNECTOR",
                f"{what} in {attribute or 'the text'} of <{tag}>: nothing resolves it there",
                element,
                hint=_HINT,
            )


def _texts(root: Any) -> Iterator[tuple[Any, str, str]]:
    """(element, attribute or "", text) of all that might name a secret."""
    for element in root.iter():
        if not isinstance(element.tag, str):
            continue
        for attribute, value in element.attrib.items():
            if "secrets" in value and attribute not in ("id", "name"):
                yield element, attribute, value
        if element.text and "secrets" in element.text and x.local(element) not in _PROSE:
            yield element, "", element.text


def _task_of(element: Any) -> Any:
    """The element of the process whose extension this is; None: it is none."""
    while element is not None:
        if element.tag == f"{x.B}extensionElements":
            return element.getparent()
        element = element.getparent()
    return None
