"""The short way of the busiest requests: from the router's place straight to their handlers.

The framework finds a route, extracts arguments by a model of the handler's signature and validates them once more, for any signature. These few
handlers take a request, a body and a key, so that none of it says more than the path and the body's own decoder do. The handler, what is looked at
before it, the reading of the body, the answer and all errors are the same objects and functions as on the long way; what isn't plain goes the long way,
and `tests/api/test_short_way.py` sends one table of requests along both.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from types import NoneType
from typing import Any, get_args

from litestar import Litestar
from litestar.types import ASGIApp

from flowledger.api.edge import ApiRequest, Reply

#: method and path, below which a `{key}` is of digits
SHORT = (
    "POST /v1/instances", "POST /v1/messages", "POST /v1/signals", "POST /v1/jobs/activate", "POST /v1/jobs/{key}/complete", "POST /v1/jobs/{key}/fail",
    "POST /v1/jobs/{key}/error", "POST /v1/jobs/{key}/extend", "POST /v1/tasks/{id}/complete",
)  # fmt: skip
#: what the router would refuse otherwise, or might
_HOST = re.compile(r"[0-9A-Za-z.:\[\]-]*")


class Fields:
    """The headers of a request, as far as handlers ask for them. Of several of a name `get` tells the first one, as the framework's do."""

    __slots__ = ("_by_name", "_raw")

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        self._raw, self._by_name = raw, dict(reversed(raw))

    def get(self, name: str, default: Any = None) -> Any:
        found = self._by_name.get(name.lower().encode("latin-1"))
        return default if found is None else found.decode("latin-1")

    def getall(self, name: str, default: Any = None) -> Any:
        wanted = name.lower().encode("latin-1")
        return [v.decode("latin-1") for n, v in self._raw if n == wanted] if wanted in self._by_name else default


class ShortRequest(ApiRequest):
    def __init__(self, scope: Any, receive: Any, send: Any) -> None:
        super().__init__(scope, receive, send)
        self._fields = Fields(scope["headers"])

    @property
    def headers(self) -> Any:
        return self._fields


class Way:
    """To one handler."""

    __slots__ = ("before", "errors", "fn", "handler", "optional", "parameter", "template")

    def __init__(self, template: str, handler: Any) -> None:
        """Raises: RuntimeError: the handler is more than this way knows of."""
        parameters = dict(handler.parsed_fn_signature.parameters)
        names = set(parameters) - {"request", "data"}
        if (
            "request" not in parameters or "data" not in parameters or len(names) != template.count("{") or handler.has_sync_callable
            or any(parameters[n].annotation is not str for n in names) or handler.resolve_guards() or handler.resolve_dependencies()
            or handler.resolve_middleware() or handler.cache or handler.resolve_after_response()
            or any(getattr(layer, "after_request", None) for layer in handler.ownership_layers)
            or handler.resolve_response_headers() or handler.resolve_response_cookies() or handler.opt.get("forms") or any(f"{{{n}}}" not in template for n in names)
        ):  # fmt: skip
            raise RuntimeError(f"{template} is not for the short way (api/short.py)")
        self.template, self.handler, self.fn = template, handler, handler.fn
        self.parameter = next(iter(names), "")
        self.optional = NoneType in get_args(parameters["data"].annotation)
        self.before: Callable[[Any], Any] = handler.resolve_before_request()
        self.errors = handler.resolve_exception_handlers()


class Short:
    """Stands before the router."""

    def __init__(self, router: ASGIApp, app: Litestar) -> None:
        self.router, self.app = router, app
        self._plain: dict[tuple[str, str], Way] = {}
        #: (method, what is before the key, what is behind it)
        self._keyed: dict[tuple[str, str, str], Way] = {}
        handlers = {
            f"{method} {route.path_format}": handler
            for route in app.routes
            for method, (handler, _) in getattr(route, "route_handler_map", {}).items()
        }
        for each in SHORT:
            if (handler := handlers.get(each)) is not None:
                method, _, template = each.partition(" ")
                way = Way(template, handler)
                head, key, tail = template.partition(f"/{{{way.parameter}}}/")
                if key:
                    self._keyed[method, head, tail] = way
                else:
                    self._plain[method, template] = way

    def _way(self, scope: Any) -> tuple[Way, dict[str, str]] | None:
        if scope["type"] != "http" or scope.get("root_path"):
            return None
        method, path = scope["method"], scope["path"]
        if (way := self._plain.get((method, path))) is not None:
            return way, {}
        rest, _, tail = path.rpartition("/")
        head, _, key = rest.rpartition("/")
        if key.isascii() and key.isdigit() and (way := self._keyed.get((method, head, tail))) is not None:
            return way, {way.parameter: key}
        return None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        found = self._way(scope)
        if found is None:
            await self.router(scope, receive, send)
            return
        way, params = found
        request = ShortRequest(scope, receive, send)
        if not _HOST.fullmatch(request.headers.get("host", "")):
            await self.router(scope, receive, send)
            return
        request._connection_state.exception_handlers = way.errors
        scope["path_params"], scope["route_handler"], scope["path_template"] = params, way.handler, way.template
        await way.before(request)
        data = None
        if await request.body():
            data = await request.json()
        elif not way.optional:
            await self.router(scope, receive, send)
            return
        answer = await way.fn(request=request, data=data, **params)
        sent = (
            answer.to_asgi_response(None, request)
            if type(answer) is Reply
            else await way.handler.to_response(app=self.app, data=answer, request=request)
        )
        await sent(scope, receive, send)
