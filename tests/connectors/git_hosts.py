"""A repository in memory with the faces of GitHub, GitLab and Gitea. What is asked is held to the shapes that their documents publish: other fields, types or
ways are refused, as are updates of what moved meanwhile."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from abc import ABC, abstractmethod
from typing import Any
from urllib.parse import parse_qs, unquote

from tests.connectors.conftest import Request, Target
from tests.connectors.contract import SECRET

Answer = tuple[int, dict[str, str], Any]


class Refuse(Exception):
    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        self.answer = (status, headers or {}, {"message": message})


def shape(body: Any, **fields: Any) -> None:
    """Names with a `_` behind them may be missing."""
    if not isinstance(body, dict):
        raise Refuse(400, "Problems parsing JSON")
    known = {k.rstrip("_"): kind for k, kind in fields.items()}
    for name, kind in known.items():
        if name in body and not isinstance(body[name], kind):
            raise Refuse(422, f"{name} is no {kind}")
        if name not in body and f"{name}_" not in fields:
            raise Refuse(422, f"{name} is missing")
    if more := body.keys() - known.keys():
        raise Refuse(422, f"{sorted(more)} is not known")


class Repository:
    def __init__(self) -> None:
        self.key, self.objects, self.refs, self.pulls = SECRET, {}, {}, []
        self.objects: dict[str, Any]
        self.refs: dict[str, str]
        self.pulls: list[dict[str, Any]]
        self.refs["main"] = self.commit("first", self.put({"README.md": self.put("hello")}), [])
        self.moves = 0  # pushes of somebody else that come between

    def put(self, value: Any) -> str:
        sha = hashlib.sha1(json.dumps(value, sort_keys=True).encode(), usedforsecurity=False).hexdigest()
        self.objects[sha] = value
        return sha

    def commit(self, message: str, tree: str, parents: list[str]) -> str:
        return self.put({"message": message, "tree": tree, "parents": parents})

    def history(self, branch: str) -> list[str]:
        found, at = [], self.head(branch)
        while at:
            found.append(at)
            at = (self.objects[at]["parents"] or [""])[0]
        return found

    def head(self, branch: str) -> str:
        if branch not in self.refs:
            raise Refuse(404, "Not Found")
        return self.refs[branch]

    def tree(self, branch: str) -> dict[str, str]:
        return dict(self.objects[self.objects[self.head(branch)]["tree"]])

    def files(self, branch: str) -> dict[str, str]:
        return {path: self.objects[sha] for path, sha in self.tree(branch).items()}

    def add(self, branch: str, message: str, tree: dict[str, str]) -> str:
        self.refs[branch] = self.commit(message, self.put(tree), [self.head(branch)])
        return self.refs[branch]

    def pull(self, branch: str, base: str, title: str, text: str) -> dict[str, Any]:
        self.head(branch), self.head(base)
        self.pulls.append({"number": len(self.pulls) + 1, "branch": branch, "base": base, "title": title, "text": text, "state": "open"})
        return self.pulls[-1]

    def open(self, branch: str, base: str) -> list[dict[str, Any]]:
        return [p for p in self.pulls if p["state"] == "open" and (p["branch"], p["base"]) == (branch, base)]


class Face(ABC):
    """Base of the three: who asks, and which way it is."""

    def __init__(self, repository: Repository) -> None:
        self.r = repository
        self.seen: list[Request] = []

    def __call__(self, request: Request) -> Answer:
        self.seen.append(request)
        path, _, query = request.path.partition("?")
        asked = {k: v[0] for k, v in parse_qs(query).items()}
        try:
            if request.headers.get("authorization") != f"Bearer {self.r.key}":
                raise Refuse(401, "Bad credentials")
            body = json.loads(request.body) if request.body else None
            for method, way, do in self.ways():
                m = re.fullmatch(way, path)
                if m is not None and method == request.method:
                    status, told = do(*map(unquote, m.groups()), body=body, asked=asked)
                    return status, {}, told
            raise Refuse(404, "Not Found")
        except Refuse as e:
            return (*e.answer[:2], b"") if request.method == "HEAD" else e.answer

    @abstractmethod
    def ways(self) -> list[tuple[str, str, Any]]:
        """Method, pattern of the path, and what answers."""

    def behind(self, target: Target) -> None:
        """Every path is its."""
        face = self

        class Routes(dict):  # type: ignore[type-arg]
            def get(self, path: str, default: Any = None) -> Any:
                return face

        target.routes = Routes()


class GitHubFace(Face):
    at = "/repos/acme/site"

    def ways(self) -> list[tuple[str, str, Any]]:
        a = self.at
        return [
            ("GET", f"{a}/git/ref/heads/(.+)", self.ref), ("POST", f"{a}/git/refs", self.make_ref), ("PATCH", f"{a}/git/refs/heads/(.+)", self.move),
            ("GET", f"{a}/commits", self.commits), ("GET", f"{a}/git/commits/([0-9a-f]{{40}})", self.one), ("POST", f"{a}/git/blobs", self.blob),
            ("POST", f"{a}/git/trees", self.make_tree), ("POST", f"{a}/git/commits", self.make_commit), ("GET", f"{a}/pulls", self.pulls),
            ("POST", f"{a}/pulls", self.pull), ("GET", rf"{a}/pulls/(\d+)", self.look),
        ]  # fmt: skip

    def ref(self, branch: str, **_: Any) -> Any:
        return 200, {"ref": f"refs/heads/{branch}", "object": {"type": "commit", "sha": self.r.head(branch)}}

    def make_ref(self, body: Any, **_: Any) -> Any:
        shape(body, ref=str, sha=str)
        name = body["ref"].removeprefix("refs/heads/")
        if not body["ref"].startswith("refs/heads/") or name in self.r.refs or body["sha"] not in self.r.objects:
            raise Refuse(422, "Reference already exists")
        self.r.refs[name] = body["sha"]
        return 201, {"ref": body["ref"], "object": {"sha": body["sha"]}}

    def move(self, branch: str, body: Any, **_: Any) -> Any:
        shape(body, sha=str, force_=bool)
        if self.r.moves:
            self.r.moves -= 1
            self.r.add(branch, "somebody was faster", self.r.tree(branch))
        if not body.get("force") and self.r.head(branch) not in self.r.objects[body["sha"]]["parents"]:
            raise Refuse(422, "Update is not a fast forward")
        self.r.refs[branch] = body["sha"]
        return 200, {"object": {"sha": body["sha"]}}

    def commits(self, asked: Any, **_: Any) -> Any:
        rows = self.r.history(asked["sha"])[: int(asked["per_page"])]
        return 200, [{"sha": s, "commit": {"message": self.r.objects[s]["message"]}} for s in rows]

    def one(self, sha: str, **_: Any) -> Any:
        return 200, {"sha": sha, "tree": {"sha": self.r.objects[sha]["tree"]}, "message": self.r.objects[sha]["message"]}

    def blob(self, body: Any, **_: Any) -> Any:
        shape(body, content=str, encoding_=str)
        return 201, {"sha": self.r.put(base64.b64decode(body["content"], validate=True).decode("latin-1"))}

    def make_tree(self, body: Any, **_: Any) -> Any:
        shape(body, tree=list, base_tree_=str)
        tree = dict(self.r.objects[body["base_tree"]])
        for row in body["tree"]:
            shape(row, path=str, mode=str, type=str, sha=(str, type(None)))
            if row["sha"] is None:
                if tree.pop(row["path"], None) is None:
                    raise Refuse(422, "GitRPC::BadObjectState")
            else:
                tree[row["path"]] = row["sha"]
        return 201, {"sha": self.r.put(tree)}

    def make_commit(self, body: Any, **_: Any) -> Any:
        shape(body, message=str, tree=str, parents_=list)
        return 201, {"sha": self.r.commit(body["message"], body["tree"], body["parents"])}

    def told(self, p: Any) -> Any:
        closed = p["state"] != "open"
        return {
            "number": p["number"], "html_url": f"https://git.example/acme/site/pull/{p['number']}", "title": p["title"], "body": p["text"],
            "state": "closed" if closed else "open", "merged": p["state"] == "merged", "head": {"ref": p["branch"], "sha": self.r.head(p["branch"])},
            "base": {"ref": p["base"]},
        }  # fmt: skip

    def pulls(self, asked: Any, **_: Any) -> Any:
        owner, _, branch = asked["head"].partition(":")
        return 200, [self.told(p) for p in self.r.open(branch, asked["base"])] if owner == "acme" else []

    def pull(self, body: Any, **_: Any) -> Any:
        shape(body, title=str, head=str, base=str, body_=str)
        if self.r.open(body["head"], body["base"]):
            raise Refuse(422, "A pull request already exists")
        return 201, self.told(self.r.pull(body["head"], body["base"], body["title"], body["body"]))

    def look(self, number: str, **_: Any) -> Any:
        found = [p for p in self.r.pulls if p["number"] == int(number)]
        if not found:
            raise Refuse(404, "Not Found")
        return 200, self.told(found[0])


class GiteaFace(GitHubFace):
    at = "/api/v1/repos/acme/site"

    def ways(self) -> list[tuple[str, str, Any]]:
        a = self.at
        return [
            ("GET", f"{a}/branches/(.+)", self.branch), ("POST", f"{a}/branches", self.make_branch), ("GET", f"{a}/commits", self.log),
            ("GET", f"{a}/contents/(.+)", self.content), ("POST", f"{a}/contents", self.change), ("GET", f"{a}/pulls", self.all_pulls),
            ("POST", f"{a}/pulls", self.pull), ("GET", rf"{a}/pulls/(\d+)", self.look),
        ]  # fmt: skip

    def branch(self, name: str, **_: Any) -> Any:
        return 200, {"name": name, "commit": {"id": self.r.head(name)}}

    def make_branch(self, body: Any, **_: Any) -> Any:
        shape(body, new_branch_name=str, old_branch_name_=str)
        if body["new_branch_name"] in self.r.refs:
            raise Refuse(409, "The branch already exists.")
        self.r.refs[body["new_branch_name"]] = self.r.head(body["old_branch_name"])
        return self.branch(body["new_branch_name"])[0] + 1, self.branch(body["new_branch_name"])[1]

    def log(self, asked: Any, **_: Any) -> Any:
        return self.commits({"sha": asked["sha"], "per_page": asked["limit"]})

    def content(self, path: str, asked: Any, **_: Any) -> Any:
        if path not in self.r.tree(asked["ref"]):
            raise Refuse(404, "GetContentsOrList")
        return 200, {"path": path, "sha": self.r.tree(asked["ref"])[path], "type": "file"}

    def change(self, body: Any, **_: Any) -> Any:
        shape(body, files=list, branch_=str, message_=str)
        tree = self.r.tree(body["branch"])
        for row in body["files"]:
            shape(row, operation=str, path=str, sha_=str, content_=str)
            if (row["operation"] == "create") == (row["path"] in tree) or (
                row["operation"] != "create" and row.get("sha") != tree[row["path"]]
            ):
                raise Refuse(422, "sha does not match")
            if row["operation"] == "delete":
                del tree[row["path"]]
            else:
                tree[row["path"]] = self.r.put(base64.b64decode(row["content"]).decode("latin-1"))
        return 201, {"commit": {"sha": self.r.add(body["branch"], body["message"], tree)}}

    def all_pulls(self, asked: Any, **_: Any) -> Any:
        return 200, [self.told(p) for p in self.r.pulls if p["state"] == "open"]


class GitLabFace(Face):
    at = "/api/v4/projects/acme%2Fsite"

    def ways(self) -> list[tuple[str, str, Any]]:
        a = self.at
        return [
            ("GET", f"{a}/repository/branches/([^/]+)", self.branch), ("POST", f"{a}/repository/branches", self.make_branch),
            ("GET", f"{a}/repository/commits", self.log), ("POST", f"{a}/repository/commits", self.change),
            ("HEAD", f"{a}/repository/files/([^/]+)", self.file), ("GET", f"{a}/merge_requests", self.pulls), ("POST", f"{a}/merge_requests", self.pull),
            ("GET", rf"{a}/merge_requests/(\d+)", self.look),
        ]  # fmt: skip

    def branch(self, name: str, **_: Any) -> Any:
        return 200, {"name": name, "commit": {"id": self.r.head(name)}}

    def make_branch(self, body: Any, **_: Any) -> Any:
        shape(body, branch=str, ref=str)
        if body["branch"] in self.r.refs:
            raise Refuse(400, "Branch already exists")
        self.r.refs[body["branch"]] = self.r.head(body["ref"])
        return 201, self.branch(body["branch"])[1]

    def log(self, asked: Any, **_: Any) -> Any:
        rows = self.r.history(asked["ref_name"])[: int(asked["per_page"])]
        return 200, [{"id": s, "message": self.r.objects[s]["message"] + "\n"} for s in rows]

    def file(self, path: str, asked: Any, **_: Any) -> Any:
        if path not in self.r.tree(asked["ref"]):
            raise Refuse(404, "File Not Found")
        return 200, b""

    def change(self, body: Any, **_: Any) -> Any:
        shape(body, branch=str, commit_message=str, actions=list)
        tree = self.r.tree(body["branch"])
        for row in body["actions"]:
            shape(row, action=str, file_path=str, content_=str, encoding_=str)
            if (row["action"] == "create") == (row["file_path"] in tree):
                raise Refuse(400, "A file with this name already exists")
            if row["action"] == "delete":
                del tree[row["file_path"]]
            else:
                tree[row["file_path"]] = self.r.put(base64.b64decode(row["content"]).decode("latin-1"))
        return 201, {"id": self.r.add(body["branch"], body["commit_message"], tree)}

    def told(self, p: Any) -> Any:
        return {
            "iid": p["number"], "web_url": f"https://git.example/acme/site/-/merge_requests/{p['number']}", "title": p["title"],
            "state": {"open": "opened"}.get(p["state"], p["state"]), "sha": self.r.head(p["branch"]), "source_branch": p["branch"],
        }  # fmt: skip

    def pulls(self, asked: Any, **_: Any) -> Any:
        assert asked["state"] == "opened"
        return 200, [self.told(p) for p in self.r.open(asked["source_branch"], asked["target_branch"])]

    def pull(self, body: Any, **_: Any) -> Any:
        shape(body, source_branch=str, target_branch=str, title=str, description_=str)
        if self.r.open(body["source_branch"], body["target_branch"]):
            raise Refuse(409, "Another open merge request already exists")
        return 201, self.told(self.r.pull(body["source_branch"], body["target_branch"], body["title"], body["description"]))

    def look(self, number: str, **_: Any) -> Any:
        found = [p for p in self.r.pulls if p["number"] == int(number)]
        if not found:
            raise Refuse(404, "404 Not found")
        return 200, self.told(found[0])


FACES: dict[str, tuple[type[Face], str]] = {"github": (GitHubFace, ""), "gitlab": (GitLabFace, "/api/v4"), "gitea": (GiteaFace, "/api/v1")}
