"""Requests signed for AWS, or for what speaks as it does.

Signature Version 4 (AWS documentation, "Create a signed AWS API request"). Keys are those that are told: nobody asks the metadata of a machine for them.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
from collections.abc import Mapping
from typing import NamedTuple, Protocol
from urllib.parse import quote

PLAIN = "-_.~"


class Who(Protocol):
    @property
    def region(self) -> str: ...
    @property
    def access_key(self) -> str: ...
    @property
    def secret_key(self) -> str: ...
    @property
    def session_token(self) -> str | None: ...


class Keys(NamedTuple):
    """Who we are, for those that have no configuration of a task."""

    region: str
    access_key: str
    secret_key: str
    session_token: str | None = None


class Request(NamedTuple):
    """`path` is percent-encoded, `query` is not. `sha256`: of the content, where that is not in `data`."""

    service: str
    endpoint: str
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    data: bytes
    sha256: str = ""


def endpoint(service: str, region: str) -> str:
    return f"https://{service}.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")


def signed(who: Who, asked: Request, headers: Mapping[str, str], now: datetime.datetime) -> dict[str, str]:
    """`headers` with the signature among them."""
    moment, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    content = asked.sha256 or hashlib.sha256(asked.data).hexdigest()
    all_headers = {**headers, "x-amz-date": moment}
    path = asked.path
    if asked.service == "s3":
        all_headers["x-amz-content-sha256"] = content
    else:  # S3 alone takes a path as it is sent
        path = quote(path, safe=PLAIN + "/")
    if who.session_token:
        all_headers["x-amz-security-token"] = who.session_token
    names = sorted(all_headers)
    lines = [f"{name}:{' '.join(all_headers[name].split())}" for name in names]
    request = "\n".join([asked.method, path, query_of(asked.query), *lines, "", ";".join(names), content])
    scope = f"{day}/{who.region}/{asked.service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{who.secret_key}".encode()
    for part in (day, who.region, asked.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    credential = f"Credential={who.access_key}/{scope}, SignedHeaders={';'.join(names)}, Signature={signature}"
    return {**all_headers, "authorization": f"AWS4-HMAC-SHA256 {credential}"}


def query_of(query: Mapping[str, str]) -> str:
    return "&".join(f"{quote(k, safe=PLAIN)}={quote(v, safe=PLAIN)}" for k, v in sorted(query.items()))
