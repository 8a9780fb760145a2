"""The Git connector against stubs that hold what they are asked to the shapes which GitHub, GitLab and Gitea publish."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from flowledger.connectors.git.connector import TRAILER
from flowledger.sdk.job import JobFailed
from tests.connectors.conftest import Target
from tests.connectors.contract import OUT, SECRET, Contract, Rig
from tests.connectors.git_hosts import FACES, Repository
from tests.connectors.test_http_connector import failure


class GitRig(Rig):
    connector = "git"
    secret_at = "token"
    wrong_code = "401"

    def __init__(self, target: Target, host: str) -> None:
        self.to, self.host, self.repository = ("127.0.0.1", target.port), host, Repository()
        kind, self.path = FACES[host]
        self.face = kind(self.repository)
        self.face.behind(target)
        self.repository.refs["work"] = self.repository.refs["main"]

    def call(self, host: str, port: int, tls: bool = False) -> dict[str, Any]:
        return {
            "host": self.host, "url": f"http{'s' if tls else ''}://{host}:{port}{self.path}", "token": "{{secrets.KEY}}", "repository": "acme/site",
            "operation": "commit", "branch": "work", "message": "Change", "files": [{"path": "a/b.txt", "content": "ä"}],
        }  # fmt: skip

    def checked(self, answer: Any) -> None:
        assert len(answer["commit"]) == 40 and answer["branch"] == "work"
        assert self.repository.files("work")["a/b.txt"].encode("latin-1").decode() == "ä"

    async def rotate(self, value: str) -> None:
        self.repository.key = value

    def big(self, host: str, port: int) -> tuple[dict[str, Any], dict[str, Any]]:
        for n in range(20):
            self.repository.add("work", "x" * 200 + str(n), self.repository.tree("work"))
        return self.call(host, port), {}

    async def effects(self) -> list[str]:
        r = self.repository
        return [m.rpartition(f"{TRAILER}: ")[2] for s in r.history("work") if TRAILER in (m := r.objects[s]["message"])]


@pytest.fixture(params=list(FACES))
def rig(target: Target, request: pytest.FixtureRequest) -> GitRig:
    return GitRig(target, request.param)


class TestContract(Contract):
    @pytest.fixture(params=list(FACES))
    def rig(self, target: Target, request: pytest.FixtureRequest) -> Rig:
        return GitRig(target, request.param)

    async def test_several_at_once(self, rig: Rig, run, wire):
        """To one branch: each is there once in the end; who comes too late is told to come again, as a job is."""
        keys = [str(100 + i) for i in range(4)]

        async def done(key: str) -> Any:
            for _ in keys:
                try:
                    return await run(wire.port, key=key)
                except JobFailed as e:
                    assert e.retries is None, e.message
            raise AssertionError(f"{key} was never in time")

        answers = await asyncio.gather(*map(done, keys))
        for answer in answers:
            rig.checked(answer)
        assert sorted(await rig.effects()) == keys
        assert [(await run(wire.port, key=key))["commit"] for key in keys] == [a["commit"] for a in answers]


def asking(rig: GitRig, **more: Any) -> dict[str, Any]:
    given = {k: v for k, v in rig.call(*rig.to).items() if k not in ("operation", "branch", "message", "files")}
    return {**given, "token": SECRET, **more}


@pytest.mark.req("WSM-CON-002")
async def test_a_branch_a_commit_and_a_pull_request(rig: GitRig, bench):
    run, r = bench("git"), rig.repository

    async def call(**more: Any) -> Any:
        return (await run(asking(rig, **more), OUT))["out"]

    made = await call(operation="branch", branch="flows/order-7")
    assert made == {"branch": "flows/order-7", "commit": r.refs["main"], "created": True}
    assert await call(operation="branch", branch="flows/order-7") == {**made, "created": False}
    files = [{"path": "README.md", "content": "bye"}, {"path": "data/x.bin", "base64": "AP8="}]
    commit = await call(operation="commit", branch="flows/order-7", message="Add data\n\nAs asked", files=files)
    assert r.files("flows/order-7") == {"README.md": "bye", "data/x.bin": "\x00\xff"} and r.files("main") == {"README.md": "hello"}
    assert r.objects[commit["commit"]]["message"] == f"Add data\n\nAs asked\n\n{TRAILER}: 77"
    gone = await run(
        asking(rig, operation="commit", branch="flows/order-7", message="Rm", files=[{"path": "README.md", "delete": True}]), OUT, key="78"
    )
    assert gone["out"]["created"] and list(r.files("flows/order-7")) == ["data/x.bin"]
    asked = {"operation": "pullRequest", "branch": "flows/order-7", "title": "Order 7", "text": "Please look"}
    pull = await call(**asked)
    assert (pull["number"], pull["state"], pull["created"], pull["title"]) == (1, "open", True, "Order 7") and pull["url"].startswith(
        "https://git.example/"
    )
    assert await call(**asked) == {**pull, "created": False} and len(r.pulls) == 1  # a second delivery opens no second one
    assert pull["commit"] == r.refs["flows/order-7"] and r.pulls[0]["text"] == "Please look"
    for state in ("open", "closed", "merged"):
        r.pulls[0]["state"] = state
        assert (await call(operation="look", number=1))["state"] == state


async def test_what_a_host_refuses_is_an_incident_in_its_words(rig: GitRig, bench):
    for more in (
        {"operation": "look", "number": 9},
        {"operation": "branch", "branch": "x", "base": "gone"},
        {"operation": "branch", "branch": "x", "repository": "acme/other"},
    ):
        found = await failure(bench("git")(asking(rig, **more)))
        assert (found.code, found.retries) == ("404", 0) and "ot found" in found.message.lower(), found.message


async def test_who_was_faster_is_not_overwritten(target: Target, bench):
    rig = GitRig(target, "github")
    rig.repository.moves = 1
    call = asking(rig, operation="commit", branch="work", message="Change", files=[{"path": "a", "content": "b"}])
    found = await failure(bench("git")(call))
    assert (found.code, found.retries) == ("422", None) and "fast forward" in found.message
    assert "somebody was faster" in [rig.repository.objects[s]["message"] for s in rig.repository.history("work")]
    await bench("git")(call)  # the next attempt stands on what is there now
    assert [rig.repository.objects[s]["message"].partition("\n")[0] for s in rig.repository.history("work")] == [
        "Change",
        "somebody was faster",
        "first",
    ]


@pytest.mark.parametrize(
    ("answer", "code", "retries", "backoff"),
    [
        ((403, {"x-ratelimit-remaining": "0", "retry-after": "30"}, {"message": "API rate limit exceeded"}), "403", None, 30.0),
        ((403, {}, {"message": "Resource not accessible by personal access token"}), "403", 0, None),
        ((429, {"retry-after": "3"}, {}), "429", None, 3.0),
        ((503, {}, b""), "503", None, None),
        ((301, {"location": "http://169.254.169.254/x"}, b""), "ANSWER_UNREADABLE", 0, None),
        ((200, {}, {"number": 1}), "ANSWER_UNREADABLE", 0, None),
        ((200, {}, [1]), "ANSWER_UNREADABLE", 0, None),
    ],
)
async def test_classes_of_errors(target: Target, bench, answer: Any, code: str, retries: Any, backoff: Any):
    target.routes["/repos/acme/site/pulls/1"] = answer
    found = await failure(bench("git")({"url": target.url, "repository": "acme/site", "operation": "look", "number": 1, "token": SECRET}))
    assert (found.code, found.retries, found.backoff_s) == (code, retries, backoff), found.message
    assert len(target.seen) == 1


GOOD = {"repository": "acme/site", "operation": "commit", "branch": "b", "message": "m", "files": [{"path": "a", "content": "x"}]}


@pytest.mark.parametrize(
    "wrong",
    [
        *({"files": [{"path": path, "content": "x"}]} for path in ("/a", "a/../b", ".git/config", "a/.GIT/hooks", "a//b", "a\\b", "a\nb", "")),
        {"files": []}, {"files": [{"path": "a"}]}, {"files": [{"path": "a", "content": "x", "delete": True}]}, {"files": [{"path": "a", "base64": "?"}]},
        {"files": [{"path": "a", "content": "x"}] * 2}, {"files": [{"path": f"f{n}", "content": ""} for n in range(101)]},
        {"files": [{"path": f"f{n}", "content": "x" * 2_100_000} for n in range(2)]},
        *({"branch": name} for name in ("", "a..b", "a.lock", "a/", "-x", "a b", "a~1", "a/.b", "x" * 201)),
        *({"repository": name} for name in ("acme", "acme/../x", "a/b/c", "acme/si te", "")),
        {"operation": "pullRequest"}, {"operation": "look"}, {"message": ""}, {"host": "gitea"}, {"host": "svn"}, {"profile": "p", "token": "x"},
    ],
)  # fmt: skip
async def test_configurations_that_are_refused(target: Target, bench, wrong: dict[str, Any]):
    given = {"url": target.url, **GOOD, **wrong}
    if wrong.get("host") == "gitea":
        del given["url"]
    found = await failure(
        bench("git")({k: v for k, v in given.items() if k != "profile"}, {"profile": wrong["profile"]} if "profile" in wrong else {})
    )
    assert (found.code, target.seen) == ("CONFIGURATION", []), found.message
