"""What a release is made of, as CycloneDX 1.6 (JSON): the package, what it needs installed here, and what its console is built of.

python tools/sbom.py [FILE]    to FILE, or stdout

Versions are those of this environment (`constraints.txt` pins them) and of `web/package-lock.json`; what only tests, tools and development need is left out.
The same inputs make the same bytes. By the standard library and `packaging` alone, so that it needs no registry.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import sys
import uuid
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.parse import quote

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
OURS = "flowledger"
#: what a server is installed with
EXTRAS = frozenset({"server", "connectors"})
LOCK = ROOT / "web" / "package-lock.json"
#: one word is an id of SPDX, anything longer an expression
_ID = re.compile(r"[A-Za-z0-9.+-]+")


def python_components() -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, list[str]]]:
    """Ourselves, all that we need when installed with `EXTRAS`, and reference -> references of what it needs."""
    found: dict[str, Distribution] = {}
    needs: dict[str, list[str]] = {}
    todo: list[tuple[str, frozenset[str]]] = [(OURS, EXTRAS)]
    seen: set[tuple[str, frozenset[str]]] = set()
    while todo:
        name, extras = todo.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue  # for another system or Python
        for text in found[name].requires or ():
            r = Requirement(text)
            if r.marker is not None and not any(r.marker.evaluate({"extra": extra}) for extra in extras | {""}):
                continue
            needed = canonicalize_name(r.name)
            needs.setdefault(name, []).append(needed)
            todo.append((needed, frozenset(r.extras)))
    parts = {name: _python(name, d) for name, d in sorted(found.items())}
    edges = {parts[n]["bom-ref"]: sorted({parts[m]["bom-ref"] for m in ms if m in parts}) for n, ms in needs.items() if n in parts}
    ours = parts.pop(OURS)
    return {**ours, "type": "application"}, list(parts.values()), edges


def _python(name: str, d: Distribution) -> dict[str, Any]:
    ref = f"pkg:pypi/{name}@{quote(d.version)}"
    part: dict[str, Any] = {"type": "library", "bom-ref": ref, "name": name, "version": d.version, "purl": ref}
    if summary := d.metadata.get("Summary"):
        part["description"] = summary
    named = d.metadata.get("License-Expression") or next(
        (c.rpartition(" :: ")[2] for c in d.metadata.get_all("Classifier") or () if c.startswith("License ::")), d.metadata.get("License") or ""
    )  # fmt: skip
    return part | _licences(named, expression=bool(d.metadata.get("License-Expression")))


def _licences(named: str, expression: bool) -> dict[str, Any]:
    line = named.strip().splitlines()[0][:200] if named.strip() else ""
    if not line:
        return {}
    if expression:
        try:
            line = canonicalize_license_expression(line)
            return {"licenses": [{"license": {"id": line}} if _ID.fullmatch(line) else {"expression": line}]}
        except InvalidLicenseExpression:
            pass  # a word of its own
    return {"licenses": [{"license": {"name": line}}]}


def console_components() -> list[dict[str, Any]]:
    """What the pages in the wheel are built of."""
    packages: dict[str, dict[str, Any]] = json.loads(LOCK.read_text())["packages"]
    out: dict[str, dict[str, Any]] = {}
    for path, row in packages.items():
        if not path or row.get("dev") or row.get("devOptional") or "version" not in row:
            continue
        name = path.rpartition("node_modules/")[2]
        ref = f"pkg:npm/{quote(name)}@{row['version']}"
        part: dict[str, Any] = {"type": "library", "bom-ref": ref, "name": name, "version": row["version"], "purl": ref}
        kind, _, digest = str(row.get("integrity", "")).partition("-")
        if kind == "sha512":
            part["hashes"] = [{"alg": "SHA-512", "content": base64.b64decode(digest).hex()}]
        out[ref] = part | _licences(str(row.get("license", "")), expression=True)
    return [out[ref] for ref in sorted(out)]


def bill() -> dict[str, Any]:
    ours, parts, edges = python_components()
    console = console_components()
    edges[ours["bom-ref"]] = sorted({*edges.get(ours["bom-ref"], []), *(p["bom-ref"] for p in console)})
    refs = [ours["bom-ref"], *(p["bom-ref"] for p in (*parts, *console))]
    made: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json", "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "metadata": {"component": ours}, "components": [*parts, *console],
        "dependencies": [{"ref": ref, "dependsOn": edges.get(ref, [])} for ref in refs],
    }  # fmt: skip
    made["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(made, sort_keys=True))}"
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description="What a release is made of, as CycloneDX 1.6 (JSON).")
    parser.add_argument("file", nargs="?", type=Path, help="stdout, when none is named")
    file = parser.parse_args().file
    text = json.dumps(bill(), indent=1, ensure_ascii=False) + "\n"
    if file:
        file.write_text(text)
    else:
        sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
