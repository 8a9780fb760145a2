"""Each import rule of pyproject.toml is broken on purpose in a copy of the package, and found; no module stands outside of the layers."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
#: beginning of a rule's name -> a module of the package and an import that it may not have
BROKEN = {
    "the house": ("processors/log.py", "flowledger.api.app"),
    "adapters": ("infra/heads.py", "flowledger.projections.schema"),
    "doors": ("api/health.py", "flowledger.infra.log_sqlite"),
    "the SDK": ("sdk/client.py", "flowledger.processors.log"),
    "the kernel and the events": ("kernel/times.py", "asyncio"),
    "the kernel's floors": ("kernel/state.py", "flowledger.kernel.decide"),
    "the languages": ("kernel/feel/numbers.py", "flowledger.kernel.state"),
    "processors": ("processors/log.py", "sqlite3"),
}
#: data, and what each may import because it is nothing but names
NO_LAYER = {"schemas", "examples", "__init__", "py.typed", "__pycache__"}


def test_each_rule_has_its_violation():
    names = [c["name"] for c in CONTRACTS]
    assert all(sum(n.startswith(begin) for n in names) == 1 for begin in BROKEN) and len(names) == len(BROKEN)


def test_every_violation_is_found(tmp_path: Path):
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "examples", "deploy"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for module, name in BROKEN.values():
        with (tmp_path / "src" / "flowledger" / module).open("a") as file:
            file.write(f"\nimport {name}\n")
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "src"), "COLUMNS": "400"}
    tool = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(tool, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=240)
    assert done.returncode == 1, done.stdout + done.stderr
    for begin in BROKEN:
        line = next(x for x in done.stdout.splitlines() if x.startswith(begin))
        assert "BROKEN" in line, f"{line}\n{done.stdout}"


def test_no_module_stands_outside_of_the_layers():
    layers = " ".join(CONTRACTS[0]["layers"]).replace(":", " ").replace("|", " ").split()
    package = ROOT / "src" / "flowledger"
    for folder, prefix in ((package, "flowledger"), (package / "infra", "flowledger.infra")):
        for path in folder.iterdir():
            if path.stem in NO_LAYER or path.name in NO_LAYER or (path.is_dir() and not any(path.glob("*.py"))):
                continue
            name = f"{prefix}.{path.stem}"
            assert name in layers or name == "flowledger.infra", f"{name} stands in no layer of [tool.importlinter]"
