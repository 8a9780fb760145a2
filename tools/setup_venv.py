"""Make the virtual environment that both commands use. Needs only Python 3.11 or newer; works where `venv` has no `ensurepip`, too.

The versions come from `constraints.txt`, so that a fresh machine gets what was tested.
"""

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    if sys.version_info < (3, 11):
        raise SystemExit(f"expected Python 3.11 or newer, found {sys.version.split()[0]}: make PYTHON=python3.12 ...")
    where = Path(sys.argv[1] if len(sys.argv) > 1 else ".venv")
    python = where / "bin" / "python"
    if not python.exists():
        print(f"making {where} ...", flush=True)
        try:
            venv.EnvBuilder(with_pip=True).create(where)
        except (subprocess.CalledProcessError, SystemExit):
            raise SystemExit(
                "this Python has no ensurepip: install it (Debian: python3-venv) or use another Python: make PYTHON=..."
            ) from None
    if "--only-python" in sys.argv:
        return
    print("installing what Flowledger needs (once; a minute or two) ...", flush=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-c", str(ROOT / "constraints.txt"), "-e", f"{ROOT}[test]"], check=True)


if __name__ == "__main__":
    main()
