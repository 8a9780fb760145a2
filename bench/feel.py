"""Speed of FEEL: one JSON line for each figure, the median of five runs. `python bench/feel.py`."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

from flowledger.kernel import feel

CONTEXT: dict[str, Any] = {"amount": 1500, "status": "open", **{f"variable{i}": i for i in range(8)}}
CONDITION = 'amount > 1000 and status = "open"'
#: About 200 characters with a bit of everything.
LONG = (
    'if amount > 1000 and status = "open" then sum(for i in items return i.price * i.quantity) * (1 + rate / 100) '
    "else some x in list satisfies x.total between 10 and 20 or string length(name) > 25 * limit"
)


def median_us(run: Callable[[], Any], loops: int) -> float:
    """Microseconds of one call."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(loops):
            run()
        times.append((time.perf_counter() - start) / loops * 1e6)
    return round(statistics.median(times), 3)


def other_engine() -> Callable[[], Any] | None:
    """The same condition by another FEEL in Python, if one is installed."""
    try:
        from bkflow_feel.api import parse_expression
    except ImportError:
        return None
    return lambda: parse_expression(CONDITION, CONTEXT)


def run() -> list[dict[str, Any]]:
    """The figures; each is also printed as a line."""
    condition = feel.compile(CONDITION)
    assert condition(CONTEXT) is True
    assert 190 <= len(LONG) <= 210
    test = feel.compile_unary("[1000..2000), > 5000")
    figures = [
        ("feel compiled condition", median_us(lambda: condition(CONTEXT), 20_000)),
        ("feel compiled unary test", median_us(lambda: test(1500), 20_000)),
        ("feel evaluate by text", median_us(lambda: feel.evaluate(CONDITION, CONTEXT), 10_000)),
        ("feel parse and compile 200 characters", median_us(lambda: feel.compile(LONG), 300)),
    ]
    other = other_engine()
    if other is not None:
        figures.append(("bkflow-feel condition", median_us(other, 50)))
    out = [{"name": name, "value": value, "unit": "us"} for name, value in figures]
    for line in out:
        print(json.dumps(line))
    return out


if __name__ == "__main__":
    run()
