"""Files in a bucket of S3, or of what speaks as it does: a store of `infra/blobs`. Its calls pass the gate, as all that go out.

Objects are `PREFIX/AREA/SHA256`. The service is told the hash with each put and refuses other bytes. It has no lock, so who deletes leaves a note first,
`PREFIX/deleting/AREA/SHA256`, and who puts looks for one afterwards: without it, a file that is put again while it is swept would be gone.
"""

from __future__ import annotations

import asyncio
import datetime
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar
from urllib.parse import quote

import httpx2

from flowledger import __version__
from flowledger.connectors import aws
from flowledger.infra import blobs
from flowledger.infra.blobs.store import Kept
from flowledger.infra.egress import Gate, Refused
from flowledger.infra.egress_transport import client_of
from flowledger.infra.secrets import SecretError, Secrets, secrets_of
from flowledger.infra.settings import Settings

T = TypeVar("T")
PIECE_BYTES, ANSWER_BYTES_MAX = 256 * 1024, 4 * 1024 * 1024
#: one request: until there is a connection, between two pieces, in all; attempts at one, and the first pause between them (seconds)
CONNECT_S, PIECE_S, WHOLE_S, ATTEMPTS, PAUSE_S = 10.0, 30.0, 600.0, 4, 0.3
#: who deletes has so long for it, and a note that is older is of one who died (seconds)
DELETE_S, NOTE_S = 30.0, 120.0
#: pages of a list, of 1,000 objects each
PAGES_MAX = 100_000
NOTES = "deleting/"


class Where(NamedTuple):
    endpoint: str
    bucket: str
    prefix: str


def where(text: str) -> Where:
    """Of `https://ADDRESS/BUCKET/PREFIX`. Raises: ValueError."""
    try:
        url = httpx2.URL(text)
    except httpx2.InvalidURL:
        url = httpx2.URL("")
    bucket, _, prefix = url.path.strip("/").partition("/")
    if (
        url.scheme not in ("http", "https")
        or not url.host
        or not bucket
        or url.query
        or url.userinfo
        or {".", ".."} & set(prefix.split("/"))
    ):
        raise ValueError(f"expected s3:https://ADDRESS/BUCKET/PREFIX, found 's3:{text[:200]}'")
    return Where(f"{url.scheme}://{url.netloc.decode()}", bucket, f"{prefix.strip('/')}/" if prefix.strip("/") else "")


class Bucket:
    def __init__(self, place: Where, settings: Settings, gate: Gate | None = None, secrets: Secrets | None = None) -> None:
        if not settings.blobs_access_key:
            raise ValueError("expected the id of its key as blobs_access_key")
        self.place, self._gate, self._secrets = place, gate or Gate.of(settings), secrets or secrets_of(settings)
        self._region, self._key, self._secret = settings.blobs_region, settings.blobs_access_key, settings.blobs_secret
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: httpx2.AsyncClient

    # --- the store: called in threads -----------------------------------------------------------------------------------

    def put(self, name: str, file: Path) -> None:
        self._run(self._put(name, file, file.stat().st_size))

    def open(self, name: str) -> BinaryIO:
        return self._run(self._open(name))

    def delete(self, name: str, before_s: float) -> bool:
        return self._run(self._delete(name, before_s))

    def kept(self, of: str = "") -> Iterator[Kept]:
        token = ""
        for _ in range(PAGES_MAX):
            rows, token = self._run(self._page(f"{of}/" if of else "", token))
            yield from rows
            if not token:
                return
        raise OSError(f"the bucket lists more than {PAGES_MAX} pages")

    # --- what is asked ----------------------------------------------------------------------------------------------------

    async def _put(self, name: str, file: Path, size: int) -> None:
        began = time.monotonic()

        async def content() -> AsyncIterator[bytes]:
            with file.open("rb") as source:
                while piece := await asyncio.to_thread(source.read, PIECE_BYTES):
                    yield piece

        while True:
            headers = {"content-type": "application/octet-stream", "content-length": str(size)}
            await self._sent("PUT", name, headers=headers, content=content, sha256=name.partition("/")[2])
            note = await self._headed(NOTES + name)
            if note is None or time.time() - _put_at(note) > NOTE_S:
                if await self._headed(name) is not None:  # who deleted before there was no note is done
                    return
            elif time.monotonic() - began > 2 * NOTE_S:
                raise OSError("somebody deletes this file for too long")
            else:
                await asyncio.sleep(PAUSE_S)

    async def _open(self, name: str) -> BinaryIO:
        last: OSError | None = None
        for attempt in range(ATTEMPTS):
            file = tempfile.TemporaryFile(prefix="flowledger-file-")
            try:
                await self._sent("GET", name, into=file)
            except BaseException as e:
                file.close()
                if not isinstance(e, Broken):
                    raise
                last = e
                await asyncio.sleep(PAUSE_S * 2**attempt)
                continue
            file.seek(0)
            return file
        raise last or OSError("the file can't be had")

    async def _delete(self, name: str, before_s: float) -> bool:
        async with asyncio.timeout(DELETE_S):
            if await self._headed(name) is None:
                return False
            await self._sent("PUT", NOTES + name, headers={"content-length": "0"})
            try:
                found = await self._headed(name)
                # the service tells whole seconds
                if found is None or _put_at(found) + 1 > before_s:
                    return False
                await self._sent("DELETE", name)
                return True
            finally:
                await self._sent("DELETE", NOTES + name)

    async def _headed(self, name: str) -> httpx2.Response | None:
        try:
            return (await self._sent("HEAD", name))[0]
        except FileNotFoundError:
            return None

    async def _page(self, prefix: str, token: str) -> tuple[list[Kept], str]:
        query = {"list-type": "2", "max-keys": "1000", "prefix": self.place.prefix + prefix} | (
            {"continuation-token": token} if token else {}
        )
        _, found = await self._sent("GET", "", query=query)
        root = aws.root_of(found)
        if root is None:
            raise OSError("expected a list of objects in XML from the bucket")
        rows = []
        for one in root.iterfind("{*}Contents"):
            name = (one.findtext("{*}Key") or "").removeprefix(self.place.prefix)
            area, _, sha256 = name.partition("/")
            if len(sha256) == 64 and (area == "none" or area.startswith("t-")):  # else: not ours, or a note
                put = datetime.datetime.fromisoformat((one.findtext("{*}LastModified") or "").replace("Z", "+00:00")).timestamp()
                rows.append(Kept(name, int(one.findtext("{*}Size") or 0), put))
        more = root.findtext("{*}IsTruncated") == "true"
        return rows, (root.findtext("{*}NextContinuationToken") or "") if more else ""

    # --- how it is asked --------------------------------------------------------------------------------------------------

    async def _sent(
        self, method: str, name: str, *, query: dict[str, str] | None = None, headers: dict[str, str] | None = None,
        content: Callable[[], AsyncIterator[bytes]] | None = None, sha256: str = "", into: Any = None,
    ) -> tuple[httpx2.Response, bytes]:  # fmt: skip
        """Asked again while that may help. Raises: OSError, FileNotFoundError."""
        for attempt in range(ATTEMPTS):
            try:
                async with asyncio.timeout(WHOLE_S):
                    return await self._once(method, name, query or {}, headers or {}, content, sha256, into)
            except Broken:
                if attempt + 1 == ATTEMPTS or into is not None:  # what came of a file is the caller's to begin anew
                    raise
                await asyncio.sleep(PAUSE_S * 2**attempt)
            except TimeoutError:
                raise OSError(f"the bucket took more than {WHOLE_S:.0f} s") from None
        raise AssertionError("the last attempt returns or raises")

    async def _once(
        self, method: str, name: str, query: dict[str, str], headers: dict[str, str], content: Callable[[], AsyncIterator[bytes]] | None,
        sha256: str, into: Any,
    ) -> tuple[httpx2.Response, bytes]:  # fmt: skip
        path = "/" + quote(self.place.bucket, safe=aws.PLAIN)
        if name:
            path += "/" + quote(self.place.prefix + name, safe=aws.PLAIN + "/")
        try:
            url = self._gate.url(self.place.endpoint + path + (f"?{aws.query_of(query)}" if query else ""))
        except Refused as e:
            raise OSError(str(e)) from None
        asked = aws.Request("s3", self.place.endpoint, method, path, query, headers, b"", sha256)
        signed = aws.signed(await self._who(), asked, {**headers, "host": url.netloc.decode()}, datetime.datetime.now(datetime.UTC))
        limit = httpx2.Timeout(PIECE_S, connect=CONNECT_S)
        request = self._client.build_request(
            method, url, content=content() if content else None, timeout=limit,
            headers={**signed, "user-agent": f"flowledger/{__version__}", "accept-encoding": "identity"},
        )  # fmt: skip
        try:
            response = await self._client.send(request, stream=True)
            try:
                found = bytearray()
                async for piece in response.aiter_raw():
                    if into is not None and response.status_code < 300:
                        await asyncio.to_thread(into.write, piece)
                        continue
                    found += piece
                    if len(found) > ANSWER_BYTES_MAX:
                        raise OSError(f"the bucket answers with more than {ANSWER_BYTES_MAX} bytes")
            finally:
                await response.aclose()
        except Refused as e:
            raise OSError(str(e)) from None
        except httpx2.TransportError as e:
            raise Broken(f"no answer from the bucket: {type(e).__name__}") from None
        if response.status_code == 404 and method in ("GET", "HEAD", "DELETE") and name:
            raise FileNotFoundError(name)
        if response.status_code >= 300:
            failure = aws.refused(method, response, bytes(found))
            raise (Broken if failure.again else OSError)(f"the bucket: {failure.message}")
        return response, bytes(found)

    async def _who(self) -> aws.Keys:
        """Asked for each request, so that a rotated key is the next one's. Raises: OSError."""
        try:
            return aws.Keys(self._region, self._key, (await self._secrets.resolve([self._secret]))[self._secret])
        except SecretError as e:
            raise OSError(e.message) from None

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        """In a loop of its own: those who ask are threads, which have none."""
        with self._lock:
            if self._loop is None:
                loop = asyncio.new_event_loop()
                self._client = client_of(self._gate)
                threading.Thread(target=loop.run_forever, name="bucket", daemon=True).start()
                self._loop = loop
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result()
        except TimeoutError:
            raise OSError("the bucket did not answer in time") from None


class Broken(OSError):
    """Another attempt may help."""


def _put_at(response: httpx2.Response) -> float:
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(response.headers["last-modified"]).timestamp()
    except (KeyError, ValueError, TypeError):
        raise OSError("the bucket doesn't say when a file was put") from None


blobs.MAKERS["s3"] = lambda text, settings: Bucket(where(text), settings)
