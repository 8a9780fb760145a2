"""A listening socket that takes many connections in one turn of the event loop.

libuv, below uvloop, takes one in each (since 1.46), and asyncio as many as the backlog holds: under overload, when a turn takes a tenth of a second,
whoever comes new would wait for minutes.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from typing import Any

from flowledger.logs import log

log_ = log("http")

#: connections that one turn of the loop takes
TURN_MAX = 100
#: pause when the process has no more file descriptors, or the machine no memory (seconds)
PAUSE_S = 0.5
#: who takes longer to agree on TLS is not waited for (seconds)
HANDSHAKE_S = 10.0
_SPENT = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Acceptor:
    """Takes what comes to `listener` (bound and listening) until `close`, which closes it."""

    def __init__(self, listener: socket.socket, protocol: Callable[[], asyncio.BaseProtocol], tls: ssl.SSLContext | None = None) -> None:
        self._listener, self._protocol, self._tls = listener, protocol, tls
        self._loop = asyncio.get_running_loop()
        self._pausing: asyncio.TimerHandle | None = None
        self._coming: set[asyncio.Task[Any]] = set()
        listener.setblocking(False)
        self._open()

    def _open(self) -> None:
        self._pausing = None
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        for _ in range(TURN_MAX):
            try:
                found, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as e:
                if e.errno not in _SPENT:  # that one has gone already
                    continue
                log_.error("no connection can be taken", again_s=PAUSE_S, why=str(e))
                self._loop.remove_reader(self._listener)
                self._pausing = self._loop.call_later(PAUSE_S, self._open)
                return
            found.setblocking(False)
            task = self._loop.create_task(self._take(found))
            self._coming.add(task)
            task.add_done_callback(self._coming.discard)

    async def _take(self, found: socket.socket) -> None:
        try:
            handshake_s = None if self._tls is None else HANDSHAKE_S
            await self._loop.connect_accepted_socket(self._protocol, found, ssl=self._tls, ssl_handshake_timeout=handshake_s)
        except (OSError, ssl.SSLError) as e:  # it has gone, or speaks no TLS
            log_.debug("a connection did not come about", why=str(e))
            found.close()

    def close(self) -> None:
        if self._pausing is not None:
            self._pausing.cancel()
            self._pausing = None
        if self._listener.fileno() >= 0:
            self._loop.remove_reader(self._listener)
            self._listener.close()

    @property
    def taking(self) -> bool:
        """Some have come that have no protocol yet."""
        return bool(self._coming)

    async def wait_closed(self) -> None:
        """Those that were just taken have their protocol."""
        if self._coming:
            await asyncio.wait(self._coming)
