"""Known holes in what we depend on, by `pip-audit`, which asks a vulnerability service. Exit 1 when there is one, 3 when no service could be reached.

python tools/audit.py [--if-reachable]    with it (CI): no service is told, and is no failure
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SERVICES = ("pypi", "osv")
LIMIT_S = 180


def main() -> int:
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
    said = []
    for service in SERVICES:
        try:
            done = subprocess.run(
                [*tool, "--vulnerability-service", service, "--timeout", "10", "--progress-spinner", "off"],
                check=False, capture_output=True, text=True, timeout=LIMIT_S,
            )  # fmt: skip
            found = holes(done.stdout)
        except (subprocess.TimeoutExpired, ValueError):
            said.append(f"{service}: no answer")
            continue
        for line in found:
            print(line)
        print(f"known holes by {service}: {len(found)}")
        return 1 if found else 0
    print(f"known holes: NOT looked up, since no vulnerability service could be reached ({', '.join(said)})")
    return 0 if "--if-reachable" in sys.argv else 3


def holes(text: str) -> list[str]:
    """A line for each hole. Raises: ValueError for what is no report, or one in which something was skipped."""
    packages = json.loads(text)["dependencies"]
    if skipped := [p["name"] for p in packages if "skip_reason" in p]:
        raise ValueError(f"skipped: {', '.join(skipped)}")
    return [
        f"{p['name']} {p['version']}: {v['id']}, mended in {', '.join(v['fix_versions']) or 'no version'}"
        for p in packages
        for v in p["vulns"]
    ]


if __name__ == "__main__":
    raise SystemExit(main())
