"""Known holes in what we depend on: Python's packages by `pip-audit`, the console's by `npm audit`. Both ask a vulnerability service. Exit 1 when there is
one, 3 when no service could be reached.

python tools/audit.py [--if-reachable]    with it (CI): no service is told, and is no failure
"""

import json
import subprocess
import sys
from pathlib import Path

import build_web

ROOT = Path(__file__).resolve().parent.parent
SERVICES = ("pypi", "osv")
LIMIT_S = 180


def main() -> int:
    found = {"Python's packages": python(), "the console's packages": console()}
    for what, holes in found.items():
        for line in holes or ():
            print(line)
        print(
            f"known holes in {what}: "
            + ("NOT looked up, since no vulnerability service could be reached" if holes is None else str(len(holes)))
        )
    if any(found.values()):
        return 1
    return 3 if None in found.values() and "--if-reachable" not in sys.argv else 0


def python() -> list[str] | None:
    """A line for each hole; None: no service answers."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "pip-audit>=2.9,<3"]
    subprocess.run(pip, check=True)
    tool = [
        sys.executable,
        "-m",
        "pip_audit",
        "--requirement",
        str(ROOT / "constraints.txt"),
        "--no-deps",
        "--disable-pip",
        "--format",
        "json",
    ]
    for service in SERVICES:
        try:
            done = subprocess.run(
                [*tool, "--vulnerability-service", service, "--timeout", "10", "--progress-spinner", "off"],
                check=False, capture_output=True, text=True, timeout=LIMIT_S,
            )  # fmt: skip
            return by_pip(done.stdout)
        except (subprocess.TimeoutExpired, ValueError):
            print(f"{service}: no answer")
    return None


def console() -> list[str] | None:
    """What is sent to a browser, by the lock alone; as `python`."""
    _, npm, env = build_web.node()
    try:
        done = subprocess.run(
            [*npm, "audit", "--json", "--omit=dev", "--package-lock-only"],
            check=False, capture_output=True, text=True, timeout=LIMIT_S, cwd=build_web.WEB, env=env,
        )  # fmt: skip
        return by_npm(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        print("npm: no answer")
        return None


def by_pip(text: str) -> list[str]:
    """Raises: ValueError for what is no report, or one in which something was skipped."""
    packages = json.loads(text)["dependencies"]
    if skipped := [p["name"] for p in packages if "skip_reason" in p]:
        raise ValueError(f"skipped: {', '.join(skipped)}")
    return [
        f"{p['name']} {p['version']}: {v['id']}, mended in {', '.join(v['fix_versions']) or 'no version'}"
        for p in packages
        for v in p["vulns"]
    ]


def by_npm(text: str) -> list[str]:
    """Raises: ValueError for what is no report."""
    report = json.loads(text)
    if "vulnerabilities" not in report:
        raise ValueError(report.get("message") or "no report")
    return [
        f"{name} {why['range']}: {why['title']} ({why['severity']}), {why['url']}"
        for name, about in sorted(report["vulnerabilities"].items())
        for why in about["via"]
        if isinstance(why, dict)  # else it is named there: a package below this one
    ]


if __name__ == "__main__":
    raise SystemExit(main())
