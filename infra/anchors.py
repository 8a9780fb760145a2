"""Places outside of the log that keep signed heads, so that a cut or rewritten log can be told from the true one.

`file:PATH` appends one JSON line for each head, synced to the disk; `http://` and `https://` POST it as JSON. Each place has a queue and a
thread of its own, tries again until it is taken, and says in health and metrics what is wrong meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

import msgspec

from flowledger.events.heads import Head
from flowledger.logs import log

log_ = log("anchors")

#: heads that wait for one place; when it is full the oldest goes, since a later head covers all before it
WAITING_MAX = 1_000
TIMEOUT_S = 10.0
AGAIN_S, AGAIN_MAX_S = 1.0, 60.0


class Place(Protocol):
    """Keeps a head, or raises OSError."""

    name: str

    def keep(self, line: bytes) -> None: ...


class FilePlace:
    def __init__(self, path: Path) -> None:
        self.path, self.name = path, f"file:{path}"

    def keep(self, line: bytes) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), "ab") as file:
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())


class HttpPlace:
    """A 2xx takes the head. `token`: sent as bearer."""

    def __init__(self, url: str, token: str = "") -> None:
        self._url, self._token = url, token
        self.name = without_password(url)

    def keep(self, line: bytes) -> None:
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {self._token}"} if self._token else {})}
        request = urllib.request.Request(self._url, line, headers, method="POST")  # noqa: S310 - http or https, see `places`
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
                answer.read(1)
        except urllib.error.HTTPError as e:
            raise OSError(f"answered {e.code}") from None


def without_password(url: str) -> str:
    """A URL that may be shown."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}@{host}"))


def places(named: Sequence[str], token: str = "") -> list[Place]:
    """`file:PATH` or a URL each. Raises: ValueError."""
    found: list[Place] = []
    for text in named:
        if text.startswith("file:") and len(text) > len("file:"):
            found.append(FilePlace(Path(text.removeprefix("file:"))))
        elif text.startswith(("http://", "https://")):
            found.append(HttpPlace(text, token))
        else:
            raise ValueError(f"an anchor is file:PATH, http://... or https://..., not {text!r}")
    return found


class _Keeper:
    """One place and what waits for it."""

    def __init__(self, place: Place, kept: Callable[[str, bool], None]) -> None:
        self.place, self._kept = place, kept
        self.error = ""
        self.queue: queue.Queue[Head | None] = queue.Queue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flowledger-anchor", daemon=True)
        self._thread.start()

    def put(self, head: Head) -> None:
        if self.queue.qsize() >= WAITING_MAX:
            with contextlib.suppress(queue.Empty):
                self.queue.get_nowait()
        self.queue.put(head)

    def _run(self) -> None:
        while (head := self.queue.get()) is not None:
            delay = AGAIN_S
            while True:
                try:
                    self.place.keep(msgspec.json.encode(head))
                except Exception as e:  # noqa: BLE001 - a place may fail in any way; it is said, and tried again
                    self.error = f"heads can't be anchored at {self.place.name}: {e}"
                    log_.warning("anchor failed", place=self.place.name, why=str(e), again_s=delay)
                    self._kept(self.place.name, False)
                    if self._stop.wait(delay):
                        return
                    delay = min(delay * 2, AGAIN_MAX_S)
                    continue
                self.error = ""
                self._kept(self.place.name, True)
                break

    def close(self, wait_s: float) -> None:
        self.queue.put(None)
        self._thread.join(wait_s)
        self._stop.set()


class Anchors:
    """`kept(place, ok)` is called for each attempt, for metrics."""

    def __init__(self, found: Sequence[Place], kept: Callable[[str, bool], None] = lambda place, ok: None) -> None:
        self._keepers = [_Keeper(place, kept) for place in found]

    def put(self, head: Head) -> None:
        for keeper in self._keepers:
            keeper.put(head)

    @property
    def errors(self) -> list[str]:
        return [k.error for k in self._keepers if k.error]

    def close(self, wait_s: float = 2.0) -> None:
        """What waits is still tried once, for a moment."""
        for keeper in self._keepers:
            keeper.close(wait_s)
