"""What a bundle would change on a server: rows to be shown, and steps to be taken in their order. Pure.

A definition is the same on both sides when the bytes of its resource are; versions are counted by each server for itself. What the server has already, as an
older version, isn't deployed again: it becomes the default. Of what the bundle doesn't say nothing is changed.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import msgspec

from flowledger.infra.cli.bundles.content import Bundle, Name, Resource
from flowledger.infra.cli.bundles.environment import Serving, There
from flowledger.kernel.handlers.deployable import binds_together

ADDED, CHANGED, EQUAL, GONE = "added", "changed", "equal", "gone"


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One rollout: of a definition by one of its keys (empty: of what is deployed by then), as the API takes it; `version` 0: the one that is deployed.
    Of a trigger also `{"move": "pause" | "resume"}`."""

    kind: str
    id: str
    key: str
    body: dict[str, Any]


class Row(msgspec.Struct, omit_defaults=True):
    """`change`: added, changed, equal, gone. `here`: the server's version that is compared with; `then`: what is to happen, in words. `resource`: the file."""

    kind: str
    id: str
    change: str
    name: str = ""
    resource: str = ""
    here: int | None = None
    then: list[str] = []
    notes: list[str] = []
    changes: list[dict[str, Any]] = []


class Plan(msgspec.Struct):
    rows: list[Row]
    before: list[Step]
    deploy: list[Resource]
    after: list[Step]

    @property
    def empty(self) -> bool:
        return not (self.before or self.deploy or self.after)

    @property
    def hash(self) -> str:
        """Over all that it would do, and to what."""
        told = [
            [(r.kind, r.id, r.change, r.here, r.then) for r in self.rows],
            self.before,
            [(r.name, r.hash) for r in self.deploy],
            self.after,
        ]
        return hashlib.blake2b(msgspec.json.encode(told, order="deterministic"), digest_size=12).hexdigest()


def made(bundle: Bundle, there: dict[Name, Serving], prune: bool = False) -> Plan:
    """`prune`: the bundle says which processes can be started, and which triggers run: those that it doesn't have are stopped, those that it has are open."""
    plan = Plan([], [], [], [])
    wanted: dict[str, Resource] = {}
    for key, (defined, resource) in bundle.definitions.items():
        one = _One(plan, bundle, key, resource, there.get(key), prune)
        one.row.name = defined.name
        one.look()
        if one.new:
            wanted[resource.name] = resource
        plan.rows.append(one.row)
    _along(plan, bundle, wanted)
    plan.deploy = [wanted[name] for name in sorted(wanted)]
    for key, serving in there.items():
        if key not in bundle.definitions:
            plan.rows.append(_gone(plan, key, serving, prune))
    plan.rows.sort(key=lambda r: (r.kind, r.id))
    return plan


def _along(plan: Plan, bundle: Bundle, wanted: dict[str, Resource]) -> None:
    """What is bound to its own deployment finds what it names there only when that is deployed along, though it is the same."""
    rows = {(r.kind, r.id): r for r in plan.rows}
    left = [r for r in wanted.values() if binds_together(r.content)]
    while left:
        text = left.pop().content
        for key, (_, resource) in bundle.definitions.items():
            if resource.name not in wanted and re.search(rf"""["']{re.escape(key[1])}["']|:\s*{re.escape(key[1])}\s""", text):
                wanted[resource.name] = resource
                left += [resource] if binds_together(resource.content) else []
        for key, (_, resource) in bundle.definitions.items():
            if resource.name in wanted and not rows[key].then:
                rows[key].then.append("deploy along")


class _One:
    """One definition of the bundle."""

    def __init__(self, plan: Plan, bundle: Bundle, key: Name, resource: Resource, serving: Serving | None, prune: bool) -> None:
        self.plan, self.key, self.serving, self.prune = plan, key, serving, prune
        self.setting = bundle.settings.get(key)
        hash = resource.hash
        self.versions = serving.versions if serving is not None else []
        self.meant = serving.meant if serving is not None else None
        self.same = self._same(hash)
        self.new = self.same is None
        change = ADDED if self.meant is None else EQUAL if self.meant.hash == hash else CHANGED
        self.row = Row(*key, change, resource=resource.name, here=self.meant.version if self.meant else None)

    def _same(self, hash: str) -> There | None:
        """The version that has it: the one in service before others, then the newest."""
        if self.meant is not None and self.meant.hash == hash:
            return self.meant
        return next((v for v in self.versions if v.hash == hash and v.status == "published"), None)

    def look(self) -> None:
        share = self.setting.share if self.setting is not None else None
        if self.new:
            self.row.then.append("deploy")
        self._opened()
        self._resumed()
        others = any(v.open for v in self.versions if self.same is None or v.version != self.same.version)
        if share is not None and share < 100 and others:
            self._ramp(share)
        elif self.same is None or self.same.open or self._opens:
            self._default()
        if self.setting is not None and self.setting.stopped and (self.same is None or not self.same.stopped):
            self._after({"stop_starts": True}, "stop new starts of it")

    @property
    def _opens(self) -> bool:
        return self.prune and self.same is not None and self.same.stopped and not (self.setting is not None and self.setting.stopped)

    def _opened(self) -> None:
        if self._opens:
            self._after({"stop_starts": False}, "new starts again")
        elif self.same is not None and self.same.stopped and not (self.setting is not None and self.setting.stopped):
            self.row.notes.append(f"new starts of version {self.same.version} are stopped there, and stay so")

    def _resumed(self) -> None:
        if self.serving is None or not self.serving.paused:
            return
        if self.prune:
            self.plan.after.append(Step(*self.key, "", {"move": "resume"}))
            self.row.then.append("resume it")
        else:
            self.row.notes.append("it is paused there, and stays so")

    def _ramp(self, share: float) -> None:
        serving, same = self.serving, self.same
        assert serving is not None
        if same is not None and serving.ramp == (same.version, share):
            return
        if same is not None and not share and same.version != serving.default and (serving.ramp or (0, 0))[0] != same.version:
            return  # it gets none
        if same is not None and not same.open and not self._opens:
            return
        if serving.pinned is None and same is None and (default := serving.version(serving.default)) is not None:
            # else it would be the default from its deployment until its share is said
            self.plan.before.append(Step(*self.key, default.key, {"version": default.version, "default": True}))
            self.row.then.insert(0, f"pin version {default.version}")
        if same is not None and serving.pinned == same.version:
            self.row.notes.append(f"version {same.version} is the default there already, and gets more than its share")
            return
        self._after({"share": share}, f"{share:g} % of new starts")

    def _default(self) -> None:
        """The bundle's version is to be in force, alone."""
        serving, same = self.serving, self.same
        if serving is None:
            return
        if same is None:
            if serving.pinned is not None or serving.ramp is not None:
                self._after({"default": True}, "make it the default")
        elif serving.default != same.version or serving.ramp is not None:
            if self._opens and serving.pinned is None and serving.ramp is None and same.version == max(v.version for v in serving.versions):
                return  # it is the default once it is open
            self._after({"default": True}, f"make version {same.version} the default")

    def _after(self, body: dict[str, Any], words: str) -> None:
        same = self.same
        self.plan.after.append(Step(*self.key, same.key if same else "", {"version": same.version if same else 0, **body}))
        self.row.then.append(words)


def _gone(plan: Plan, key: Name, serving: Serving, prune: bool) -> Row:
    meant = serving.meant
    row = Row(*key, GONE, name=serving.name, resource=meant.resource if meant else "", here=meant.version if meant else None)
    if prune and key[0] == "process" and any(v.open for v in serving.versions):
        plan.after.append(Step(*key, serving.versions[0].key, {"stop_starts": True}))
        row.then.append("stop new starts of all versions")
    elif prune and key[0] == "trigger" and not serving.paused:
        plan.after.append(Step(*key, "", {"move": "pause"}))
        row.then.append("pause it")
    elif prune and key[0] not in ("process", "trigger"):
        row.notes.append("it stays in force: only processes and triggers are stopped")
    return row
