"""No circle of modules: an import inside of a function or below `TYPE_CHECKING` counts as any other."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2] / "src"


def modules(root: Path) -> dict[str, Path]:
    """Name of module -> its file, for a package whose folders may be links."""
    found: dict[str, Path] = {}
    for folder in (p for p in root.iterdir() if p.is_dir()):
        for file in [*folder.glob("*.py")]:
            name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = file
        found |= modules(folder)
    return found


def imports(name: str, file: Path, known: set[str]) -> set[str]:
    """The modules that a module names; a package when a name comes from its `__init__`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {f"{node.module}.{a.name}" if f"{node.module}.{a.name}" in known else node.module for a in node.names}
    return (found & known) - {name}


def circle(graph: dict[str, set[str]]) -> list[str]:
    """The modules of one circle in the order of their imports, `[]` when there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_circle_of_modules():
    files = modules(ROOT)
    assert len(files) > 400
    graph = {name: imports(name, file, set(files)) for name, file in files.items()}
    found = circle(graph)
    assert not found, "a circle, each imported by the next: " + " -> ".join(found)


def test_a_circle_is_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})
    assert not circle({"a": {"b", "c"}, "b": {"c"}, "c": set()})
