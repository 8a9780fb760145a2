"""Rights that a caller may bring along (`Request.rights`). Roles and policies are turned into these by whoever signs callers in."""

from __future__ import annotations

from flowledger.events.commands import Request

#: acts for whatever tenant a thing belongs to: the engine itself, and gateways whose protocol names no tenant with a key
ANY_TENANT = "tenants"
#: may move tasks that others hold
OPERATOR = "operator"
#: may deploy, change and delete rule packs
RULES = "rules"
#: has shown who it is: nothing is let pass because nobody knows who asks
SIGNED_IN = "signed-in"


def may(request: Request, right: str) -> bool:
    return request.rights is not None and right in request.rights
