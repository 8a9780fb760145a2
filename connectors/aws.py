"""What speaks to AWS, or to what speaks as it does: who we are, requests signed as `infra/aws_signing.py` does, and what an answer of refusal means."""

from __future__ import annotations

import datetime
import json
from typing import TYPE_CHECKING, Annotated, Any

import httpx2
from lxml import etree
from pydantic import Field

from flowledger.connectors.fields import Seconds, Secret
from flowledger.connectors.frame import Config, Failed
from flowledger.connectors.http.config import Url
from flowledger.connectors.outcomes import AGAIN
from flowledger.connectors.way import Way
from flowledger.infra.aws_signing import PLAIN, Keys, Request, Who, endpoint, query_of, signed

if TYPE_CHECKING:
    pass

#: with what signs, one name for those that call a service
__all__ = ["PLAIN", "AwsConfig", "Keys", "Request", "endpoint", "query_of", "refused", "root_of", "send", "signed", "told"]

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


class AwsConfig(Config):
    """What the connectors of its services have in common."""

    endpoint: Url | None = Field(None, description="Where the service is; empty: that of AWS for the region", title="Endpoint")
    region: Annotated[str, Field(pattern=REGION)] = Field("us-east-1", description="As the service names it", title="Region")
    access_key: Annotated[str, Field(min_length=1, max_length=256)] = Field(description="Id of the key", title="Access key")
    secret_key: Secret = Field(description="A reference: {{secrets.NAME}}", title="Secret key")
    session_token: Secret | None = Field(None, description="Of temporary credentials", title="Session token")
    timeout_in_seconds: Seconds = Field(30, description="For all of the call", title="Time limit (s)")


async def send(way: Way, who: Who, asked: Request) -> tuple[httpx2.Response, bytes]:
    """The answer, whatever its status, and its body. Raises: Failed, and what httpx2 and the gate raise."""
    url = way.to(asked.endpoint.rstrip("/") + asked.path + ("?" + query_of(asked.query) if asked.query else ""))
    if url.raw_path.partition(b"?")[0].decode() != asked.path:
        raise Failed("CONFIGURATION", "endpoint: expected an address without a path")
    headers = signed(who, asked, {**asked.headers, "host": url.netloc.decode()}, datetime.datetime.now(datetime.UTC))
    return await way.send(asked.method, url, headers, asked.data)


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
