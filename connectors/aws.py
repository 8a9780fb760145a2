"""What speaks to AWS, or to what speaks as it does: who we are, signed requests, and what an answer of refusal means.

Signature Version 4 (AWS documentation, "Create a signed AWS API request"). Keys are those that are told: nobody asks the metadata of a machine for them.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Protocol
from urllib.parse import quote

import httpx2
from lxml import etree
from pydantic import Field

from flowledger.connectors.fields import Seconds, Secret
from flowledger.connectors.frame import Call, Config, Failed
from flowledger.connectors.http import body
from flowledger.connectors.http.config import Url
from flowledger.connectors.outcomes import AGAIN

if TYPE_CHECKING:
    from flowledger.infra.egress import Gate

PLAIN = "-_.~"
REGION = r"^[a-z0-9-]{1,64}$"
#: codes that say who we are not
LOGIN = frozenset({
    "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidSignatureException", "InvalidToken", "ExpiredToken", "ExpiredTokenException", "AccessDenied",
    "AccessDeniedException", "InvalidClientTokenId", "UnrecognizedClientException", "IncompleteSignature", "IncompleteSignatureException",
    "MissingAuthenticationToken", "MissingAuthenticationTokenException", "InvalidSecurity", "AuthorizationError", "OptInRequired", "NotAuthorized",
})  # fmt: skip
#: codes that say: too much at once, or not at the moment
BUSY = frozenset({
    "Throttling", "ThrottlingException", "ThrottledException", "Throttled", "RequestThrottled", "RequestThrottledException", "RequestLimitExceeded",
    "TooManyRequestsException", "SlowDown", "KmsThrottled", "KMSThrottling", "KMSThrottlingException", "OverLimit", "ServiceUnavailable",
    "ServiceException", "InternalFailure", "InternalError", "EC2ThrottledException", "ResourceConflictException", "ResourceNotReadyException",
})  # fmt: skip


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


class AwsConfig(Config):
    """What the connectors of its services have in common."""

    endpoint: Url | None = Field(None, description="Where the service is; empty: that of AWS for the region", title="Endpoint")
    region: Annotated[str, Field(pattern=REGION)] = Field("us-east-1", description="As the service names it", title="Region")
    access_key: Annotated[str, Field(min_length=1, max_length=256)] = Field(description="Id of the key", title="Access key")
    secret_key: Secret = Field(description="A reference: {{secrets.NAME}}", title="Secret key")
    session_token: Secret | None = Field(None, description="Of temporary credentials", title="Session token")
    timeout_in_seconds: Seconds = Field(30, description="For all of the call", title="Time limit (s)")


class Way(NamedTuple):
    """How a request goes out."""

    gate: Gate
    client: httpx2.AsyncClient
    agent: str
    answer_bytes_max: int
    seconds: float
    call: Call | None = None

    @classmethod
    def of(cls, call: Call, seconds: float) -> Way:
        return cls(call.gate, call.client, call.user_agent, call.answer_bytes_max, seconds, call)


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


async def send(way: Way, who: Who, asked: Request) -> tuple[httpx2.Response, bytes]:
    """The answer, whatever its status, and its body. Raises: Failed, and what httpx2 and the gate raise."""
    url = way.gate.url(asked.endpoint.rstrip("/") + asked.path + ("?" + query_of(asked.query) if asked.query else ""))
    if url.raw_path.partition(b"?")[0].decode() != asked.path:
        raise Failed("CONFIGURATION", "endpoint: expected an address without a path")
    if way.call is not None:
        way.call.target = f"{url.scheme}://{url.netloc.decode()}"
    headers = signed(who, asked, {**asked.headers, "host": url.netloc.decode()}, datetime.datetime.now(datetime.UTC))
    request = way.client.build_request(
        asked.method, url, headers={**headers, "user-agent": way.agent, "accept-encoding": "identity"}, content=asked.data,
        timeout=httpx2.Timeout(way.seconds),
    )  # fmt: skip
    response = await way.client.send(request, stream=True)
    try:
        found = await body.read(response, way.answer_bytes_max)
    finally:
        await response.aclose()
    if way.call is not None:
        way.call.status = str(response.status_code)
    return response, found


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


def refused(action: str, response: httpx2.Response, found: bytes) -> Failed:
    """What an answer from 300 on means; its code is the service's own word."""
    code, words = _said(response, found)
    status = response.status_code
    line = f"{action} answered {status} {code} {words}".strip()[:300]
    if code in LOGIN or (status in (401, 403) and not code):
        return Failed("AUTHENTICATION", f"the server does not let us in: {code or status} {words}".strip()[:300])
    if code in BUSY or status in AGAIN:
        return Failed("BUSY" if code in BUSY and status not in AGAIN else str(status), line, again=True)
    return Failed(code or str(status), line)


def _said(response: httpx2.Response, found: bytes) -> tuple[str, str]:
    """(code, words) of an error, in JSON or XML."""
    code = response.headers.get("x-amzn-errortype", "").partition(":")[0]
    if found.lstrip()[:1] == b"{":
        try:
            told_: Any = json.loads(found)
        except (ValueError, RecursionError):
            told_ = {}
        code = str(told_.get("__type") or code or told_.get("code") or "").rpartition("#")[2].partition(":")[0]
        words = str(told_.get("message") or told_.get("Message") or "")
    else:
        code, words = code or told(found, "Code"), told(found, "Message")
    return code[:100] if code.replace(".", "").isalnum() else "", " ".join(words.split())[:200]


def root_of(data: bytes) -> Any:
    """Of a document in XML; None: it is none."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError:
        return None


def told(data: bytes, name: str) -> str:
    """The text of the first element of a name; empty: there is none."""
    root = root_of(data) if data else None
    found = next((e for e in root.iter(f"{{*}}{name}")), None) if root is not None else None
    return " ".join(((found.text if found is not None else "") or "").split())[:200]
