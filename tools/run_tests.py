"""All tests: first those that may share the machine, in parallel; then those that measure or break servers, alone. Exit 1 when any fails.

A few that fail beside others (`AGAIN_MAX`) are run once more by themselves, with the reason in the output above: servers on a machine that others load
start late, plan otherwise, lose a race. What passes then is named at the end as a doubt to look at, and doesn't stop a landing. Tests of `PURE` have no
server and no clock: what failed there has failed.

`--coverage` (`make coverage`): which lines run is counted in the first ones, with the processes that they start (`lines/counted.py`), and each of its packages
must have `FLOOR` percent of its lines run. A selection of tests says nothing of the whole: its figures are told with the lines that it misses.
"""

import io
import json
import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

LINES = Path(__file__).parent / "lines"
sys.path.insert(0, str(LINES))

import counted  # noqa: E402  # it stands beside what Python itself looks for under a name

FLOOR = 95.0
PURE = tuple(f"tests/{name}/" for name in ("analytics", "dmn", "events", "feel", "formats", "kernel", "model", "tidy"))
AGAIN_MAX = 3


def main() -> int:
    given = sys.argv[1:]
    extra = [a for a in given if a != "--coverage"]
    covered = "--coverage" in given
    # one seed for all processes of a run, or they meet the cases of a set in another order each and the run stops before it began
    os.environ.setdefault("PYTHONHASHSEED", str(secrets.randbelow(1 << 32)))
    print(f"== PYTHONHASHSEED={os.environ['PYTHONHASHSEED']}", flush=True)
    tests = ["-m", "pytest", "-q", *extra]
    print("== tests that share the machine", flush=True)
    workers = os.environ.get("TEST_WORKERS", "2")
    with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryDirectory() as lines:
        kept = ["-o", f"cache_dir={cache}"]
        first = subprocess.run(
            [sys.executable, *tests, *kept, "-n", workers, "--dist", "loadfile", "-m", "not alone"],
            check=False,
            env=below(lines if covered else ""),
        ).returncode
        failed = failures(Path(cache)) if first == 1 else []
        enough = not covered or coverage(Path(lines), whole=not extra, told=True)
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


def below(lines: str) -> dict[str, str]:
    """The environment of tests of which it is counted into the folder `lines` what runs."""
    if not lines:
        return {**os.environ}
    path = os.pathsep.join(filter(None, (str(LINES), os.environ.get("PYTHONPATH"))))
    return os.environ | {"COUNTED_LINES": lines, "PYTHONPATH": path}


def coverage(lines: Path, *, whole: bool, told: bool) -> bool:
    """The figures; False when one is below the floor (of a selection of tests none is). `told`: with the lines that nothing ran."""
    from coverage import Coverage, CoverageData

    found = CoverageData(basename=str(lines / "all"))
    found.add_lines(counted.met([lines]))
    found.touch_files(
        [str(each) for name in counted.PACKAGES for each in Path(name).resolve().rglob("*.py")]
    )  # what nothing ran counts as well
    found.write()
    data = Coverage(data_file=found.base_filename())
    data.load()
    print("== lines run by these tests, of those that decide, record and show", flush=True)
    if told:
        data.report(skip_covered=True, sort="cover", show_missing=True)
    enough = True
    for name in counted.PACKAGES:
        percent = data.report(include=[f"{name}/*"], file=io.StringIO())
        short = whole and percent < FLOOR
        enough = enough and not short
        print(f"{name:12} {percent:5.1f} %" + (f", at least {FLOOR} % are asked for" if short else ""), flush=True)
    return enough


if __name__ == "__main__":
    raise SystemExit(main())
