"""JavaScript of script tasks, in a sandbox: QuickJS with no file, no network, no module, no clock and no chance of its own.

Limits: CPU time, memory, stack, and the size of what goes in and out. Time is the decision's, and `Math.random` is seeded by the token, so that
the same decision gives the same value again. Every run gets a context of its own: nothing is kept from one to the next.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from flowledger.kernel.scripts import ScriptError

CPU_S = 0.1
MEMORY_BYTES = 32 * 1024 * 1024
STACK_BYTES = 256 * 1024
#: characters of a script, and of its variables or result as JSON
SCRIPT_MAX = 100_000
VALUE_MAX = 4 * 1024 * 1024

# Runs before the script: the clock and chance of the decision, Camunda 7's `execution`, and no way to make code from text.
_PRELUDE = """
(() => {
  const real = Date, now = %(now)d; let seed = %(seed)d >>> 0;
  const at = function (...a) { return new.target ? (a.length ? new real(...a) : new real(now)) : new real(now).toString(); };
  at.prototype = real.prototype; at.now = () => now; at.parse = real.parse; at.UTC = real.UTC;
  Object.defineProperty(real.prototype, "constructor", { value: at });
  globalThis.Date = at;
  Math.random = () => { seed = (seed + 0x6D2B79F5) | 0; let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t; return ((t ^ (t >>> 14)) >>> 0) / 4294967296; };
  const given = JSON.parse(__given), set = {};
  delete globalThis.__given;
  for (const k of Object.keys(given)) if (!(k in globalThis)) globalThis[k] = given[k];
  globalThis.execution = { getVariable: k => k in set ? set[k] : given[k] ?? null, hasVariable: k => k in set || k in given,
    setVariable: (k, v) => { set[k] = v; }, getVariables: () => ({ ...given, ...set }) };
  globalThis.__taken = v => JSON.stringify({ value: v === undefined || typeof v === "function" || typeof v === "symbol" ? null : v, set },
    (k, x) => typeof x === "bigint" ? Number(x) : x);
})();
"""


def run(source: str, variables: dict[str, Any], now_us: int, seed: int, cpu_s: float = CPU_S) -> tuple[Any, dict[str, Any]]:
    """The value of the script's last expression, and what it set by `execution.setVariable`. Raises: ScriptError."""
    import quickjs

    if len(source) > SCRIPT_MAX:
        raise ScriptError(f"expected a script of at most {SCRIPT_MAX} characters, found {len(source)}")
    given = json.dumps(variables, default=plain, ensure_ascii=True)
    if len(given) > VALUE_MAX:
        raise ScriptError(f"expected variables of at most {VALUE_MAX} characters as JSON, found {len(given)}")
    context = quickjs.Context()
    context.set_memory_limit(MEMORY_BYTES)
    context.set_max_stack_size(STACK_BYTES)
    context.set_time_limit(cpu_s)
    try:
        context.set("__given", given)
        context.eval(_PRELUDE % {"now": now_us // 1000, "seed": seed & 0xFFFFFFFF})
        context.set("__script", source)
        # indirect eval gives the value of the last statement; its declarations stay in it
        found = context.eval("__taken((0, eval)(__script))")
    except quickjs.JSException as e:
        raise ScriptError(_said(str(e), cpu_s)) from None
    if not isinstance(found, str) or len(found) > VALUE_MAX:
        raise ScriptError(f"expected a result of at most {VALUE_MAX} characters as JSON")
    made = json.loads(found, parse_float=Decimal)
    return made["value"], made["set"]


def plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _said(text: str, cpu_s: float) -> str:
    line = text.strip().splitlines()[0] if text.strip() else "it failed"
    if "interrupted" in line:
        return f"it took more than {cpu_s} s"
    if "out of memory" in line:
        return f"it took more than {MEMORY_BYTES // (1024 * 1024)} MiB"
    return line[:500]
