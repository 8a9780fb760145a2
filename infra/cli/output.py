"""What people see (tables, colours, one clear sentence when something is wrong) and what programs read (`--json`)."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

OK, NO, USAGE, UNREACHABLE = 0, 1, 2, 3
_for_programs = False


def for_programs(yes: bool | None = None) -> bool:
    """Whether `--json` was given: then stdout has JSON and nothing else, also when something is wrong."""
    global _for_programs  # noqa: PLW0603 - of the process, as its arguments are
    if yes is not None:
        _for_programs = yes
    return _for_programs


def command() -> str:
    """How this program can be called from here, so that a hint can be pasted."""
    mine = Path(sys.argv[0])
    if mine.name != PROGRAM or not mine.exists():
        return PROGRAM if shutil.which(PROGRAM) else f"{sys.executable} -m flowledger"
    found = shutil.which(PROGRAM)
    if found is not None and Path(found).resolve() == mine.resolve():
        return PROGRAM
    try:
        return str(mine.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(mine)


PROGRAM = "flowledger"


class Failed(Exception):
    """Ends the command with one sentence on stderr. `code`: 1 it was refused or is so, 2 wrong use, 3 nobody answers."""

    def __init__(self, message: str, code: int = NO, hint: str = "", problem: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code, self.hint, self.problem = code, hint, problem

    def as_json(self) -> dict[str, Any]:
        """`{"error": {...}}`: what the server said, or the sentence alone."""
        found: dict[str, Any] = {"message": str(self), "hint": self.hint or None, "exit": self.code, **(self.problem or {})}
        return {"error": {k: v for k, v in found.items() if v is not None}}


def fail(message: str, code: int = NO, hint: str = "") -> NoReturn:
    raise Failed(message, code, hint)


#: width when the output isn't a terminal: nothing is folded or cut, so that grep and awk find it
WIDE = 400


def console(stderr: bool = False) -> Any:
    from rich.console import Console

    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, highlight=False, soft_wrap=not terminal, width=None if terminal else WIDE)


def as_json(value: Any, lines: bool = False) -> None:
    """JSON on stdout; with `lines` one line for each item."""
    import msgspec

    encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=str)
    for item in value if lines else [value]:
        data = encoder.encode(item)
        sys.stdout.write((data if lines else msgspec.json.format(data, indent=2)).decode() + "\n")


STYLES = {
    "running": "cyan", "completed": "green", "published": "green", "ok": "green", "failed": "red", "open": "red", "error": "red",
    "cancelled": "yellow", "terminated": "yellow", "suspended": "yellow", "warning": "yellow", "created": "cyan", "assigned": "blue",
    "resolved": "green", "ready": "green", "not ready": "red", "info": "blue",
}  # fmt: skip


def _empty(value: Any) -> bool:
    return value is None or value is False or (isinstance(value, (str, list, dict)) and not value)


WHOLE = ("id", "key", "task", "incident", "instance", "position", "partition", "status", "severity", "result")
TIMES = ("started_at", "completed_at", "created_at", "due_at", "due", "since", "time", "built_at")


def cell(value: Any, field: str = "status") -> str:
    from rich.markup import escape

    if value is None or value == "" or value is False:
        return ""
    if value is True:
        return "yes"
    if isinstance(value, list) and all(isinstance(v, str) for v in value):
        value = ", ".join(value)
    if isinstance(value, (dict, list)):
        import msgspec

        value = msgspec.json.encode(value).decode()
    text = str(value)
    style = STYLES.get(text) if field in ("status", "severity", "result") else None
    shown = escape(text)
    return f"[{style}]{shown}[/]" if style else shown


def table(rows: Iterable[dict[str, Any]], columns: Sequence[str | tuple[str, str]], title: str = "", empty: str = "nothing found") -> None:
    """`columns`: a field, or (field, heading). Columns of which all cells are empty are left out."""
    from rich import box
    from rich.table import Table

    rows = list(rows)
    out = console()
    if not rows:
        out.print(f"[dim]{empty}[/]")
        return
    named = [(c, c.replace("_", " ")) if isinstance(c, str) else c for c in columns]
    named = [(f, h) for f, h in named if any(not _empty(r.get(f)) for r in rows)]
    if not sys.stdout.isatty():
        _plain(rows, named, title)
        return
    shown = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", header_style="bold", pad_edge=False)
    for field, heading in named:
        number = all(isinstance(r.get(field), (int, float)) and not isinstance(r.get(field), bool) for r in rows)
        # what is copied to the next command, and times, are never cut or folded; the rest is folded by words when there is no room
        whole = field in WHOLE or field in TIMES
        shown.add_column(heading, justify="right" if number else "left", no_wrap=whole, overflow="fold")
    for r in rows:
        shown.add_row(*(cell(moment(r.get(f)), f) for f, _ in named))
    out.print(shown)


def _plain(rows: Sequence[dict[str, Any]], named: Sequence[tuple[str, str]], title: str) -> None:
    """For grep and awk: a line for each row, whole texts, columns two blanks apart."""
    from rich.text import Text

    lines = [[h for _, h in named]]
    lines += [[" ".join(Text.from_markup(cell(moment(r.get(f)), f)).plain.split("\n")) for f, _ in named] for r in rows]
    widths = [max(len(line[n]) for line in lines) for n in range(len(named))]
    if title:
        print(title)
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def facts(values: dict[str, Any], title: str = "") -> None:
    """Names and values, one a line; empty ones are left out."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    for name, value in values.items():
        if not _empty(value):
            grid.add_row(name.replace("_", " "), cell(moment(value), name))
    out = console()
    if title:
        out.print(f"[bold]{title}[/]")
    if not sys.stdout.isatty():
        from rich.text import Text

        known = {n.replace("_", " "): Text.from_markup(cell(moment(v), n)).plain for n, v in values.items() if not _empty(v)}
        width = max(map(len, known), default=0)
        for name, text in known.items():
            print(f"{name.ljust(width)}  {text}")
        return
    out.print(grid)


def moment(value: Any) -> Any:
    """Times as people read them: local, to the second, without the date when it is today."""
    if isinstance(value, str) and len(value) >= 20 and value[4:5] == "-" and value[10:11] == "T":
        from datetime import datetime

        try:
            found = datetime.fromisoformat(value).astimezone()
        except ValueError:
            return value
        today = found.date() == datetime.now().date()
        return found.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M")
    return value


def agree(question: str, nothing: str) -> None:
    """Somebody says yes; else it ends: with 2 where nobody can be asked, with 1 and `nothing` where they say no."""
    import typer

    if for_programs() or not sys.stdin.isatty():
        fail("expected --yes (or --dry-run) where nobody can be asked", USAGE)
    if not typer.confirm(question, err=True):
        fail(nothing, NO)


def say(text: str) -> None:
    """A note for people, on stderr, so that stdout stays what it is."""
    console(stderr=True).print(text)


@contextmanager
def busy(text: str) -> Any:
    """A spinner while something takes its time; nothing when nobody looks. Yields `update(text)`; `update("")` ends it."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    status = Console(stderr=True).status(text)
    status.start()
    try:
        yield lambda now: status.update(now) if now else status.stop()
    finally:
        status.stop()
