"""All tests: first those that may share the machine, in parallel; then those that measure or break servers, alone. Exit 1 when any fails."""

import os
import subprocess
import sys


def main() -> int:
    extra = sys.argv[1:]
    common = [sys.executable, "-m", "pytest", "-q", *extra]
    workers = os.environ.get("TEST_WORKERS", "2")
    print("== tests that share the machine", flush=True)
    first = subprocess.run([*common, "-n", workers, "--dist", "loadfile", "-m", "not alone"], check=False).returncode
    print("== tests that need it for themselves", flush=True)
    second = subprocess.run([*common, "-m", "alone"], check=False).returncode
    return 0 if first == 0 and second in (0, 5) else 1


if __name__ == "__main__":
    raise SystemExit(main())
