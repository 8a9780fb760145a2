"""Configuration of the Git connector."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from flowledger.connectors.fields import Flag, Index, ProfileName, Seconds, Secret
from flowledger.connectors.frame import Config
from flowledger.connectors.http.config import PROFILE

FILES_MAX, BYTES_MAX, MESSAGE_MAX, TEXT_MAX = 100, 4 * 1024 * 1024, 10_000, 60_000
#: where those are that everybody knows
ADDRESSES = {"github": "https://api.github.com", "gitlab": "https://gitlab.com/api/v4", "gitea": ""}
#: a part of a branch's name: as `git check-ref-format` has it, and a little stricter
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")


def _ref(name: str) -> str:
    for part in name.split("/") if name else ():
        if not _PART.fullmatch(part) or ".." in part or part.endswith((".", ".lock")):
            raise ValueError("expected the name of a branch: letters, digits, . _ + - in parts with / between them")
    return name


Ref = Annotated[str, Field(max_length=200), AfterValidator(_ref)]


class File(Config):
    """One file of a commit."""

    path: Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f\x7f\\]+$")]
    content: str | None = None
    base64: str | None = None
    delete: Flag = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        parts = self.path.split("/")
        if "" in parts or {".", ".."} & set(parts) or ".git" in (p.lower() for p in parts):
            raise ValueError("path: expected a path below the repository, without . and .. and .git")
        if sum((self.content is not None, self.base64 is not None, self.delete)) != 1:
            raise ValueError("expected one of content, base64 and delete")
        self.data()
        return self

    def data(self) -> bytes:
        """Raises: ValueError."""
        if self.base64 is None:
            return (self.content or "").encode()
        try:
            return base64.b64decode(self.base64, validate=True)
        except binascii.Error:
            raise ValueError("base64: expected base64") from None


class GitConfig(Config):
    """Makes a branch, a commit or a pull request at GitHub, GitLab or Gitea, or looks at a pull request."""

    model_config = ConfigDict(title="Git host")

    profile: ProfileName = PROFILE
    host: Literal["github", "gitlab", "gitea"] = Field("github", description="Whose API it is; gitea: Forgejo's, too", title="Host")
    url: Annotated[str, Field(max_length=8192)] = Field(
        "", description="Address of the API; empty: github.com, gitlab.com, or that of the profile", title="Address"
    )
    token: Secret | None = Field(None, description="A reference: {{secrets.NAME}}; with a profile none", title="Token")
    operation: Literal["branch", "commit", "pullRequest", "look"] = Field("pullRequest", description="What to do", title="Operation")
    repository: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+$", max_length=400)] = Field(
        description="OWNER/NAME, at GitLab with all groups", title="Repository"
    )
    branch: Ref = Field("", description="The branch that is made, committed to, or asked to be merged", title="Branch")
    base: Ref = Field("main", description="Where the branch comes from, and what it is merged into", title="Base")
    message: Annotated[str, Field(max_length=MESSAGE_MAX)] = Field("", description="Of the commit", title="Message")
    files: Annotated[list[File], Field(max_length=FILES_MAX)] = Field(
        [], description="Of the commit: list of {path, content}, {path, base64} or {path, delete: true}", title="Files"
    )
    title: Annotated[str, Field(max_length=250)] = Field("", description="Of the pull request", title="Title")
    text: Annotated[str, Field(max_length=TEXT_MAX)] = Field("", description="What the pull request says", title="Text")
    number: Index = Field(0, description="To look at: number of the pull request", title="Number")
    timeout_in_seconds: Seconds = Field(60, description="For all of the call", title="Time limit (s)")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.profile and (self.url or self.token):
            raise ValueError("url, token: those of the profile hold, expected none")
        if not self.profile and not (self.url or ADDRESSES[self.host]):
            raise ValueError(f"url: {self.host} has no address of its own")
        if {".", ".."} & set(self.repository.split("/")) or (self.host != "gitlab" and self.repository.count("/") != 1):
            raise ValueError("repository: expected OWNER/NAME")
        needs = {"branch": ("branch",), "commit": ("branch", "message", "files"), "pullRequest": ("branch", "title"), "look": ("number",)}
        for name in needs[self.operation]:
            if not getattr(self, name):
                raise ValueError(f"{name}: {self.operation} needs it")
        if sum(len(file.data()) for file in self.files) > BYTES_MAX:
            raise ValueError(f"files: expected at most {BYTES_MAX} bytes together")
        if len({file.path for file in self.files}) != len(self.files):
            raise ValueError("files: a path stands there twice")
        return self
