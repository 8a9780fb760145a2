"""Plug-ins: which are installed, and what of them this process has (docs/plugins.md).

Found by entry points of the groups below. A plug-in that can't be taken is reported and left out: the server starts without it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from flowledger import plugin as p
from flowledger.plugins.unfit import TEXT_MAX, Unfit

#: group -> the kind of part that belongs there
GROUPS: dict[str, type] = {
    "flowledger.assignment": p.Strategy,
    "flowledger.blobs": p.BlobStore,
    "flowledger.connectors": p.Connector,
    "flowledger.feel": p.Function,
    "flowledger.secrets": p.SecretProvider,
    "flowledger.steps": p.StepType,
    "flowledger.triggers": p.Source,
}
#: an import that takes longer is left alone (seconds)
IMPORT_S = 10.0
#: parts that one entry point may give
PARTS_MAX = 200


@dataclass(slots=True)
class Plugin:
    """One entry point. `error`: why nothing of it is there; empty: all `parts` are."""

    group: str
    name: str
    distribution: str
    version: str
    parts: list[Any] = field(default_factory=list)
    error: str = ""

    @property
    def provides(self) -> list[str]:
        return [p.name_of(part) for part in self.parts]

    @property
    def told(self) -> str:
        return f"the plug-in {self.name} of {self.distribution} ({self.group}) isn't used: {self.error}"


_loaded: list[Plugin] | None = None
_lock = threading.Lock()


def load(which: Sequence[str] = ("all",)) -> list[Plugin]:
    """Take them, once in a process. `which`: names of distributions, `all`, or `none`."""
    global _loaded  # noqa: PLW0603 - registries are those of the process, and so is what stands in them
    with _lock:
        if _loaded is None:
            _loaded = [] if tuple(which) == ("none",) else read(which)
            for part in [part for plugin in _loaded for part in plugin.parts]:
                from flowledger.plugins.install import install  # what it needs costs nobody who has no plug-ins

                install(part)
        return _loaded


def present() -> list[Plugin]:
    """What `load` has found in this process."""
    return list(_loaded or ())


def told() -> list[str]:
    """What is wrong with those that were to be taken, for health."""
    return [plugin.told for plugin in _loaded or () if plugin.error]


def installed() -> list[EntryPoint]:
    """Those of all distributions, not looked at."""
    return [point for group in GROUPS for point in entry_points(group=group)]


def read(which: Sequence[str] = ("all",), points: Iterable[EntryPoint] | None = None) -> list[Plugin]:
    """Those that are installed, imported and looked at, but not in any registry."""
    wanted = None if "all" in which else {_plain(name) for name in which}
    out: list[Plugin] = []
    for point in sorted(installed() if points is None else points, key=lambda e: (e.group, e.name, e.dist.name if e.dist else "")):
        distribution, version = (point.dist.name, point.dist.version) if point.dist is not None else ("", "")
        if wanted is None or _plain(distribution) in wanted:
            out.append(_read(point, Plugin(point.group, point.name, distribution, version)))
    _alone(out)
    return out


def _plain(name: str) -> str:
    """As PEP 503 compares names of distributions."""
    return "-".join(name.lower().replace("_", "-").replace(".", "-").split("-"))


def _read(point: EntryPoint, plugin: Plugin) -> Plugin:
    from flowledger.plugins.install import check, taken

    try:
        given = _imported(point)
        parts = list(given) if isinstance(given, (list, tuple)) else [given]
        if not 1 <= len(parts) <= PARTS_MAX:
            raise Unfit(f"expected 1 to {PARTS_MAX} parts, found {len(parts)}")
        for given_part in parts:
            part = check(given_part)
            if not isinstance(part, GROUPS[point.group]):
                raise Unfit(f"{p.name_of(part)} is a {type(part).__name__}, expected {GROUPS[point.group].__name__}")
            if taken(part):
                raise Unfit(f"{p.name_of(part)} is a name of Flowledger's own")
        plugin.parts = parts
    except Unfit as e:
        plugin.error = str(e)
    except Exception as e:  # noqa: BLE001 - foreign code, looked at for the first time
        plugin.error = f"{type(e).__name__}: {e}"[:TEXT_MAX]
    return plugin


def _imported(point: EntryPoint) -> Any:
    """Raises: what the import raises; Unfit when it takes too long."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append((point.load(), None))
        except BaseException as e:  # noqa: BLE001 - `sys.exit` in a module is a wrong module, too
            found.append((None, e))

    thread = threading.Thread(target=run, name=f"plug-in {point.name}", daemon=True)
    thread.start()
    thread.join(IMPORT_S)
    if not found:
        raise Unfit(f"its import took longer than {IMPORT_S:g} s")
    value, error = found[0]
    if error is not None:
        raise Unfit(f"its import failed: {type(error).__name__}: {error}"[:TEXT_MAX])
    return value


def _alone(plugins: list[Plugin]) -> None:
    """Of two with one name neither is taken: which came first would be chance."""
    owners: dict[tuple[str, str], list[Plugin]] = {}
    for plugin in plugins:
        aliases = [alias for part in plugin.parts if isinstance(part, p.Connector) for alias in part.connector.aliases]
        for name in plugin.provides + aliases:
            owners.setdefault((plugin.group, name), []).append(plugin)
    for (_, name), several in owners.items():
        if len(several) > 1:
            for plugin in several:
                others = ", ".join(sorted(f"{o.name} of {o.distribution}" for o in several if o is not plugin)) or "itself"
                plugin.error = plugin.error or f"{name} is a name of {others} as well"
    for plugin in plugins:
        if plugin.error:
            plugin.parts = []
