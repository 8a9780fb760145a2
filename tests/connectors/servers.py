"""Real servers for the tests of connectors, from Debian's packages (`.ci/run` installs what lacks): each in a folder of its own, for one session.

Each writes `server.pid`, the leader of its group of processes, which ends with the session (`tests/conftest.py`)."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import trustme

START_S = 60.0


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


def _program(name: str, package: str) -> str:
    """Raises: OSError."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/lib/rabbitmq/bin")
    if found is None:
        raise OSError(f"no {name} on this machine: apt-get install {package}")
    return found


def _up(folder: Path, command: list[str], there: Callable[[], bool], env: dict[str, str] | None = None) -> None:
    """Raises: OSError."""
    with (folder / "server.log").open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True, env={**os.environ, **(env or {})}, cwd=folder
        )
    (folder / "server.pid").write_text(str(process.pid))
    end = time.monotonic() + START_S
    while not there():
        if process.poll() is not None or time.monotonic() > end:
            raise OSError(f"{Path(command[0]).name} does not start: {(folder / 'server.log').read_text(errors='replace')[-1000:]}")
        time.sleep(0.05)


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def mariadb(folder: Path) -> dict[str, str]:
    """With TLS under the name `server.example`. Raises: OSError."""
    server, install = _program("mariadbd", "mariadb-server"), _program("mariadb-install-db", "mariadb-server")
    folder.mkdir()
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    certificate = authority.issue_cert("server.example")
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    user = ["--user=root"] if os.geteuid() == 0 else []
    made = [install, "--no-defaults", f"--datadir={folder / 'data'}", "--auth-root-authentication-method=normal", "--skip-test-db", *user]
    done = subprocess.run(made, capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise OSError(f"mariadb-install-db: {done.stdout[-500:]}{done.stderr[-500:]}")
    port = free_port()
    command = [
        server, "--no-defaults", f"--datadir={folder / 'data'}", f"--socket={folder / 's'}", "--bind-address=127.0.0.1", f"--port={port}",
        f"--ssl-cert={folder / 'cert.pem'}", f"--ssl-key={folder / 'key.pem'}", "--skip-name-resolve", "--innodb-buffer-pool-size=16M",
        "--innodb-flush-log-at-trx-commit=0", "--innodb-log-file-size=8M", *user,
    ]  # fmt: skip
    _up(folder, command, lambda: answers(port))
    return {"socket": str(folder / "s"), "port": str(port), "ca": str(folder / "ca.pem")}


def redis(folder: Path) -> dict[str, str]:
    """Raises: OSError."""
    server = _program("redis-server", "redis-server")
    folder.mkdir()
    port = free_port()
    _up(folder, [server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)], lambda: answers(port))
    return {"port": str(port)}


#: of the user `root`, who makes the others
FERRET_PASSWORD = "root-of-the-tests"


def ferretdb(folder: Path) -> dict[str, str]:
    """MongoDB's protocol over SQLite, with users of its own. Raises: OSError."""
    server = shutil.which("ferretdb") or shutil.which("ferretdb", path=str(Path.home() / "go" / "bin"))
    if server is None:
        raise OSError("no ferretdb on this machine: tools/ferretdb.sh builds it")
    folder.mkdir()
    port = free_port()
    command = [
        server, "--handler=sqlite", f"--sqlite-url=file:{folder}/", f"--listen-addr=127.0.0.1:{port}", f"--state-dir={folder}", "--telemetry=disable",
        "--debug-addr=-", "--log-level=error", "--test-enable-new-auth=true", "--setup-username=root", f"--setup-password={FERRET_PASSWORD}",
        "--setup-database=test",
    ]  # fmt: skip
    _up(folder, command, lambda: answers(port))
    return {"port": str(port)}


def rabbitmq(folder: Path) -> dict[str, str]:
    """It speaks AMQP 0-9-1 and, by its plug-in, 1.0. With the settings of its own control program, in capitals. Raises: OSError."""
    _program("erl", "rabbitmq-server")
    home = Path("/usr/lib/rabbitmq/bin")
    if not (home / "rabbitmq-server").exists():
        raise OSError("no rabbitmq-server on this machine: apt-get install rabbitmq-server")
    folder.mkdir()
    (folder / "plugins").write_text("[rabbitmq_amqp1_0].")
    (folder / "env").write_text("")
    port, dist, epmd = free_port(), free_port(), free_port()
    env = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "RABBITMQ_NODENAME": f"t{os.getpid()}@localhost", "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port), "RABBITMQ_DIST_PORT": str(dist), "ERL_EPMD_PORT": str(epmd), "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_MNESIA_BASE": str(folder / "data"), "RABBITMQ_LOG_BASE": str(folder / "log"), "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "env"), "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2",
    }  # fmt: skip
    # epmd beside it in the same group: started by the node it would be a daemon that outlives the session
    command = ["sh", "-c", f"epmd -address 127.0.0.1 -port {epmd} & exec {home / 'rabbitmq-server'}"]
    _up(folder, command, lambda: answers(port), env)
    return {**env, "port": str(port), "control": str(home / "rabbitmqctl")}


def dovecot(folder: Path) -> dict[str, str]:
    """An IMAP server without TLS that takes every user with the password `hush-hush`. Raises: OSError."""
    server = _program("dovecot", "dovecot-imapd")
    folder.mkdir()
    port = free_port()
    root = os.geteuid() == 0
    me, group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
    (folder / "mail").mkdir()
    if root:  # it gives no mails of the administrator
        shutil.chown(folder / "mail", "mail", "mail")
        for above in (folder, folder.parent):
            above.chmod(0o711)
    users = "" if root else f"default_internal_user = {me}\ndefault_login_user = {me}\ndefault_internal_group = {group}\n"
    (folder / "dovecot.conf").write_text(f"""
protocols = imap
listen = 127.0.0.1
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
ssl = no
disable_plaintext_auth = no
auth_failure_delay = 0
mail_max_userip_connections = 0
mail_location = maildir:{folder}/mail/%u
first_valid_uid = 1
{users}passdb {{
  driver = static
  args = password=hush-hush
}}
userdb {{
  driver = static
  args = uid={"mail" if root else me} gid={"mail" if root else group} home={folder}/mail/%u
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
""")
    _up(folder, [server, "-F", "-c", str(folder / "dovecot.conf")], lambda: answers(port))
    return {"port": str(port)}
