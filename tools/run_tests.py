"""All tests: first those that may share the machine, in parallel; then those that measure or break servers, alone. Exit 1 when any fails.

A few that fail beside others (`AGAIN_MAX`) are run once more by themselves, with the reason in the output above: servers on a machine that others load
start late, plan otherwise, lose a race. What passes then is named at the end as a doubt to look at, and doesn't stop a landing. Tests of `PURE` have no
server and no clock: what failed there has failed.

`--coverage` (`make coverage`): the first ones run below coverage.py, with the processes that they start, and each of `PACKAGES` must have `FLOOR`
percent of its lines run. On Python 3.12 and newer that costs little (`sys.monitoring`); before it the kernel's tests take 2.7 times the processor.
"""

import io
import json
import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGES = ("events", "kernel", "analytics", "processors", "projections")
FLOOR = 95.0
PURE = tuple(f"tests/{name}/" for name in ("analytics", "dmn", "events", "feel", "formats", "kernel", "model", "tidy"))
AGAIN_MAX = 3


def main() -> int:
    given = sys.argv[1:]
    extra = [a for a in given if a != "--coverage"]
    covered = "--coverage" in given
    if covered and sys.version_info >= (3, 12):
        os.environ.setdefault("COVERAGE_CORE", "sysmon")
    below = ["-m", "coverage", "run"] if covered else []
    # one seed for all processes of a run, or they meet the cases of a set in another order each and the run stops before it began
    os.environ.setdefault("PYTHONHASHSEED", str(secrets.randbelow(1 << 32)))
    print(f"== PYTHONHASHSEED={os.environ['PYTHONHASHSEED']}", flush=True)
    tests = ["-m", "pytest", "-q", *extra]
    if covered:
        subprocess.run([sys.executable, "-m", "coverage", "erase"], check=True)
    print("== tests that share the machine", flush=True)
    workers = os.environ.get("TEST_WORKERS", "2")
    with tempfile.TemporaryDirectory() as cache:
        kept = ["-o", f"cache_dir={cache}"]
        first = subprocess.run(
            [sys.executable, *below, *tests, *kept, "-n", workers, "--dist", "loadfile", "-m", "not alone"], check=False
        ).returncode
        failed = failures(Path(cache)) if first == 1 else []
    enough = not covered or coverage(whole=not extra)  # a selection of tests says nothing of the whole
    print("== tests that need it for themselves", flush=True)
    second = subprocess.run([sys.executable, *tests, "-m", "alone"], check=False).returncode
    doubts = failed if may_again(failed) and subprocess.run([sys.executable, *tests, *failed], check=False).returncode == 0 else []
    for name in doubts:
        print(f"== passed only by itself, look at it: {name}", flush=True)
    return 0 if (first == 0 or doubts) and second in (0, 5) and enough else 1


def failures(cache: Path) -> list[str]:
    """Names of the tests that have failed."""
    found = cache / "v/cache/lastfailed"
    return sorted(json.loads(found.read_text())) if found.exists() else []


def may_again(failed: list[str]) -> bool:
    return 0 < len(failed) <= AGAIN_MAX and not any(name.startswith(PURE) or "::" not in name for name in failed)


def coverage(whole: bool) -> bool:
    """The figures; False when one is below the floor (of a selection of tests none is)."""
    from coverage import Coverage

    data = Coverage()
    data.combine()
    data.save()
    print("== lines run by these tests, of those that decide, record and show", flush=True)
    data.report(skip_covered=True, sort="cover", show_missing=True)
    enough = True
    for name in PACKAGES:
        percent = data.report(include=[f"{name}/*"], file=io.StringIO())
        short = whole and percent < FLOOR
        enough = enough and not short
        print(f"{name:12} {percent:5.1f} %" + (f", at least {FLOOR} % are asked for" if short else ""), flush=True)
    return enough


if __name__ == "__main__":
    raise SystemExit(main())
