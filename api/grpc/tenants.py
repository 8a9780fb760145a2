"""Tenants in Zeebe's words."""

from __future__ import annotations

from flowledger.api.grpc.status import PERMISSION_DENIED, Refused
from flowledger.kernel.access import ANY_TENANT
from flowledger.processors.client import Caller

#: what Zeebe calls the tenant of those who name none; ours is the empty text
DEFAULT_TENANT = "<default>"


def tenant_of(tenant: str) -> str:
    return "" if tenant == DEFAULT_TENANT else tenant


def tenant_name(tenant: str) -> str:
    return tenant or DEFAULT_TENANT


class Foreign(Refused):
    """The request names a tenant that isn't the caller's."""


def for_tenant(caller: Caller, tenant: str) -> Caller:
    """The caller acting for the tenant that the request names. Whoever has a tenant of its own may name no other, and whoever has signed in
    only one of theirs.

    Raises: Refused (PERMISSION_DENIED)
    """
    tenant = tenant_of(tenant)
    if not tenant or tenant == caller.tenant:
        return caller
    if caller.tenants is not None:
        allowed = tenant in caller.tenants
    else:
        allowed = not caller.tenant or ANY_TENANT in (caller.rights or ())
    if not allowed:
        raise Foreign(PERMISSION_DENIED, f"Expected to handle gRPC request with tenant identifier '{tenant}', but tenant is not authorized")
    return Caller(caller.actor, tenant, caller.correlation, caller.trace, caller.groups, caller.rights, caller.tenants, caller.origin)
