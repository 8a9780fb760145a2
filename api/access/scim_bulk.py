"""A job of several operations in one request (RFC 7644, 3.7): in which order they are done, and what one of them means by `bulkId:` of another.

Each is done by itself, as if it had come alone; one that refers to what another makes waits for that one. What is done is the caller's (`apply`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from scim2_models import ConflictException, InvalidSyntaxException, InvalidValueException, SCIMException

REQUEST, RESPONSE = (f"urn:ietf:params:scim:api:messages:2.0:Bulk{kind}" for kind in ("Request", "Response"))
#: operations of one job, and bytes of it
OPERATIONS_MAX, PAYLOAD_MAX = 500, 1024 * 1024
METHODS = ("POST", "PUT", "PATCH", "DELETE")
_REFERENCE = "bulkId:"


class Operation(NamedTuple):
    """`id`: empty of a POST."""

    method: str
    kind: str
    id: str
    data: dict[str, Any]
    version: str


class Done(NamedTuple):
    """`id`: of what was made or changed."""

    status: int
    id: str
    version: str


#: does one. Raises whatever `told` takes.
Apply = Callable[[Operation], Awaitable[Done]]
#: (status, body) of what was refused; None: it isn't about this operation
Told = Callable[[Exception], tuple[int, dict[str, Any]] | None]


def operations_of(body: dict[str, Any]) -> tuple[list[dict[str, Any]], int]:
    """And how many errors end the job (0: none does). Raises: SCIMException."""
    given = {k.lower(): v for k, v in body.items()}
    schemas = given.get("schemas")
    if not isinstance(schemas, list) or REQUEST not in schemas:
        raise InvalidValueException(detail=f"schemas: {REQUEST} was expected")
    found, fail = given.get("operations"), given.get("failonerrors", 0)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise InvalidSyntaxException(detail="Operations: a list of operations was expected")
    if len(found) > OPERATIONS_MAX:
        raise InvalidSyntaxException(detail=f"Operations: {OPERATIONS_MAX} at most were expected, found {len(found)}")
    if type(fail) is not int or fail < 0:
        raise InvalidValueException(detail="failOnErrors: a number of errors was expected")
    return [{k.lower(): v for k, v in each.items()} for each in found], fail


def _read(one: dict[str, Any], kinds: tuple[str, ...]) -> tuple[str, str, str]:
    """(method, kind, id), the id as it is given. Raises: SCIMException."""
    method, path = one.get("method"), one.get("path")
    if not isinstance(method, str) or method.upper() not in METHODS:
        raise InvalidSyntaxException(detail=f"method: one of {', '.join(METHODS)} was expected")
    method = method.upper()
    kind, _, id = path.lstrip("/").partition("/") if isinstance(path, str) else ("", "", "")
    if kind not in kinds or bool(id) == (method == "POST") or "/" in id or len(id) > 200:
        expected = " or ".join(f"/{k}" if method == "POST" else f"/{k}/ID" for k in kinds)
        raise InvalidSyntaxException(detail=f"path: {expected} was expected with {method}")
    if method == "POST" and not isinstance(one.get("bulkid"), str):
        raise InvalidValueException(detail="bulkId: a name was expected with POST")
    if method != "DELETE" and not isinstance(one.get("data"), dict):
        raise InvalidValueException(detail=f"data: an object was expected with {method}")
    if not isinstance(one.get("version", ""), str):
        raise InvalidValueException(detail="version: a text was expected")
    return method, kind, id


def _references(value: Any, found: set[str]) -> set[str]:
    if isinstance(value, str):
        if value.startswith(_REFERENCE):
            found.add(value[len(_REFERENCE) :])
    elif isinstance(value, dict):
        for each in value.values():
            _references(each, found)
    elif isinstance(value, list):
        for each in value:
            _references(each, found)
    return found


def _resolved(value: Any, made: dict[str, str]) -> Any:
    if isinstance(value, str):
        return made[value[len(_REFERENCE) :]] if value.startswith(_REFERENCE) else value
    if isinstance(value, dict):
        return {k: _resolved(v, made) for k, v in value.items()}
    return [_resolved(v, made) for v in value] if isinstance(value, list) else value


class Job:
    """`run` once. `base`: of locations."""

    def __init__(self, operations: list[dict[str, Any]], fail: int, kinds: tuple[str, ...], base: str, apply: Apply, told: Told) -> None:
        self._operations, self._fail, self._kinds, self._base, self._apply, self._told = operations, fail, kinds, base, apply, told
        #: by `bulkId`: what was made, and what may be yet
        self._made: dict[str, str] = {}
        self._coming: dict[str, int] = {}
        self._answers: dict[int, dict[str, Any]] = {}
        self._errors = 0

    async def run(self) -> list[dict[str, Any]]:
        """What came of each that was tried, in the order in which they were given."""
        left: dict[int, tuple[str, str, str]] = {}
        for n, one in enumerate(self._operations):
            try:
                left[n] = _read(one, self._kinds)
                if left[n][0] == "POST" and self._coming.setdefault(one["bulkid"], n) != n:
                    del left[n]
                    raise InvalidValueException(detail=f"bulkId: {one['bulkid'][:80]!r} is given twice")
            except SCIMException as e:
                if not self._refused(n, e):
                    raise
            if self._over:
                break
        while left and not self._over:
            ready = [n for n in left if not self._waits(n)]
            for n in ready or list(left):  # where none is, they wait for each other
                await self._do(n, *left.pop(n), circle=not ready)
                if self._over:
                    break
        return [self._answers[n] for n in sorted(self._answers)]

    @property
    def _over(self) -> bool:
        return bool(self._fail) and self._errors >= self._fail

    def _needs(self, n: int) -> set[str]:
        one = self._operations[n]
        return _references([one.get("data"), str(one["path"]).rpartition("/")[2]], set())

    def _waits(self, n: int) -> bool:
        return any(name in self._coming and name not in self._made for name in self._needs(n))

    async def _do(self, n: int, method: str, kind: str, id: str, circle: bool) -> None:
        one = self._operations[n]
        try:
            if missing := sorted(self._needs(n) - self._made.keys()):
                why = "waits for this one, too" if circle else "is made by no operation of this job, or was refused"
                raise ConflictException(detail=f"bulkId:{missing[0][:80]} {why}")
            found = await self._apply(
                Operation(method, kind, _resolved(id, self._made), _resolved(one.get("data") or {}, self._made), one.get("version", ""))
            )
        except Exception as e:
            if method == "POST":
                del self._coming[one["bulkid"]]
            if not self._refused(n, e):
                raise
            return
        if method == "POST":
            self._made[one["bulkid"]] = found.id
        more = {"version": found.version} if found.version else {}
        self._answers[n] = {**self._named(n), "location": f"{self._base}/{kind}/{found.id}", **more, "status": str(found.status)}

    def _named(self, n: int) -> dict[str, Any]:
        one = self._operations[n]
        found = {"method": one["method"].upper()} if isinstance(one.get("method"), str) else {}
        return {**found, **({"bulkId": one["bulkid"]} if isinstance(one.get("bulkid"), str) else {})}

    def _refused(self, n: int, e: Exception) -> bool:
        if (told := self._told(e)) is None:
            return False
        one, (status, body) = self._operations[n], told
        self._errors += 1
        there = isinstance(one.get("path"), str) and str(one.get("method")).upper() != "POST"
        location = {"location": f"{self._base}/{one['path'].lstrip('/')[:300]}"} if there else {}
        self._answers[n] = {**self._named(n), **location, "status": str(status), "response": body}
        return True
