"""A process that runs scripts: a line of JSON in (`source`, `data`, `now_us`, `seed`, `cpu_s`), a line out (`result`, or `error`), until its input ends."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from typing import Any

from flowledger.infra import javascript
from flowledger.kernel.scripts import ScriptError

#: of the whole process, whatever the sandbox thinks of it
ADDRESS_SPACE_BYTES = 1024 * 1024 * 1024
FILES_MAX = 16


def _bounded() -> None:
    try:
        import resource
    except ImportError:  # no Unix: the sandbox's own limits are left
        return
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES_MAX, FILES_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def answer(job: dict[str, Any]) -> dict[str, Any]:
    try:
        value, _ = javascript.run(job["source"], job["data"], job["now_us"], job["seed"], cpu_s=job["cpu_s"])
    except ScriptError as e:
        return {"error": str(e)}
    return {"result": value}


def main() -> None:
    import quickjs  # noqa: F401 - before the limits

    _bounded()
    for line in sys.stdin.buffer:
        said = answer(json.loads(line, parse_float=Decimal))
        sys.stdout.buffer.write(json.dumps(said, default=javascript.plain).encode() + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
