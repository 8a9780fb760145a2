"""The table of docs/security.md, made from the code. `python -m tests.signin.matrix` writes it into the page."""

from __future__ import annotations

from pathlib import Path

from flowledger.api.access.operations import BY_MOVE, GRPC, HTTP, PUBLIC, SIGNED_IN, SOCKETS
from flowledger.api.access.rights import RIGHTS, ROLES

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
BEGIN, END = "<!-- rights: begin -->\n", "<!-- rights: end -->"


def _operations() -> list[tuple[str, str]]:
    found = [*HTTP.items(), *SOCKETS.items(), *((f"gRPC {name}", right) for name, right in GRPC.items())]
    return found + [(f"{o.replace('{move}', move)}", right) for o, moves in BY_MOVE.items() for move, right in moves.items()]


def matrix() -> str:
    short = list(ROLES)
    lines = [f"| right | lets one | {' | '.join(short)} |", f"|---|---|{'---|' * len(short)}"]
    lines += [
        f"| `{right}` | {text} | {' | '.join('yes' if right in ROLES[r][1] else '' for r in short)} |" for right, text in RIGHTS.items()
    ]
    lines += ["", "| needs | operations |", "|---|---|"]
    names = {PUBLIC: "nothing", SIGNED_IN: "to be signed in"}
    for right in (PUBLIC, SIGNED_IN, *RIGHTS):
        those = ", ".join(f"`{o}`" for o, needed in _operations() if needed == right)
        lines.append(f"| {names.get(right, f'`{right}`')} | {those} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    PAGE.write_text(before + BEGIN + matrix() + END + rest.partition(END)[2])
