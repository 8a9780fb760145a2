"""Between the outside and the inside: bodies, keys, positions, times and rows.

Inside, a key is an integer of 64 bits; in JSON it is a text, since JavaScript's numbers end at 53 bits. Numbers stay exact both ways.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from types import UnionType, coroutine
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from litestar import Request, Response
from litestar.params import Parameter
from litestar.types.empty import Empty
from msgspec import Meta

from flowledger.api import strict
from flowledger.api.problems import Problem, malformed
from flowledger.kernel import times

KEY_MAX = (1 << 63) - 1
#: a body must come whole within this time
BODY_S = 120.0
#: as JSON Schema; the highest key of the highest partition is far below
KEY_PATTERN = "^([1-9][0-9]{0,17}|[1-8][0-9]{18})$"
#: what a name, an id or a key of callers may be: rows are found by it, exactly, so what a row can't hold is refused
TEXT_MAX = 255
Text = Annotated[str, Meta(max_length=TEXT_MAX, pattern=r"^[^\x00-\x1f\x7f]*$")]
Name = Annotated[str, Meta(min_length=1, max_length=TEXT_MAX, pattern=r"^[^\x00-\x1f\x7f]*$")]
#: a reason, a comment, a message: any text, not for ever
Words = Annotated[str, Meta(max_length=100_000)]
Count = Annotated[int, Meta(ge=0, le=(1 << 31) - 1)]
#: milliseconds, up to ten years
Millis = Annotated[int, Meta(ge=0, le=315_360_000_000)]
#: -1: by the policy
CountOrPolicy = Annotated[int, Meta(ge=-1, le=(1 << 31) - 1)]
MillisOrPolicy = Annotated[int, Meta(ge=-1, le=315_360_000_000)]
Fence = Annotated[int, Meta(ge=0, le=KEY_MAX)]
#: RFC 3339
Moment = Annotated[datetime, Meta(tz=True)]
Variables = dict[Annotated[str, Meta(max_length=TEXT_MAX)], Any]
KeyRef = Annotated[str, Meta(pattern=KEY_PATTERN)] | Annotated[int, Meta(ge=1, le=KEY_MAX)]
#: how the last attempt of a task ended
Result = Literal["success", "partial_success"]
#: a definition's key, or its id in the model
DefinitionRef = Name | Annotated[int, Meta(ge=1, le=KEY_MAX)]
#: in a path
KeyPath = Annotated[str, Parameter(schema_extra={"pattern": KEY_PATTERN})]
NamePath = Annotated[str, Parameter(schema_extra={"minLength": 1, "maxLength": TEXT_MAX})]
#: fields whose integers are keys
KEY_FIELDS = frozenset(
    "key id instance definition deployment parent parent_token root token task message signal subscription incident timer scope spawned item "
    "handler_of merged process_instance definition_key instance_key task_key activities consumed tasks home_token "
    "parent_instance root_instance element_instance".split()
)
#: statuses of answers without one
NO_BODY = (204, 304)
#: texts of Content-Type whose meaning is remembered
KINDS_KEPT = 64
_KINDS: dict[str, tuple[str, dict[str, str]]] = {}
_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=str)
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


class Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Base of what callers send. An unknown name is an error, not a wish that nobody hears."""


def encode(value: Any) -> bytes:
    return _encoder.encode(value)


class Reply(Response[bytes]):
    """JSON that is written already. What nobody has added to goes out as it is, past the framework's merging of headers and cookies."""

    def __init__(self, content: bytes, status: int, headers: dict[str, str]) -> None:
        self.content, self.status_code, self.headers = content, status, headers
        self.media_type, self.encoding, self.background = "application/json", "utf-8", None
        self.cookies, self.response_type_encoders = [], {}

    def to_asgi_response(
        self, app: Any, request: Any, *, cookies: Any = None, headers: Mapping[str, str] | None = None, background: Any = None, **more: Any
    ) -> Any:
        if (
            self.cookies
            or cookies
            or headers
            or background
            or self.background
            or more.get("is_head_response")
            or self.status_code in NO_BODY
        ):
            return super().to_asgi_response(app, request, cookies=cookies, headers=headers, background=background, **more)  # type: ignore[arg-type]
        return self.sent

    async def sent(self, scope: Any, receive: Any, send: Any) -> None:
        fields = [(n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in self.headers.items()]
        fields += ((b"content-type", b"application/json"), (b"content-length", b"%d" % len(self.content)))
        await send({"type": "http.response.start", "status": self.status_code, "headers": fields})
        await send({"type": "http.response.body", "body": self.content, "more_body": False})


def reply(value: Any, status: int = 200, **headers: str) -> Response[Any]:
    """JSON with exact numbers. `headers` with `_` for `-`."""
    return Reply(encode(value), status, {k.replace("_", "-"): v for k, v in headers.items()} if headers else headers)


@coroutine
def _go_on(work: Coroutine[Any, Any, bytes], waits: Any) -> Generator[Any, Any, bytes]:
    """`work`, which was begun by hand and waits for `waits`."""
    try:
        while True:
            try:
                got = yield waits
            except BaseException as e:  # noqa: BLE001 - whatever is thrown in here is the work's own
                waits = work.throw(e)
            else:
                waits = work.send(got)
    except StopIteration as done:
        found: bytes = done.value
        return found


def _again(first: Any, receive: Callable[[], Any]) -> Callable[[], Any]:
    """`receive`, with what was already taken from it in front."""
    taken = [first]

    async def received() -> Any:
        return taken.pop() if taken else await receive()

    return received


@lru_cache(1024)
def _target(annotation: Any) -> Any:
    """What a body is read as: where there may be none, that isn't the body `null`."""
    return next(t for t in get_args(annotation) if t is not type(None)) if type(None) in get_args(annotation) else annotation


class ApiRequest(Request[Any, Any, Any]):
    """Decodes a body straight into the handler's type: strict, exact, in one pass, with the place of the error."""

    async def json(self) -> Any:
        if self._json is Empty:
            self._json = await self._decode()
        return self._json

    async def _decode(self) -> Any:
        field = self.route_handler.parsed_data_field
        target = _target(field.annotation) if field is not None else Any
        kind, options = self._kind()
        kind = kind.lower()
        reader = self.route_handler.opt.get("forms")
        if coding := self.headers.get("content-encoding", ""):
            raise Problem("UNSUPPORTED_MEDIA_TYPE", f"a body without Content-Encoding was expected, found {coding!r}", status=415)
        if kind == "multipart/form-data" and reader is not None:
            async with self.in_time():
                return await reader(self)
        body = await self.body()
        if body and kind != "application/json" and not kind.endswith("+json"):
            wanted = "application/json" + (" or multipart/form-data" if reader else "")
            raise Problem("UNSUPPORTED_MEDIA_TYPE", f"Content-Type must be {wanted}, found {kind or 'none'}", status=415)
        if (charset := options.get("charset", "utf-8").lower()) not in ("utf-8", "utf8", "us-ascii"):
            raise Problem("UNSUPPORTED_MEDIA_TYPE", f"JSON is in UTF-8, found the charset {charset!r}", status=415)
        return decode(body or b"{}", target)

    def _kind(self) -> tuple[str, dict[str, str]]:
        """`content_type`; clients say the same again and again."""
        text = self.headers.get("content-type", "")
        if (found := _KINDS.get(text)) is None:
            found = self.content_type
            if len(_KINDS) < KINDS_KEPT and len(text) <= TEXT_MAX:
                _KINDS[text] = found
        return found

    async def body(self) -> bytes:
        """What has come already is taken as it is; what is still to come is waited for.

        Raises: Problem (503): the server goes down before the whole body has come; (408): it doesn't come.
        """
        if self._body is not Empty:
            return self._body
        reading = self._read()
        try:
            waits = reading.send(None)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
        async with self.in_time():
            with self.app.state["services"].closing.interrupts():
                return await _go_on(reading, waits)

    async def _read(self) -> bytes:
        """In one piece, as it mostly comes; the framework reads what comes in several, and refuses what is too large."""
        most, announced = self.route_handler.resolve_request_max_body_size(), self.headers.get("content-length", "0")
        if not most or not announced.isdecimal() or int(announced) > most:
            return await super().body()
        first = await self.receive()
        if first["type"] != "http.request" or first.get("more_body") or len(first.get("body", b"")) > most:
            self.receive = _again(first, self.receive)
            return await super().body()
        self.is_connected = False
        self._body = self._connection_state.body = first.get("body", b"")
        return self._body

    @asynccontextmanager
    async def in_time(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(BODY_S):
                yield
        except TimeoutError:
            raise Problem("TIMEOUT", f"the body was expected within {BODY_S:g} s, found a part of it", status=408) from None


def decode(body: bytes, target: Any = Any) -> Any:
    """Raises: Problem (400) that says where, what was expected and what was found."""
    decoder = _decoders.get(target)
    if decoder is None:
        decoder = _decoders[target] = msgspec.json.Decoder(target, float_hook=_exact)
    try:
        found = decoder.decode(body)
        strict.check(body)
        return found
    except strict.Refused as e:
        raise malformed(str(e), "body") from None
    except msgspec.ValidationError as e:
        if "`int" in str(e) and "got `float`" in str(e) and (whole := _with_whole_numbers(body, target)) is not None:
            return whole
        text, _, where = str(e).partition(" - at ")
        if where.startswith("`key` in "):
            text, where = f"{text} as a name", where.removeprefix("`key` in ")
        where = where.strip("`").lstrip("$").lstrip(".")
        text += _more(body, target, where, text)
        if "unknown field" in text and hasattr(target, "__struct_encode_fields__") and not where:
            text += f"; known are {', '.join(sorted(target.__struct_encode_fields__))}"
        raise malformed(text, f"body {where}".strip()) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        if body.startswith(_MARKS):
            raise malformed("JSON in UTF-8 without a byte order mark was expected (RFC 8259, 8.1), found one", "body") from None
        if e.args == ("Input data was truncated",) and _LONELY.search(body):
            e = "a surrogate comes in pairs (RFC 8259, 7)"  # type: ignore[assignment]
        raise malformed(f"the body must be JSON: {e}", "body") from None
    except RecursionError:
        raise malformed(f"expected at most {strict.DEPTH_MAX} levels of nesting, found more", "body") from None


_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")
_LONELY = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u)")


def _with_whole_numbers(body: bytes, target: Any) -> Any:
    """For JSON a number is whole by its value, so 5.0 is (JSON Schema, 4.2.3); None: that wasn't all that is wrong."""

    def number(text: str) -> Any:
        found = Decimal(text)
        return int(found) if found.adjusted() < 20 and found == found.to_integral_value() else found

    try:
        strict.check(body)
        return msgspec.convert(msgspec.json.Decoder(float_hook=number).decode(body), target)
    except (msgspec.ValidationError, strict.Refused):
        return None


_STEP = re.compile(r"([^.\[\]]+)|\[(\d+|\.\.\.)\]")


def _more(body: bytes, target: Any, where: str, text: str) -> str:
    """What msgspec leaves out: what was found, and which words are known."""
    steps = [(m[1], m[2]) for m in _STEP.finditer(where)]
    if text.startswith("Invalid enum value"):
        known = _words(target, [name for name, _ in steps if name])
        return f"; expected one of {', '.join(known)}" if known else ""
    if "got `" in text or "`" not in text or text.endswith("as a name") or "missing" in text or "unknown field" in text:
        return ""
    value = msgspec.json.decode(body)
    for name, number in steps:
        if number == "...":
            return ""
        value = value[int(number)] if number else value.get(name) if isinstance(value, dict) else None
    shown = msgspec.json.encode(value).decode()
    return f", found {shown if len(shown) <= 80 else f'{shown[:60]}... ({len(shown)} characters)'}"


def _words(kind: Any, path: list[str]) -> list[str]:
    """The words that a type takes at `path`."""
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) is Literal:
        return [str(w) for w in get_args(kind)]
    if get_origin(kind) in (Union, UnionType, list):
        return [w for each in get_args(kind) for w in _words(each, path)]
    if path and isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _words(get_type_hints(kind, include_extras=True).get(path[0]), path[1:])
    return []


def _exact(text: str) -> Decimal:
    return Decimal(text)


# --- keys, positions, times -------------------------------------------------------------------------------------------


def key_of(text: str | int, what: str = "key") -> int:
    """Raises: Problem (400) when it isn't a key."""
    if isinstance(text, int) and not isinstance(text, bool):
        number = text
    elif isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 20:
        number = int(text)
    else:
        number = -1
    if not 0 < number <= KEY_MAX:
        raise malformed(f"{what} must be a key (a positive integer, as a text), found {text!r}", what)
    return number


def is_key(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20 and 0 < int(text) <= KEY_MAX


def position_of(text: str, where: str = "position") -> dict[int, int]:
    """`"2-17,0-4"` is `{2: 17, 0: 4}`: offsets by partition."""
    found: dict[int, int] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,5})-(\d{1,18})\s*", part)
        if match is None:
            raise malformed(f"a position is `partition-offset`, several separated by commas; found {text!r}", where)
        found[int(match[1])] = int(match[2])
    return found


def position_text(positions: dict[int, int]) -> str:
    return ",".join(f"{p}-{o}" for p, o in sorted(positions.items()))


def time_of(text: str, where: str) -> datetime:
    """RFC 3339 or RFC 9557, with `@Zone` as well; without an offset it is UTC."""
    try:
        found = times.instant(text.replace(" ", "+") if "T" in text else text)
    except ValueError:
        raise malformed(f"a time like 2026-11-21T13:00:00Z was expected, found {text!r}", where) from None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=found)


def time_text(microseconds: int) -> str | None:
    """Microseconds since the epoch as RFC 3339; 0 is none."""
    if not microseconds:
        return None
    whole, fraction = divmod(microseconds, 1_000_000)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:06d}Z"


# --- rows -------------------------------------------------------------------------------------------------------------

#: fields that hold callers' data, in which nothing is touched
OPAQUE = frozenset(
    "variables metadata headers details result output input inputs trace request value data_store form_data content schema".split()
)


def keyed(value: Any) -> Any:
    """A copy with all keys as texts; callers' own data (`OPAQUE`) stays as it is."""
    if isinstance(value, dict):
        return {k: _field(k, v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [keyed(v) for v in value]
    return value


def _field(name: str, value: Any) -> Any:
    if name in OPAQUE:
        return value
    if name in KEY_FIELDS:
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value) if value else None
        if isinstance(value, (list, tuple)) and all(isinstance(v, int) for v in value):
            return [str(v) for v in value]
    return keyed(value) if isinstance(value, (dict, list, tuple)) else value
