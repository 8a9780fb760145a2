"""The console's built files: the page at `/` and every address of its own, the rest below `/console/`.

Files have their content's hash in their names, so browsers keep them; the page itself is asked for each time. The policy lets only our own
scripts run; the one nonce is for the style elements that the component library makes.
"""

from __future__ import annotations

import gzip
import json
import mimetypes
import secrets
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from litestar import Request, Response, get
from litestar.exceptions import NotFoundException

#: addresses that the console's own router knows
PAGES = (
    "sign-in",
    "processes",
    "instances",
    "tasks",
    "designer",
    "decisions",
    "operations",
    "insight",
    "approvals",
    "account",
    "step-up",
    "api",
)
POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; style-src-attr 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors {frames}"
)
#: a file that is smaller is sent as it is
GZIP_MIN = 1024
#: what an address shows, by its first word, and with something behind it (`web/src/app/router.tsx`)
SHOWS = {
    "": "HomePage",
    "tasks": "TasksPage",
    "tasks/": "TaskPage",
    "processes": "ProcessesPage",
    "processes/": "ProcessPage",
    "instances": "InstancesPage",
    "instances/": "InstancePage",
    "designer": "DesignerPage",
    "designer/": "DraftPage",
    "decisions": "DecisionsPage",
    "decisions/": "DecisionPage",
    "operations": "OperationsPage",
    "operations/subjects": "SubjectsPage",
    "operations/retention": "RetentionPage",
    "operations/evidence": "EvidencePage",
    "insight": "InsightPage",
    "insight/capacity": "CapacityPage",
    "insight/kpis": "KpisPage",
    "insight/reports": "ReportsPage",
    "insight/alerts": "AlertsPage",
    "account": "AccountPage",
    "step-up/": "StepUpPage",
    "approvals": "ApprovalsPage",
    "api": "ApiPage",
}
_PACKED = (".js", ".css", ".svg", ".json", ".html", ".map", ".wasm")


def folder() -> Path | None:
    """Where the built files are: in the wheel, or `web/dist` of a checkout. None: not built."""
    here = Path(__file__).resolve().parent.parent
    for place in (here / "console", here / "web" / "dist"):
        if (place / "index.html").is_file():
            return place
    return None


@cache
def _files(root: Path) -> dict[str, Path]:
    """Every file that may be sent, by its address; what is not here does not exist (no path of a request reaches the disk)."""
    return {str(p.relative_to(root).as_posix()): p for p in root.rglob("*") if p.is_file()}


@cache
def _content(path: Path, packed: bool) -> bytes:
    data = path.read_bytes()
    return gzip.compress(data, 6) if packed else data


@cache
def _ahead(root: Path) -> dict[str, bytes]:
    """For the head of each page: the files it needs besides those of all pages, so that they come at once, and not one because of the other."""
    needed: dict[str, list[str]] = json.loads((root / "ahead.json").read_bytes())
    kinds = {
        ".js": '<link rel="modulepreload" crossorigin href="/console/{}">',
        ".css": '<link rel="preload" as="style" crossorigin href="/console/{}">',
    }
    first = "".join(f'<script type="module" async crossorigin src="/console/{f}"></script>' for f in needed["first"])
    return {at: (first + "".join(kinds[Path(f).suffix].format(f) for f in needed.get(name, ()))).encode() for at, name in SHOWS.items()}


def handlers(embed: Sequence[str] = ()) -> list[Any]:
    """For `create_app(at_root=...)`. Empty when the console is not built. `embed`: origins whose pages may show it in a frame."""
    root = folder()
    if root is None:
        return []

    async def page(request: Request[Any, Any, Any]) -> Response[bytes]:
        nonce = secrets.token_urlsafe(16)
        path, ahead = request.url.path.strip("/"), _ahead(root)
        word, behind, _ = path.partition("/")
        given = {
            b"%NONCE%": nonce.encode(),
            b"%EMBED%": " ".join(embed).encode(),
            b"<!-- ahead -->": ahead.get(path) or ahead.get(f"{word}/" if behind else word, b""),
        }
        body = (root / "index.html").read_bytes()
        for mark, text in given.items():
            body = body.replace(mark, text)
        policy = POLICY.format(nonce=nonce, frames=" ".join(embed) or "'none'")
        return Response(body, media_type="text/html", headers={"content-security-policy": policy, "cache-control": "no-cache"})

    async def file(request: Request[Any, Any, Any], path: str) -> Response[bytes]:
        name = path.lstrip("/")
        found = _files(root).get(name)
        if found is None or name == "index.html":
            raise NotFoundException(f"the console has no file {name}")
        packed = found.suffix in _PACKED and found.stat().st_size >= GZIP_MIN and "gzip" in request.headers.get("accept-encoding", "")
        headers = {
            "cache-control": "public, max-age=31536000, immutable" if name.startswith("assets/") else "no-cache",
            "vary": "accept-encoding",
        }
        if packed:
            headers["content-encoding"] = "gzip"
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return Response(_content(found, packed), media_type=kind, headers=headers)

    paths = ["/", *(f"/{p}" for p in PAGES), *(f"/{p}/{{rest:path}}" for p in PAGES)]
    return [
        get(paths, include_in_schema=False, name="console", opt={"any_query": True, "public": True})(page),
        get("/console/{path:path}", include_in_schema=False, name="console files", opt={"any_query": True, "public": True})(file),
    ]
