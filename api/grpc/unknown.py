"""What a newer client says and this release doesn't understand: refused, not dropped, since it may change what a call means (a result that
denies, a process that is to end early)."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from flowledger.api.grpc.status import invalid

#: calls of later protocols (8.7, 8.8): (call, number of the field) -> its name
LATER = {
    ("CompleteJob", 3): "result",
    ("CreateProcessInstance", 8): "runtimeInstructions",
    ("CreateProcessInstance", 9): "tags",
}


def refuse_unknown(call: str, request: Any) -> None:
    """Raises: Refused(INVALID_ARGUMENT)."""
    if call == "Topology" or not isinstance(request, Message):  # it changes nothing; a health check is a class of ours
        return
    unknown = UnknownFieldSet(request)
    if call == "CreateProcessInstanceWithResult" and not len(unknown):
        call, unknown = "CreateProcessInstance", UnknownFieldSet(request.request)
    if len(unknown):
        number = unknown[0].field_number
        name = LATER.get((call, number), f"number {number}")
        raise invalid(call, f"Expected no fields but those of the protocol of Zeebe 8.6, but the field '{name}' was given")
