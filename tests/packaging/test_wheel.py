"""The wheel: it carries what is tracked and nothing else, and works where the repository isn't."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SDK_ONLY = ("msgspec", "lxml", "tzdata", "httpx2", "httpcore2", "grpclib", "multidict", "h2", "hpack", "hyperframe", "google", "websockets", "psutil",
            "anyio", "idna", "certifi", "h11", "sniffio", "truststore", "typing_extensions")  # fmt: skip
KERNEL_RUN = """
from importlib import resources
import flowledger
assert "site-packages" in flowledger.__file__, flowledger.__file__
from flowledger.sdk.testing import Engine, assert_that
engine = Engine()
engine.deploy(str(resources.files("flowledger") / "examples" / "order.bpmn"))
for job, answer in {"order.check": {"checked": True}, "stock.reserve": {}, "payment.charge": {}, "order.ship": {"tracking": "T-1"}}.items():
    engine.on_job(job, answer)
run = engine.start("order", {"order_id": "7", "customer": "ann", "amount": 50, "items": [{"sku": "cup", "quantity": 2}]})
assert_that(run).is_completed().has_variables(tracking="T-1")
"""


def run(*command: Any, **more: Any) -> str:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=240, **more)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no checkout: what is tracked isn't known")
    return [name for name in run("git", "ls-files", "-z", cwd=ROOT).split("\0") if name and os.path.lexists(ROOT / name)]


@pytest.fixture(scope="module")
def wheel(tracked: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the tracked files, as on a fresh checkout."""
    place = tmp_path_factory.mktemp("wheel")
    for name in tracked:
        (place / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, place / "tree" / name, follow_symlinks=False)
    built = ROOT / "web" / "dist"
    if not (built / "index.html").exists():
        run(sys.executable, ROOT / "tools" / "build_web.py")
    env = {**os.environ, "FLOWLEDGER_CONSOLE_DIST": str(built)}
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", place / "dist", cwd=place / "tree", env=env)
    [built] = (place / "dist").glob("*.whl")
    return built


def environment(place: Path, wheel: Path, wanted: tuple[str, ...] = ()) -> Path:
    """A fresh environment with the wheel, and the libraries of ours (those `wanted`, or all) without our checkout. Returns its folder of programs."""
    venv.EnvBuilder(with_pip=False).create(place / "env")
    python = place / "env" / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel)
    libraries = place / "libraries"
    libraries.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        name = re.split(r"[-.]", entry.name)[0].lower()
        ours = "flowledger" in entry.name or entry.suffix == ".pth"
        if not ours and (not wanted or name.removeprefix("_") in wanted):
            (libraries / entry.name).symlink_to(entry)
    inside = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (inside / "libraries.pth").write_text(f"{libraries}\n")
    return python.parent


def clean(place: Path) -> dict[str, Any]:
    """Nothing of the test's own environment leads back to the checkout."""
    keep = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV") and not k.startswith("FLOWLEDGER_")}
    return {"cwd": place, "env": keep}


def test_the_wheel_carries_what_is_tracked_and_nothing_else(wheel, tracked):
    links = {p.name: os.readlink(p) for p in (ROOT / "src" / "flowledger").iterdir() if p.is_symlink()}
    assert all(target == f"../../{name}" for name, target in links.items()), links
    expected = {f"flowledger/{name.removeprefix('src/flowledger/')}" for name in tracked if name.startswith("src/flowledger/")}
    expected -= {f"flowledger/{name}" for name in links}
    expected |= {f"flowledger/{name}" for name in tracked if name.split("/")[0] in links}
    console = ROOT / "web" / "dist"
    expected |= {f"flowledger/console/{p.relative_to(console)}" for p in console.rglob("*") if p.is_file() and p.name != ".built"}
    with zipfile.ZipFile(wheel) as z:
        found = {n for n in z.namelist() if not n.endswith("/")}
        entry_points = next(z.read(n).decode() for n in found if n.endswith("entry_points.txt"))
    carried = {n for n in found if ".dist-info/" not in n}
    assert carried - expected == set(), "nothing is in the wheel that isn't tracked"
    assert expected - carried == set(), "nothing is missing in the wheel"
    assert any(n.endswith("licenses/LICENSE") for n in found) and "flowledger = flowledger.__main__:main" in entry_points


def test_an_installed_wheel_works_without_the_repository(wheel, tmp_path):
    programs, where = environment(tmp_path, wheel), clean(tmp_path)
    run(programs / "python", "-c", KERNEL_RUN, **where)
    said = run(programs / "flowledger", "--help", **where)
    assert "Usage" in said and "serve" in said and "audit" in said


def test_the_sdk_of_an_installed_wheel_needs_its_own_libraries_only(wheel, tmp_path):
    programs, where = environment(tmp_path, wheel, SDK_ONLY), clean(tmp_path)
    code = """
import importlib.util
import flowledger.sdk as s, flowledger.sdk.transports.stream, flowledger.sdk.transports.poll
assert "site-packages" in s.__file__
s.Client("http://127.0.0.1:1"); s.Worker("http://127.0.0.1:1"); s.Worker("poll+http://127.0.0.1:1")
there = [n for n in ("litestar", "uvicorn", "psycopg", "aiokafka", "structlog", "pydantic", "prometheus_client") if importlib.util.find_spec(n)]
assert not there, there
print("fine")
"""
    assert run(programs / "python", "-c", code, **where).strip() == "fine"
