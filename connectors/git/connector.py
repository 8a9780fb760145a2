"""The call: what is there already is not made twice, whoever made it; all else is the host's (`hosts.py`)."""

from __future__ import annotations

from typing import Any

from flowledger.connectors.frame import Call, Config, Failed
from flowledger.connectors.git.config import ADDRESSES, GitConfig
from flowledger.connectors.git.hosts import HOSTS, Host
from flowledger.connectors.http.config import HttpConfig
from flowledger.connectors.http.connector import HttpConnector
from flowledger.connectors.reach import within

#: the last line of a commit's message, by which a second delivery knows the first one's work
TRAILER = "Flowledger-Key"
_WORDS_MAX = 300
_VERSIONS = {"github": {"X-GitHub-Api-Version": "2022-11-28", "Accept": "application/vnd.github+json"}}


class GitConnector:
    name = "git"
    job_type = "flowledger:git"
    aliases: tuple[str, ...] = ()
    config: type[Config] = GitConfig

    def __init__(self) -> None:
        self._http = HttpConnector()

    async def close(self) -> None:
        await self._http.close()

    async def call(self, config: GitConfig, call: Call) -> dict[str, Any]:
        """`{branch, commit, created}`, or `{number, url, title, state, commit, created}`. Raises: as the HTTP connector."""

        async def ask(method: str, path: str, body: Any) -> Any:
            base = "" if config.profile else (config.url or ADDRESSES[config.host]).rstrip("/")
            given = {
                "profile": config.profile, "url": base + path, "method": method, "body": body, "headers": _VERSIONS.get(config.host, {}),
                "authentication": {"type": "bearer", "token": config.token} if config.token else {"type": "noAuth"},
                "timeout_in_seconds": config.timeout_in_seconds, "read_timeout_in_seconds": config.timeout_in_seconds,
            }  # fmt: skip
            try:
                return (await self._http.call(HttpConfig.model_validate(given), call))["body"]
            except Failed as e:
                if said := _said((e.response or {}).get("body")):
                    e.message = f"{e.message}: {said}"
                raise _judged(e) from None

        async with within(config.timeout_in_seconds, call):
            host = HOSTS[config.host](ask, config.repository)
            if config.operation == "look":
                return await host.look(config.number)
            if config.operation == "branch":
                return await _branch(config, host)
            if config.operation == "commit":
                return await _commit(config, host, call.key)
            return await _pull_request(config, host)


async def _branch(config: GitConfig, host: Host) -> dict[str, Any]:
    try:
        return {"branch": config.branch, "commit": await host.head(config.branch), "created": False}
    except Failed as e:
        if e.code != "404":
            raise
    return {"branch": config.branch, "commit": await host.make_branch(config.branch, config.base), "created": True}


async def _commit(config: GitConfig, host: Host, key: str) -> dict[str, Any]:
    line = f"{TRAILER}: {key}"
    known = await host.messages(config.branch)
    for sha, message in known:
        if message.rstrip().endswith(f"\n{line}"):
            return {"branch": config.branch, "commit": sha, "created": False}
    try:
        sha = await host.commit(config.branch, f"{config.message.rstrip()}\n\n{line}", config.files)
    except Failed as e:
        # GitLab and Gitea are told which files there are: what was so when it was looked up is refused when somebody has pushed since
        if e.code in ("400", "422") and known and await host.head(config.branch) != known[0][0]:
            e.again = True
        raise
    return {"branch": config.branch, "commit": sha, "created": True}


async def _pull_request(config: GitConfig, host: Host) -> dict[str, Any]:
    if (known := await host.found(config.branch, config.base)) is not None:
        return {**known, "created": False}
    return {**await host.make(config.branch, config.base, config.title, config.text), "created": True}


def _judged(failure: Failed) -> Failed:
    """A limit that GitHub tells with 403 passes; a branch that moved meanwhile, or was made by somebody else, is looked at anew."""
    headers = {str(k).lower(): v for k, v in ((failure.response or {}).get("headers") or {}).items()}
    if failure.code == "403" and (headers.get("x-ratelimit-remaining") == "0" or headers.get("retry-after")):
        failure.again = True
    if failure.code == "409" or (failure.code == "422" and "fast forward" in failure.message.lower()):
        failure.again = True
    return failure


def _said(body: Any) -> str:
    """The host's own words."""
    if not isinstance(body, dict):
        return ""
    words = [body.get("message") or body.get("error") or ""]
    words += [e.get("message") or e.get("code") or "" for e in body.get("errors") or [] if isinstance(e, dict)]
    return " ".join(" ".join(str(w) for w in words if w).split())[:_WORDS_MAX]
