"""Camunda 7's dialect (`camunda:`) and its relatives (Flowable, Activiti): what it says, in our terms.

`${...}` expressions are translated when they are within FEEL's reach: names, paths, comparisons, `and`/`or`/`!`, literals.
"""

from __future__ import annotations

import re
from typing import Any

from flowledger.kernel import feel
from flowledger.kernel.expressions import Expression, feel_expression, literal
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.graph import Mapping

_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")|(?P<number>\d+(?:\.\d+)?)|(?P<name>[A-Za-z_][\w]*)"
    r"|(?P<op>==|!=|<=|>=|&&|\|\||[-+*/%<>!?:.,()\[\]]))"
)
_WORDS = {"eq": "=", "ne": "!=", "lt": "<", "gt": ">", "le": "<=", "ge": ">=", "and": "and", "or": "or", "div": "/", "true": "true",
          "false": "false", "null": "null"}  # fmt: skip
_OPERATORS = {"==": "=", "&&": "and", "||": "or"}


class Untranslatable(Exception):
    pass


#: the value of a variable, asked of the execution
_VARIABLE = re.compile(r"(?:execution|task)\.getVariable\(\s*['\"](\w+)['\"]\s*\)")
_EMPTY = re.compile(r"(!|not\s+)?\s*\bempty\s+([A-Za-z_][\w.]*)")
_TERNARY = re.compile(r"([^?:'\"]+)\?([^?:]+):([^?:]+)$")


def _empty(m: re.Match[str]) -> str:
    if m[1]:
        return f"({m[2]} != null and {m[2]} != '')"
    return f"({m[2]} == null or {m[2]} == '')"


def juel_to_feel(source: str) -> str:
    """The FEEL for a JUEL expression (without `${}`). Raises: Untranslatable."""
    out: list[str] = []
    i = 0
    text = _VARIABLE.sub(r"\1", source.strip())
    text = _EMPTY.sub(_empty, text)
    if (m := _TERNARY.match(text)) is not None:
        return f"if {juel_to_feel(m[1])} then {juel_to_feel(m[2])} else {juel_to_feel(m[3])}"
    closing: list[str] = []
    while i < len(text):
        m = _TOKEN.match(text, i)
        if not m or m.end() == i:
            raise Untranslatable(f"'{text[i : i + 12]}' is not understood")
        i = m.end()
        if m["string"]:
            body = m["string"][1:-1].replace("\\'", "'").replace('"', '\\"') if m["string"][0] == "'" else m["string"][1:-1]
            out.append(f'"{body}"')
        elif m["number"]:
            out.append(m["number"])
        elif m["name"]:
            word = m["name"]
            if text[i : i + 1] == "(" and word not in ("not", "empty"):
                raise Untranslatable(f"call of the method '{word}'")
            if word == "empty":
                raise Untranslatable("the operator 'empty'")
            if word == "execution" and text[i : i + 1] == ".":
                raise Untranslatable("the 'execution' object")
            out.append("not(" if word == "not" else _WORDS.get(word, word))
            if word == "not":
                closing.append(")")
        else:
            op = m["op"]
            if op == "!":
                # applies to the next operand only: a name path or a parenthesis
                operand = re.match(r"\s*(?:[A-Za-z_][\w.]*|\((?:[^()]|\([^()]*\))*\))", text[i:])
                if not operand:
                    raise Untranslatable("the operator '!'")
                out.append(f"not({juel_to_feel(operand.group())})")
                i += operand.end()
            elif op in ("?", ":", "%"):
                raise Untranslatable(f"the operator '{op}'")
            else:
                out.append(_OPERATORS.get(op, op))
    joined = " ".join(out + closing)
    return re.sub(r"\s*\.\s*", ".", joined)


def juel(text: str, reader: Any, at: Any) -> Expression:
    """`${a > 1}` as FEEL; text with several parts becomes a concatenation."""
    parts = re.split(r"[$#]\{([^}]*)\}", text.strip())
    try:
        if len(parts) == 3 and not parts[0] and not parts[2]:
            return feel_expression(juel_to_feel(parts[1]))
        pieces = []
        for n, part in enumerate(parts):
            if n % 2:
                pieces.append(f"string({juel_to_feel(part)})")
            elif part:
                escaped = part.replace("\\", "\\\\").replace('"', '\\"')
                pieces.append(f'"{escaped}"')
        return feel_expression(" + ".join(pieces))
    except (Untranslatable, feel.FeelSyntaxError) as e:
        reader.finding(
            "CLASSIC_EXPRESSION", f"the expression '{text}' can't be translated to FEEL: {e}", at, hint="write it as FEEL, with a leading ="
        )
        return literal(None)


def mappings(reader: Any, node: Any, element: Any) -> None:
    """`camunda:inputOutput`: text, expression, list and map parameters."""
    for into, tag in ((node.inputs, "inputParameter"), (node.outputs, "outputParameter")):
        for p in x.classic_ext(element, "inputOutput", tag):
            name = p.get("name", "")
            if len(p):
                kid = p[0]
                if x.local(kid) == "list":
                    items = [reader.expression(x.text_of(v), node) for v in kid]
                    if all(e.compiled is None for e in items):
                        into.append(Mapping(literal([e.static for e in items]), name))
                        continue
                elif x.local(kid) == "map":
                    entries = {v.get("key", ""): reader.expression(x.text_of(v), node) for v in kid}
                    if all(e.compiled is None for e in entries.values()):
                        into.append(Mapping(literal({k: e.static for k, e in entries.items()}), name))
                        continue
                reader.finding(
                    "CLASSIC_PARAMETER", f"the {x.local(kid)} of parameter '{name}' can't be kept", node, hint="write it as a FEEL mapping"
                )
                continue
            into.append(Mapping(reader.expression(x.text_of(p), node, f"parameter {name}"), name))
