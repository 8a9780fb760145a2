"""How fast decision tables are: median of five rounds in one process, microseconds for one evaluation through `DecisionModel.evaluate`.

Goals (issue 4): a unique table of 20 rules and 4 inputs below 60 us, a first-hit table of 3,700 rules below 2,000 us.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from xml.sax.saxutils import escape

from flowledger.kernel import dmn

_HEAD = '<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" name="bench" namespace="urn:bench">'


def model(name: str, policy: str, inputs: dict[str, str], rules: list[tuple[list[str], str]]) -> bytes:
    """The XML of one decision with one table; `inputs` are name -> type."""
    out = [_HEAD]
    out += [f'<inputData id="i{n}" name="{i}"><variable name="{i}" typeRef="{t}"/></inputData>' for n, (i, t) in enumerate(inputs.items())]
    out.append(f'<decision id="d" name="{name}"><variable name="{name}" typeRef="string"/>')
    out += [f'<informationRequirement><requiredInput href="#i{n}"/></informationRequirement>' for n in range(len(inputs))]
    out.append(f'<decisionTable id="t" hitPolicy="{policy}">')
    out += [f'<input><inputExpression typeRef="{t}"><text>{i}</text></inputExpression></input>' for i, t in inputs.items()]
    out.append("<output/>")
    for cells, output in rules:
        out.append(
            "<rule>"
            + "".join(f"<inputEntry><text>{escape(c)}</text></inputEntry>" for c in cells)
            + f"<outputEntry><text>{escape(output)}</text></outputEntry></rule>"
        )
    out.append("</decisionTable></decision></definitions>")
    return "".join(out).encode()


def unique_table() -> tuple[bytes, dict[str, Any]]:
    """20 rules, 4 inputs (two numbers, a text, a boolean), exactly one matches."""
    rules = [
        ([f"[{a * 10}..{a * 10 + 10})", f">= {500 * b}" if b else "< 500", f'"{c}"', "-" if a else "true"], f'"r{a}{b}{c}"')
        for a in range(5)
        for b in range(2)
        for c in ("gold", "silver")
    ]
    assert len(rules) == 20
    return (
        model("Rate", "UNIQUE", {"age": "number", "amount": "number", "tier": "string", "member": "boolean"}, rules),
        {"age": Decimal(37), "amount": Decimal(720), "tier": "silver", "member": True},
    )


def first_table(count: int = 3700) -> tuple[bytes, dict[str, Any]]:
    """Rules over a country, a band of weights and a product; the one that matches is near the end, with a catch-all after it."""
    rules = [
        ([f'"C{n % 37}"', f"[{n // 37}..{n // 37 + 1})", "-" if n % 3 else f'"P{n % 5}", "P9"'], f'"rule {n}"') for n in range(count - 1)
    ]
    rules.append((["-", "-", "-"], '"other"'))
    n = count - 2 - (count - 2) % 3
    return (
        model("Tariff", "FIRST", {"country": "string", "weight": "number", "product": "string"}, rules),
        {"country": f"C{n % 37}", "weight": Decimal(n // 37) + Decimal("0.5"), "product": "P9"},
    )


def median_us(call: Callable[[], object], calls: int) -> float:
    call()
    rounds = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(calls):
            call()
        rounds.append((time.perf_counter() - start) / calls * 1e6)
    return statistics.median(rounds)


def run() -> list[dict[str, Any]]:
    """One figure for each table, and the time to read the large one."""
    out = []
    for name, (xml, inputs), decision, goal, calls in (
        ("dmn.unique_20x4", unique_table(), "Rate", 60, 2000),
        ("dmn.first_3700", first_table(), "Tariff", 2000, 500),
    ):
        start = time.perf_counter()
        m = dmn.read(xml)
        evaluation = m.evaluate(decision, inputs)
        loaded = (time.perf_counter() - start) * 1e3
        assert evaluation.value is not None and not evaluation.warnings, evaluation.warnings
        out.append(
            {
                "name": name,
                "value": round(median_us(lambda m=m, d=decision, i=inputs: m.evaluate(d, i), calls), 2),  # type: ignore[misc]
                "unit": "us",
                "goal": goal,
            }
        )
        out.append({"name": name + ".read_and_first", "value": round(loaded, 2), "unit": "ms"})
    return out


if __name__ == "__main__":
    for figure in run():
        print(figure)
