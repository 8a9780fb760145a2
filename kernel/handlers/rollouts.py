"""Versions in service: which one new work is for (`kernel/rollouts.py`). Partition 0 decides, the others hear of it as they do of a deployment."""

from __future__ import annotations

from typing import Any

import msgspec

from flowledger.events import control as co
from flowledger.events import definition as de
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import lookup, rollouts
from flowledger.kernel.decision import Decision
from flowledger.kernel.handlers import arming, spreading, triggers
from flowledger.kernel.packs import gate
from flowledger.kernel.state import Definition, Rollout


def change(d: Decision, e: co.ChangeRollout) -> Rejected | None:
    p = d.state
    of = p.definitions.get(e.key)
    if of is None or of.deleted:
        return Rejected(RejectionCode.NOT_FOUND, f"expected a definition with key {e.key}, found none")
    if of.kind == "rules" and (refused := gate.strange(d)) is not None:
        return refused
    if wrong := _wrong(of, e):
        return Rejected(RejectionCode.INVALID_ARGUMENT, wrong)
    versions = p.process_versions[of.tenant, of.kind, of.id]
    about = of if e.version < 0 else lookup.of_version(p, of.tenant, of.kind, of.id, e.version)
    if about is None and e.version:
        known = ", ".join(map(str, sorted(versions)))
        return Rejected(RejectionCode.NOT_FOUND, f"expected a version of {of.kind} '{of.id}' ({known}), found {e.version}")
    old = rollouts.of(p, of.tenant, of.kind, of.id) or Rollout(tenant=of.tenant, kind=of.kind, id=of.id)
    new = _stops(d, old, about, e)
    if about is not None and (e.default or e.share > 0) and not rollouts.is_open(p, new, about.key):
        why = "its new starts are stopped" if about.key in new.stopped else f"it is {about.status}"
        return Rejected(RejectionCode.INVALID_STATE, f"expected an open version, found version {about.version} of '{of.id}': {why}")
    if e.default is not None:
        new = _replace(new, default=about.key if about is not None and e.default else 0, ramp=0, share=0)
    elif about is not None and e.share >= 0:
        ramped = _share(d, new, about, round(e.share * 100))
        if isinstance(ramped, Rejected):
            return ramped
        new = ramped
    before = rollouts.view(p, old)
    changed = msgspec.structs.asdict(new) != msgspec.structs.asdict(old)
    if changed:
        event = de.RolloutChanged(
            key=(about or of).key, kind=of.kind, id=of.id, default_key=new.default, ramp_key=new.ramp, share=new.share, stopped_keys=new.stopped,
            reason=e.reason,
        )  # fmt: skip
        apply(d, event)
        spreading.tell_others(d, [], [msgspec.structs.asdict(event)])
    after = rollouts.view(p, new)
    d.answer = {
        "key": (about or of).key, "id": of.id, "kind": of.kind, "changed": changed, **after, "before": before,
        "warnings": _words(d, of, before, after),
    }  # fmt: skip
    return None


def _wrong(of: Definition, e: co.ChangeRollout) -> str:
    if of.kind == "drg":
        return f"expected a process, a decision, a form or a trigger, found the requirements graph '{of.id}': its decisions have versions in force"
    if e.share < 0 and e.default is None and e.stop_starts is None:
        return "expected a share, a default or stop_starts, found none"
    if e.share >= 0 and e.default is not None:
        return "expected either a share or a default, found both: a default gets all"
    if e.share != -1 and not 0 <= e.share <= 100:  # also what is no number
        return f"expected a share of 0 to 100 %, found {e.share:g}"
    if of.kind != "process" and (e.share >= 0 or e.stop_starts is not None):
        return f"expected only a default, found more: a {of.kind} isn't started"
    if e.version < -1:
        return f"expected a version, or 0 for all of them, found {e.version}"
    if e.version == 0 and (e.share >= 0 or e.default):
        return "expected the version that it is about, found none"
    if e.default and e.stop_starts:
        return "expected a default whose starts are open, found stop_starts beside"
    return ""


def _replace(r: Rollout, **fields: Any) -> Rollout:
    return msgspec.structs.replace(r, **fields)


def _stops(d: Decision, r: Rollout, about: Definition | None, e: co.ChangeRollout) -> Rollout:
    definitions = d.state.definitions
    stopped = {key for key in r.stopped if not definitions[key].deleted}
    if e.stop_starts is not None:
        those = {about.key} if about is not None else set(d.state.process_versions[r.name].values())
        stopped = stopped | those if e.stop_starts else stopped - those
    return _replace(r, stopped=sorted(stopped))


def _share(d: Decision, r: Rollout, about: Definition, share: int) -> Rollout | Rejected:
    """The rest goes to the default; without one the version below is pinned, so that what is new gets no more than its share."""
    p = d.state
    versions = p.process_versions[r.name]
    if r.default == about.key:
        if not share:
            return Rejected(RejectionCode.INVALID_STATE, f"version {about.version} of '{r.id}' is the default: choose another one first")
        return Rejected(RejectionCode.INVALID_STATE, f"version {about.version} of '{r.id}' is the default already: it gets what is left")
    now = rollouts.in_force(p, r, versions)
    if not r.default and (share or (now is not None and now.key == about.key)):
        rest = rollouts.in_force(p, r, versions, but=about.key)
        if rest is None:
            return Rejected(
                RejectionCode.INVALID_STATE,
                f"expected another open version of '{r.id}' for the rest of new starts, found {about.version} alone",
            )
        r = _replace(r, default=rest.key)
    if share:
        return _replace(r, ramp=about.key, share=share)
    return _replace(r, ramp=0, share=0) if r.ramp == about.key else r


def apply(d: Decision, event: de.RolloutChanged) -> None:
    """On any partition: start events, and what a trigger reads, belong to the version that is in force."""
    p, tenant = d.state, d.envelope.tenant
    before = lookup.latest(p, tenant, event.kind, event.id)
    d.record(event)
    after = lookup.latest(p, tenant, event.kind, event.id)
    if event.kind == "process" and before is not after and (of := after or before) is not None:
        arming.open_starts(d, of)
    elif event.kind == "trigger" and before is not after:
        triggers.changed(d, tenant, event.id)


def _words(d: Decision, of: Definition, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What follows, for whoever looks before."""
    found = []
    if after["default"] != before["default"]:
        if after["default"] is None:
            found.append(f"no version of '{of.id}' is open: nothing starts it any more")
        else:
            was = "no version" if before["default"] is None else f"version {before['default']}"
            found.append(f"version {after['default']} is meant where none is named, instead of {was}")
            if of.kind == "process" and arming.start_nodes(
                d.facts.processes[d.state.process_versions[of.tenant, of.kind, of.id][after["default"]]]
            ):
                found.append(f"start events are those of version {after['default']} now; its timers count from now")
    if after["ramp"] != before["ramp"]:
        if before["ramp"] and (after["ramp"] or {}).get("version") != before["ramp"]["version"]:
            found.append(f"the share of version {before['ramp']['version']} ends")
        if after["ramp"]:
            found.append(
                f"{after['ramp']['share']:g} % of new starts go to version {after['ramp']['version']}, the rest to version {after['default']}"
            )
    ramp = after["ramp"]
    if ramp and ramp["version"] in after["stopped"]:
        found.append(f"version {ramp['version']} has a share, and its new starts are stopped: the default gets them")
    return found
