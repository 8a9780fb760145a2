"""What a connector's call brings that is too large for a variable: kept as a file, and attached to the instance whose work it is (docs/files.md)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from flowledger.connectors.frame import Failed
from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events.base import Rejected, RejectionCode
from flowledger.events.files import uri_of
from flowledger.infra.blobs import Blobs, Damaged, Full, TooLarge
from flowledger.processors.client import Caller, Client
from flowledger.sdk.job import Job

ACTOR = "connectors"
NAME_CHARS = 200
_LATER = frozenset((RejectionCode.UNAVAILABLE, RejectionCode.DEADLINE_EXCEEDED, RejectionCode.RESOURCE_EXHAUSTED))


class Files:
    def __init__(self, client: Client, blobs: Blobs) -> None:
        self.client, self.blobs = client, blobs

    async def keep(self, job: Job, tenant: str, name: str, media_type: str, pieces: AsyncIterator[bytes]) -> dict[str, Any]:
        """`{name, mediaType, size, sha256}` of what is attached then; another attempt puts it in the same place. Raises: Failed, and what `pieces` raises."""
        try:
            kept = await self.blobs.put(tenant, pieces)
        except TooLarge as e:
            raise Failed("ANSWER_TOO_LARGE", f"{e} (setting blob_bytes_max)") from None
        except Full as e:
            raise Failed("FILES_FULL", str(e)) from None
        except OSError as e:
            raise Failed("FILES_AWAY", f"files can't be kept now: {e.strerror or type(e).__name__}", again=True) from None
        name = plain(name) or f"{plain(job.element)}-{job.key}"
        file = {"name": name, "uri": uri_of(kept.sha256), "media_type": media_type, "size": kept.size, "sha256": kept.sha256}
        command: c.AnyCommand = (
            co.ChangeFiles(key=job.instance, file=file) if job.instance else c.MoveTask(task=job.key, move="attach", details=file)
        )
        answer = await self.client.call(command, Caller(ACTOR, tenant))
        if isinstance(answer, Rejected):
            raise Failed("FILES_REFUSED", f"the file can't be attached: {answer.message}", again=answer.code in _LATER)
        return {"name": name, "mediaType": media_type, "size": kept.size, "sha256": kept.sha256}

    async def kept(self, tenant: str, sha256: str) -> bytes:
        """A small file that was kept, as a whole. Raises: Failed."""
        try:
            return b"".join([piece async for piece in self.blobs.read(tenant, sha256)])
        except FileNotFoundError:
            raise Failed("FILE_MISSING", f"the file {sha256} is not there any more") from None
        except Damaged as e:
            raise Failed("FILE_DAMAGED", str(e)) from None
        except OSError as e:
            raise Failed("FILES_AWAY", f"files can't be read now: {e.strerror or type(e).__name__}", again=True) from None


def plain(name: str) -> str:
    """As a name of a file may be."""
    return "".join("_" if ch in "/\\" or ch < " " or ch == "\x7f" else ch for ch in name)[:NAME_CHARS].strip(". ")
