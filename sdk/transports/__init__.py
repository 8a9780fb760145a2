"""How a worker gets jobs and hands back what became of them. Each transport is one module; `make` chooses by URL.

| URL | transport |
|---|---|
| `http://host:8080`, `https://…` | the job stream (WebSocket, batches); the default |
| `poll+http://…`, `poll+https://…` | HTTP long polling: through any proxy |
| `zeebe://host:26500`, `zeebes://…` (TLS) | the Zeebe protocol: `StreamActivatedJobs`, also of other Zeebe gateways |
| `kafka://host:9092/PREFIX?api=http://host:8080` | straight from the `tasks` topic; leases and answers over the API |
"""

from __future__ import annotations

from collections.abc import Callable

from flowledger.sdk.transports.port import Transport


def make(url: str) -> Transport:
    """Raises: ValueError, ImportError (the transport's library isn't installed)."""
    scheme, separator, rest = url.partition("://")
    maker = MAKERS.get(scheme)
    if maker is None or not separator or not rest:
        raise ValueError(f"expected a URL with one of {', '.join(MAKERS)}, found '{url}'")
    return maker(url)


def _stream(url: str) -> Transport:
    from flowledger.sdk.transports.stream import StreamTransport

    return StreamTransport(url)


def _poll(url: str) -> Transport:
    from flowledger.sdk.transports.poll import PollTransport

    return PollTransport(url.removeprefix("poll+"))


def _zeebe(url: str) -> Transport:
    from flowledger.sdk.transports.zeebe import ZeebeTransport

    return ZeebeTransport(url)


def _kafka(url: str) -> Transport:
    from flowledger.sdk.transports.tasks_topic import TasksTopicTransport

    return TasksTopicTransport(url)


MAKERS: dict[str, Callable[[str], Transport]] = {
    "http": _stream,
    "https": _stream,
    "poll+http": _poll,
    "poll+https": _poll,
    "zeebe": _zeebe,
    "zeebes": _zeebe,
    "kafka": _kafka,
}
