"""JavaScript of a model in QuickJS, in a process of its own: no file, no network, no module, no environment, no clock but the call's.

The sandbox is that of script tasks (`infra/javascript.py`) with more time; the process around it (`infra/javascript_child.py`) holds what a hole in it
could reach: it has no secrets, limits on memory and processor time, and is ended when it is late. Scripts are text of headers, never of variables.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
import zlib
from decimal import Decimal
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from flowledger.connectors import reach
from flowledger.connectors.fields import LITERAL, Seconds
from flowledger.connectors.frame import Call, Config, Failed
from flowledger.infra.javascript import SCRIPT_MAX

#: scripts of one process that run at a time
CHILDREN_MAX = 2
#: beside its own time a script gets so long for the way to and fro (seconds)
GRACE_S = 5.0
LINE_MAX = 8 * 1024 * 1024


class JavaScriptConfig(Config):
    """Runs JavaScript in a sandbox."""

    model_config = ConfigDict(title="JavaScript")

    script: Annotated[str, Field(min_length=1, max_length=SCRIPT_MAX)] = Field(
        description="Its last expression is the result; names of data are its variables", title="Script", json_schema_extra=LITERAL
    )
    data: dict[str, Any] = Field({}, description="A context: what the script sees", title="Data")
    timeout_in_seconds: Annotated[Seconds, Field(le=30)] = Field(5, description="Of the processor", title="Time limit (s)")


class JavaScriptConnector:
    name = "javascript"
    job_type = "flowledger:javascript"
    aliases: tuple[str, ...] = ()
    config: type[Config] = JavaScriptConfig

    def __init__(self) -> None:
        self._idle: list[_Child] = []
        self._places: asyncio.Semaphore | None = None

    async def call(self, config: JavaScriptConfig, call: Call) -> dict[str, Any]:
        """`{result}`. Raises: Failed."""
        call.target = "javascript"
        if self._places is None:
            self._places = asyncio.Semaphore(CHILDREN_MAX)
        job = {
            "source": config.script, "data": config.data, "now_us": time.time_ns() // 1000, "seed": zlib.crc32(call.key.encode()),
            "cpu_s": config.timeout_in_seconds,
        }  # fmt: skip
        line = json.dumps(job, default=_number).encode()
        if len(line) > LINE_MAX:
            raise Failed("CONFIGURATION", f"expected script and data of at most {LINE_MAX} bytes")
        async with self._places:
            child = self._idle.pop() if self._idle else _Child()
            try:
                async with asyncio.timeout(config.timeout_in_seconds + GRACE_S):
                    said = await child.ask(line)
            except BaseException as e:
                await child.end()
                if isinstance(e, TimeoutError):
                    raise Failed("SCRIPT", f"it took more than {config.timeout_in_seconds} s") from None
                if isinstance(e, (OSError, EOFError, ValueError)):
                    raise Failed("CUT", "the process of the script ended: it is tried again", again=True) from None
                raise
            self._idle.append(child)
        if "error" in said:
            raise Failed("SCRIPT", f"the script failed: {said['error']}")
        if reach.size(said["result"]) > call.answer_bytes_max:
            raise reach.too_large(call.answer_bytes_max)
        return {"result": said["result"]}

    async def close(self) -> None:
        while self._idle:
            await self._idle.pop().end()


class _Child:
    """A process that answers a line with a line; it ends with its input, so it can't outlive us."""

    def __init__(self) -> None:
        self.process: asyncio.subprocess.Process | None = None

    async def ask(self, line: bytes) -> dict[str, Any]:
        """Raises: OSError, EOFError, ValueError."""
        if self.process is None or self.process.returncode is not None:
            kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT") if name in os.environ}
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "flowledger.infra.javascript_child", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL, env=kept, limit=2 * LINE_MAX,
            )  # fmt: skip
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(line + b"\n")
        await self.process.stdin.drain()
        said = await self.process.stdout.readuntil(b"\n")
        found: dict[str, Any] = json.loads(said, parse_float=Decimal)
        return found

    async def end(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()


def _number(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"{type(value).__name__} is no JSON value")
