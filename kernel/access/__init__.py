"""The gate: before any handler, whose thing a command is about is compared with who asks. See `gate.admit`."""

from flowledger.kernel.access.gate import admit
from flowledger.kernel.access.rights import ANY_TENANT, OPERATOR, SIGNED_IN

__all__ = ["ANY_TENANT", "OPERATOR", "SIGNED_IN", "admit"]
