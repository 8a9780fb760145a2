"""The calls of both clients, written once. Each is one request: `Client` gives it to be awaited, `SyncClient` makes it at once.

Keys are texts, numbers with a fraction `Decimal`. Variables may be given as a dict, a msgspec Struct, a dataclass or a pydantic model, and
come back as one of these where a type is named (`result=`).
"""

from __future__ import annotations

import uuid
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from flowledger.sdk.errors import NotCompleted, error_of
from flowledger.sdk.frames import encode, exact
from flowledger.sdk.handlers import converter, plain
from flowledger.sdk.job import current
from flowledger.sdk.resources import resource_of
from flowledger.sdk.tracing import traceparent
from flowledger.sdk.workflows import Workflows

_decode = msgspec.json.Decoder(float_hook=exact).decode
#: answers after which the same request may be sent again
PASSING = frozenset({429, 502, 503})
ATTEMPTS_MAX = 5
PAUSE_FIRST_S, PAUSE_MAX_S = 0.1, 10.0
Then = Callable[[Any], Any]


def object_of(values: Any) -> dict[str, Any]:
    """Variables as JSON. Raises: TypeError."""
    found = {} if values is None else plain(values)
    if not isinstance(found, Mapping):
        raise TypeError(f"variables are a dict or an object with fields, found {type(values).__name__}")
    return dict(found)


def into(result: Any, take: Then = lambda answer: answer) -> Then:
    """What `take` finds in an answer, as a `result`; None: as it came. Raises (when called): flowledger.sdk.handlers.BadVariables."""
    if result is None:
        return take
    convert = converter(result)
    return lambda answer: convert(take(answer))


def ended(answer: dict[str, Any]) -> Any:
    """The variables of a completed instance. Raises: NotCompleted."""
    if answer.get("status") != "completed":
        raise NotCompleted(answer)
    return answer.get("variables") or {}


class Surface(Workflows):
    """Base of the clients.

    Args:
        server: base URL.
        api_key: where the server has sign-in; `token` is another word for it. `tenant` for those who may act for several; `actor` where the server has no sign-in.
        timeout_s: for one request; waiting for an instance's end comes on top.
    """

    def __init__(
        self,
        server: str = "http://127.0.0.1:8080",
        *,
        api_key: str = "",
        token: str = "",
        tenant: str = "",
        actor: str = "",
        timeout_s: float = 30.0,
    ) -> None:
        self._headers = {"accept": "application/json"}
        for name, value in (
            ("authorization", f"Bearer {api_key or token}" if api_key or token else ""),
            ("x-tenant", tenant),
            ("x-actor", actor),
        ):
            if value:
                self._headers[name] = value
        self._server, self._timeout_s = server.rstrip("/"), timeout_s
        self._wrote, self._newest = {}, {}

    @abstractmethod
    def request(
        self, method: str, path: str, body: Any = None, *, query: Mapping[str, Any] | None = None, id: str = "", wait_s: float = 0.0,
        then: Then | None = None,
    ) -> Any:  # fmt: skip
        """Any call below `/v1`. `id`: idempotency key. Raises: ApiError, httpx2.TransportError (after `ATTEMPTS_MAX` attempts)."""

    def _sent(
        self, method: str, path: str, body: Any, query: Mapping[str, Any] | None, id: str, wait_s: float
    ) -> tuple[tuple[str, str], dict[str, Any]]:
        """Arguments for the HTTP client. Each attempt of a command has the same id, so that it happens once.

        Raises: ValueError: an id in the path that is empty or a dot: it would name something else.
        """
        if any(part in ("", ".", "..") for part in path.partition("?")[0].split("/")[1:]):
            raise ValueError(f"expected ids and names that are not empty, found the path {path!r}")
        headers = {}
        if (job := current.get()) is not None:
            job.calls += 1
        if trace := traceparent():
            headers["traceparent"] = trace
        if method != "GET":
            headers["idempotency-key"] = id or uuid.uuid4().hex
        if body is not None:
            headers["content-type"] = "application/json"
        return (method, f"/v1{path}"), {
            "content": None if body is None else encode(body),
            "params": {k: v for k, v in (query or {}).items() if v is not None},
            "headers": headers,
            "timeout": self._timeout_s + wait_s,
        }

    @staticmethod
    def _answer(response: Any, then: Then | None) -> Any:
        try:
            answer = _decode(response.content) if response.content else None
        except msgspec.DecodeError:
            answer = {"detail": response.text[:500]}
        if response.status_code >= 400:
            raise error_of(response.status_code, answer)
        return answer if then is None else then(answer)

    @staticmethod
    def _pause(attempt: int, response: Any) -> float:
        """Seconds before the next attempt: as the server says, else twice as long as before."""
        said = response.headers.get("retry-after", "") if response is not None else ""
        wanted = float(said) if said.isascii() and said.isdigit() else 0.0
        pause: float = PAUSE_FIRST_S * 2 ** (attempt - 1)
        return min(max(pause, wanted), PAUSE_MAX_S)

    # --- models ---------------------------------------------------------------------------------------------------------------

    def deploy(self, *resources: Any, status: str = "published") -> Any:
        """All or none. Each is a path, bytes, a text of a model, a `Flow`, or a pair of a file name and one of these.

        Raises: ModelInvalid (its text has the findings), TypeError, OSError.
        """
        body = {"resources": [resource_of(r) for r in resources], "status": status}
        return self.request("POST", "/deployments", body)

    def definition(self, id: str | int) -> Any:
        """By key, or by its id in the model: the newest version."""
        return self.request("GET", f"/definitions/{id}")

    def change_definition(self, id: str | int, move: str, reason: str = "") -> Any:
        """`move`: validate, publish, deprecate, archive, draft."""
        return self.request("POST", f"/definitions/{id}/{move}", {"reason": reason})

    # --- instances ------------------------------------------------------------------------------------------------------------

    def start(self, definition: str, variables: Any = None, *, wait_s: float = 0.0, id: str = "", **more: Any) -> Any:
        """`definition`: process id or key. With `wait_s` the answer has the variables of the ended instance.

        Args:
            id: idempotency key: the same one again gets the first answer.
            more: version, version_tag, business_key, priority, metadata, start_at, fetch.
        Raises: TimedOut: it goes on; its key is in `id`.
        """
        return self.request("POST", "/instances", self._start(definition, variables, wait_s, more), id=id, wait_s=wait_s)

    def run(self, definition: str, variables: Any = None, *, result: Any = None, wait_s: float = 30.0, id: str = "", **more: Any) -> Any:
        """Start an instance, wait for its end, and give its variables, as a `result` if a type is named.

        Raises: NotCompleted (it failed, was cancelled or terminated), TimedOut, flowledger.sdk.handlers.BadVariables.
        """
        body = self._start(definition, variables, wait_s, more)
        return self.request("POST", "/instances", body, id=id, wait_s=wait_s, then=into(result, ended))

    @staticmethod
    def _start(definition: str, variables: Any, wait_s: float, more: Mapping[str, Any]) -> dict[str, Any]:
        return {"definition": definition, "variables": object_of(variables), "wait_ms": int(wait_s * 1000), **more}

    def instance(self, key: str | int, *, wait_for: str | None = None) -> Any:
        """`wait_for`: the position of a command, to read one's own write."""
        return self.request("GET", f"/instances/{key}", query={"wait_for": wait_for})

    def variables(self, key: str | int, *, result: Any = None, wait_for: str | None = None) -> Any:
        """Those of the instance itself, as a `result` if a type is named."""
        then = into(result, lambda answer: answer["variables"])
        return self.request("GET", f"/instances/{key}/variables", query={"wait_for": wait_for}, then=then)

    def cancel(self, key: str | int, reason: str = "", *, force: bool = False) -> Any:
        return self.request("POST", f"/instances/{key}/cancel", {"reason": reason, "force": force})

    def control(self, key: str | int, move: str, reason: str = "") -> Any:
        """`move`: suspend, resume, pause, unpause."""
        return self.request("POST", f"/instances/{key}/{move}", {"reason": reason})

    def set_variables(self, key: str | int, variables: Any, *, local: bool = False, reason: str = "") -> Any:
        body = {"variables": object_of(variables), "local": local, "reason": reason}
        return self.request("PATCH", f"/instances/{key}/variables", body)

    # --- messages, signals, decisions, incidents -----------------------------------------------------------------------------

    def publish(self, name: str, correlation_key: str = "", variables: Any = None, *, ttl_s: float = 0.0, message_id: str = "") -> Any:
        body = {"name": name, "correlation_key": correlation_key, "variables": object_of(variables)}
        return self.request("POST", "/messages", {**body, "ttl_ms": int(ttl_s * 1000), "message_id": message_id})

    def signal(self, name: str, variables: Any = None) -> Any:
        return self.request("POST", "/signals", {"name": name, "variables": object_of(variables)})

    def decide(self, decision: str, inputs: Any, *, result: Any = None) -> Any:
        """The whole answer (`output`, `trace`); where a type is named, the output as that."""
        then = None if result is None else into(result, lambda answer: answer["output"])
        return self.request("POST", "/decisions/evaluate", {"decision": decision, "inputs": object_of(inputs)}, then=then)

    def resolve(self, incident: str | int) -> Any:
        return self.request("POST", f"/incidents/{incident}/resolve", {})

    # --- tasks ----------------------------------------------------------------------------------------------------------------

    def move_task(self, key: str | int, move: str, reason: str = "", **details: Any) -> Any:
        """`move`: assign, claim, release, start, progress, comment, delegate, escalate ..."""
        return self.request("POST", f"/tasks/{key}/{move}", {"reason": reason, "details": details})

    def complete_task(self, key: str | int, variables: Any = None) -> Any:
        return self.request("POST", f"/tasks/{key}/complete", {"variables": object_of(variables)})

    def workers(self, types: Sequence[str] = ()) -> Any:
        """Live workers of the node that answers; with `types` those that take one of them."""
        return self.request("GET", "/workers", then=lambda page: [w for w in page["items"] if not types or set(types) & set(w["types"])])
