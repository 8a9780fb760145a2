"""What each host calls branch, commit and pull request.

Sources: GitHub REST API 2022-11-28 (git refs, blobs, trees, commits; pulls); GitLab REST API v4 (branches, commits, merge requests); Gitea's API v1
(branches, contents, pulls).
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from flowledger.connectors.frame import Failed
from flowledger.connectors.git.config import File

#: (method, path below the API, body) -> the answer's body. Raises: Failed
Ask = Callable[[str, str, Any], Awaitable[Any]]
#: commits that are looked at for one that was made by the same work
LOOK_MAX = 30


class Host(Protocol):
    async def head(self, branch: str) -> str:
        """Its newest commit. Raises: Failed `404`."""

    async def make_branch(self, branch: str, base: str) -> str:
        """The commit that it stands at. Raises: Failed."""

    async def messages(self, branch: str) -> list[tuple[str, str]]:
        """(commit, message) of the newest."""

    async def commit(self, branch: str, message: str, files: list[File]) -> str: ...
    async def found(self, branch: str, base: str) -> dict[str, Any] | None:
        """The open pull request of both."""

    async def make(self, branch: str, base: str, title: str, text: str) -> dict[str, Any]: ...
    async def look(self, number: int) -> dict[str, Any]: ...


def _q(text: str, safe: str = "") -> str:
    return quote(text, safe=safe)


def _b64(file: File) -> str:
    return base64.b64encode(file.data()).decode()


def part(value: Any, *path: str) -> Any:
    """Of an answer. Raises: Failed, where it isn't as the host's documents have it."""
    for name in path:
        if not isinstance(value, dict) or name not in value:
            raise Failed("ANSWER_UNREADABLE", f"expected {'.'.join(path)} in what the Git host answers")
        value = value[name]
    return value


def _rows(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise Failed("ANSWER_UNREADABLE", "expected a list from the Git host")
    return value


class GitHub:
    def __init__(self, ask: Ask, repository: str) -> None:
        self._ask, self._at, self._owner = ask, f"/repos/{_q(repository, '/')}", repository.partition("/")[0]

    async def head(self, branch: str) -> str:
        return str(part(await self._ask("GET", f"{self._at}/git/ref/heads/{_q(branch, '/')}", None), "object", "sha"))

    async def make_branch(self, branch: str, base: str) -> str:
        sha = await self.head(base)
        await self._ask("POST", f"{self._at}/git/refs", {"ref": f"refs/heads/{branch}", "sha": sha})
        return sha

    async def messages(self, branch: str) -> list[tuple[str, str]]:
        rows = _rows(await self._ask("GET", f"{self._at}/commits?{urlencode({'sha': branch, 'per_page': LOOK_MAX})}", None))
        return [(str(part(r, "sha")), str(part(r, "commit", "message"))) for r in rows]

    async def commit(self, branch: str, message: str, files: list[File]) -> str:
        parent = await self.head(branch)
        tree = part(await self._ask("GET", f"{self._at}/git/commits/{parent}", None), "tree", "sha")
        entries = []
        for file in files:
            sha = None
            if not file.delete:
                sha = part(await self._ask("POST", f"{self._at}/git/blobs", {"content": _b64(file), "encoding": "base64"}), "sha")
            entries.append({"path": file.path, "mode": "100644", "type": "blob", "sha": sha})
        tree = part(await self._ask("POST", f"{self._at}/git/trees", {"base_tree": tree, "tree": entries}), "sha")
        made = part(await self._ask("POST", f"{self._at}/git/commits", {"message": message, "tree": tree, "parents": [parent]}), "sha")
        # not by force: somebody who was faster is not overwritten
        await self._ask("PATCH", f"{self._at}/git/refs/heads/{_q(branch, '/')}", {"sha": made, "force": False})
        return str(made)

    async def found(self, branch: str, base: str) -> dict[str, Any] | None:
        asked = urlencode({"state": "open", "head": f"{self._owner}:{branch}", "base": base})
        rows = _rows(await self._ask("GET", f"{self._at}/pulls?{asked}", None))
        return self._told(rows[0]) if rows else None

    async def make(self, branch: str, base: str, title: str, text: str) -> dict[str, Any]:
        return self._told(await self._ask("POST", f"{self._at}/pulls", {"title": title, "head": branch, "base": base, "body": text}))

    async def look(self, number: int) -> dict[str, Any]:
        return self._told(await self._ask("GET", f"{self._at}/pulls/{number}", None))

    @staticmethod
    def _told(row: Any) -> dict[str, Any]:
        merged = bool(row.get("merged") or row.get("merged_at")) if isinstance(row, dict) else False
        return {
            "number": part(row, "number"), "url": part(row, "html_url"), "title": part(row, "title"),
            "state": "merged" if merged else str(part(row, "state")), "commit": part(row, "head", "sha"),
        }  # fmt: skip


class Gitea(GitHub):
    """As GitHub for pull requests, by other ways for branches and commits."""

    async def head(self, branch: str) -> str:
        return str(part(await self._ask("GET", f"{self._at}/branches/{_q(branch, '/')}", None), "commit", "id"))

    async def make_branch(self, branch: str, base: str) -> str:
        made = await self._ask("POST", f"{self._at}/branches", {"new_branch_name": branch, "old_branch_name": base})
        return str(part(made, "commit", "id"))

    async def messages(self, branch: str) -> list[tuple[str, str]]:
        rows = _rows(await self._ask("GET", f"{self._at}/commits?{urlencode({'sha': branch, 'limit': LOOK_MAX})}", None))
        return [(str(part(r, "sha")), str(part(r, "commit", "message"))) for r in rows]

    async def commit(self, branch: str, message: str, files: list[File]) -> str:
        rows = []
        for file in files:
            try:
                known = part(await self._ask("GET", f"{self._at}/contents/{_q(file.path, '/')}?{urlencode({'ref': branch})}", None), "sha")
            except Failed as e:
                if e.code != "404":
                    raise
                known = None
            if file.delete and known is None:
                continue
            row = {"operation": "delete" if file.delete else "create" if known is None else "update", "path": file.path}
            rows.append({**row, **({} if known is None else {"sha": known}), **({} if file.delete else {"content": _b64(file)})})
        if not rows:
            return await self.head(branch)
        return str(
            part(await self._ask("POST", f"{self._at}/contents", {"branch": branch, "message": message, "files": rows}), "commit", "sha")
        )

    async def found(self, branch: str, base: str) -> dict[str, Any] | None:
        for row in _rows(await self._ask("GET", f"{self._at}/pulls?state=open&limit=50", None)):
            if (part(row, "head", "ref"), part(row, "base", "ref")) == (branch, base):
                return self._told(row)
        return None


class GitLab:
    def __init__(self, ask: Ask, repository: str) -> None:
        self._ask, self._at = ask, f"/projects/{_q(repository)}"

    async def head(self, branch: str) -> str:
        return str(part(await self._ask("GET", f"{self._at}/repository/branches/{_q(branch)}", None), "commit", "id"))

    async def make_branch(self, branch: str, base: str) -> str:
        return str(part(await self._ask("POST", f"{self._at}/repository/branches", {"branch": branch, "ref": base}), "commit", "id"))

    async def messages(self, branch: str) -> list[tuple[str, str]]:
        asked = urlencode({"ref_name": branch, "per_page": LOOK_MAX})
        rows = _rows(await self._ask("GET", f"{self._at}/repository/commits?{asked}", None))
        return [(str(part(r, "id")), str(part(r, "message"))) for r in rows]

    async def commit(self, branch: str, message: str, files: list[File]) -> str:
        rows = []
        for file in files:
            try:
                await self._ask("HEAD", f"{self._at}/repository/files/{_q(file.path)}?{urlencode({'ref': branch})}", None)
                known = True
            except Failed as e:
                if e.code != "404":
                    raise
                known = False
            if file.delete and not known:
                continue
            row = {"action": "delete" if file.delete else "update" if known else "create", "file_path": file.path}
            rows.append({**row, **({} if file.delete else {"content": _b64(file), "encoding": "base64"})})
        if not rows:
            return await self.head(branch)
        given = {"branch": branch, "commit_message": message, "actions": rows}
        return str(part(await self._ask("POST", f"{self._at}/repository/commits", given), "id"))

    async def found(self, branch: str, base: str) -> dict[str, Any] | None:
        asked = urlencode({"state": "opened", "source_branch": branch, "target_branch": base})
        rows = _rows(await self._ask("GET", f"{self._at}/merge_requests?{asked}", None))
        return self._told(rows[0]) if rows else None

    async def make(self, branch: str, base: str, title: str, text: str) -> dict[str, Any]:
        given = {"source_branch": branch, "target_branch": base, "title": title, "description": text}
        return self._told(await self._ask("POST", f"{self._at}/merge_requests", given))

    async def look(self, number: int) -> dict[str, Any]:
        return self._told(await self._ask("GET", f"{self._at}/merge_requests/{number}", None))

    @staticmethod
    def _told(row: Any) -> dict[str, Any]:
        state = str(part(row, "state"))
        return {
            "number": part(row, "iid"), "url": part(row, "web_url"), "title": part(row, "title"),
            "state": {"opened": "open", "locked": "open"}.get(state, state), "commit": part(row, "sha"),
        }  # fmt: skip


HOSTS: dict[str, Callable[[Ask, str], Host]] = {"github": GitHub, "gitlab": GitLab, "gitea": Gitea}
