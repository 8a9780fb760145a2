"""The processes that this one starts and watches: those of the owners and of the connectors, and the lock on the folder of an embedded log."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

import msgspec

from flowledger.infra.settings import Settings, SettingsError
from flowledger.logs import log

#: back-off between two starts of a process that dies (seconds); one that lived for the longer begins anew
BACK_OFF_S = (0.1, 5.0)
LIVED_S = 30.0
#: settings that hold without a new start, when the process is told to look at them again
LOGS = ("log_level", "log_format", "log_file", "access_log")
#: longest path of a Unix socket (Linux: 108 bytes with the end)
SOCKET_PATH_MAX = 100


def owner_count(settings: Settings, cores: int | None = None) -> int:
    """How many processes hold owners. The embedded log has one writer at a time, so more than one gain nothing there."""
    if settings.owner_processes:
        return min(settings.owner_processes, settings.partitions)
    if not settings.kafka:
        return 1
    cores = cores or len(os.sched_getaffinity(0))
    return max(1, min(settings.partitions, (cores - 2) // 2))


def link_folder(settings: Settings) -> Path:
    """Where the sockets are: only the user of this process gets in. A path that is too long for a socket has a short one instead."""
    if settings.link:
        return Path(settings.link).resolve()
    folder = Path(settings.data).resolve() / "run"
    if len(str(folder / "owner-00.sock")) <= SOCKET_PATH_MAX:
        return folder
    return Path(tempfile.gettempdir()) / f"flowledger-{os.geteuid()}-{zlib.crc32(str(folder).encode()):08x}"


def private(folder: Path) -> Path:
    """The folder, made if it isn't there. Raises: SettingsError: it belongs to somebody else."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid not in (os.geteuid(), 0):
        raise SettingsError(f"the folder {folder} for the sockets of the owners belongs to another user: name one with FLOWLEDGER_LINK")
    return folder


class FolderLock:
    """One process at a time works on a folder of an embedded log. The lock goes with the process, however it ends."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"
        folder.mkdir(parents=True, exist_ok=True)
        self._file: int | None = None

    def take(self) -> None:
        """Raises: SettingsError: another process has it."""
        found = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(found, 32).decode(errors="replace").strip() or "unknown"
            os.close(found)
            raise SettingsError(
                f"process {pid} works on the folder {self._path.parent} already: stop it, or name another folder with --data"
            ) from None
        os.ftruncate(found, 0)
        os.write(found, f"{os.getpid()}\n".encode())
        self._file = found

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


class ChildProcess:
    """A process of ours (`flowledger.child`): started, watched, started again when it dies. `what` it is, for people."""

    def __init__(self, settings: Settings, folder: Path, name: str, module: str, what: str) -> None:
        self.name, self._module, self._what = name, module, what
        self.socket = folder / f"{self.name}.sock"
        self._ordered(settings)
        self.process: subprocess.Popen[bytes] | None = None
        #: what is wrong with it, for health
        self.trouble = ""
        self.restarts = 0
        self._watching: asyncio.Task[None] | None = None
        self._stopping = False

    def _ordered(self, settings: Settings) -> None:
        self._settings = settings
        self._order = msgspec.json.encode({"settings": settings.model_dump(mode="json"), "socket": str(self.socket), "name": self.name})

    def logs(self, settings: Settings) -> None:
        """It writes its logs as these say, and so does the one that is started when it dies."""
        self._ordered(self._settings.model_copy(update={name: getattr(settings, name) for name in LOGS}))
        if self.process is None or self.process.stdin is None:
            return
        said = {"level": settings.log_level, "form": settings.log_format, "node": settings.node, "file": settings.log_file}
        with contextlib.suppress(OSError):  # it has just ended
            self.process.stdin.write(msgspec.json.encode(said) + b"\n")
            self.process.stdin.flush()

    def start(self) -> None:
        self._spawn()
        self._watching = asyncio.create_task(self._watch(), name=self.name)

    def _spawn(self) -> None:
        self._began = time.monotonic()
        process = self.process = subprocess.Popen([sys.executable, "-m", self._module], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(self._order + b"\n")
            process.stdin.flush()

    async def _watch(self) -> None:
        delay = BACK_OFF_S[0]
        while True:
            assert self.process is not None
            code = await _ended(self.process)
            if self._stopping:
                return
            if time.monotonic() - self._began > LIVED_S:
                delay = BACK_OFF_S[0]
            self.restarts += 1
            how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            self.trouble = f"the process of the {self._what} ended ({how}); it is started again"
            log("system").error(f"the process of the {self._what} ended", process=self.name, how=how, again_s=delay)
            await asyncio.sleep(delay)
            delay = min(delay * 2, BACK_OFF_S[1])
            try:
                self._spawn()
                self.trouble = ""
            except OSError as e:
                self.trouble = f"the process of the {self._what} can't be started: {e}"
                await asyncio.sleep(delay)
                self._spawn()

    async def stop(self, seconds: float) -> None:
        """In order; by force after `seconds`."""
        self._stopping = True
        process = self.process
        if process is None:
            return
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        if self._watching is not None:
            done, _ = await asyncio.wait([self._watching], timeout=seconds)
            if not done:
                log("system").error(f"the process of the {self._what} does not end; it is killed", process=self.name)
                process.kill()
                await asyncio.wait([self._watching], timeout=5)
            self._watching.cancel()


class OwnerProcess(ChildProcess):
    """One process of owners."""

    def __init__(self, settings: Settings, folder: Path, index: int) -> None:
        super().__init__(settings, folder, f"owner-{index}", "flowledger.owners", "owners")


class ConnectorProcess(ChildProcess):
    """The process of the connectors: calls to the outside delay neither owners nor doors."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        super().__init__(settings, folder, f"connectors-{os.getpid()}", "flowledger.calls", "connectors")

    async def figures(self, timeout_s: float = 1.0) -> list[Any]:
        """Its metrics as it ships them; nothing when it doesn't answer in time."""
        try:
            async with asyncio.timeout(timeout_s):
                reader, writer = await asyncio.open_unix_connection(str(self.socket))
                try:
                    found: list[Any] = msgspec.json.decode(await reader.read())
                    return found
                finally:
                    writer.close()
        except (OSError, TimeoutError, msgspec.DecodeError):
            return []


async def _ended(process: subprocess.Popen[bytes]) -> int:
    """The exit code, once it has one. By a descriptor of the process where the kernel has them; no thread is held up."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    try:
        handle = os.pidfd_open(process.pid)
    except (OSError, AttributeError):
        while process.poll() is None:
            await asyncio.sleep(0.05)
        return process.returncode

    def over() -> None:
        if not done.done():
            done.set_result(None)

    loop.add_reader(handle, over)
    try:
        await done
    finally:
        loop.remove_reader(handle)
        os.close(handle)
    return process.wait()
