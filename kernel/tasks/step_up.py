"""Step-up: work of people that is marked is done by who has just shown their passkey for exactly that request.

`flowledger:task stepUp="true"` on a user task: to complete or skip it, or to throw an error from it, takes a fresh proof. A door that knows passkeys checks the
signature and sets the proof (`Origin.proof`); here it is held that there is one, of who asks, and not an old one, whatever door was taken. No right goes above it.
Source: APG-DIF-007; WebAuthn Level 3, 7.2 (what the door has checked).
"""

from __future__ import annotations

from typing import Any

from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel.state import Task

ATTRIBUTE = "stepUp"
#: how long a proof is fresh, and how far the clocks of a door and an owner may be apart (microseconds)
FRESH_US, SKEW_US = 300_000_000, 60_000_000


def marked(task: Task) -> bool:
    settings = (task.details or {}).get("settings")
    return isinstance(settings, dict) and settings.get(ATTRIBUTE) == "true"


def refuse(d: Any, task: Task, move: str) -> Rejected | None:
    """Why the actor can't do this without a proof, or with this one."""
    if task.details is None or task.listener or not marked(task) or not d.facts.step_up:
        return None
    if d.applying or d.request is None or d.request.dry_run:
        return None  # it was looked at when it came, and kept until now; or nothing happens
    if task.details.get("kind") == "hybrid" and task.worker:
        return None  # the agent's draft: a person confirms it, with a proof
    proof = d.request.origin.proof if d.request.origin is not None else None
    what = f"to {move} task {task.key} takes a fresh proof by a passkey"
    if proof is None:
        return Rejected(RejectionCode.STEP_UP_NEEDED, f"{what}, found none")
    if proof.actor != d.envelope.actor or not proof.credential:
        return Rejected(RejectionCode.STEP_UP_NEEDED, f"{what} of '{d.envelope.actor}', found one of '{proof.actor}'")
    age_us = d.facts.now_us - proof.at_us
    if not -SKEW_US <= age_us <= FRESH_US:
        return Rejected(RejectionCode.STEP_UP_NEEDED, f"{what}, found one that is {age_us // 1_000_000} seconds old")
    return None
