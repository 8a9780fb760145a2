"""`type: transfer` in a workflow of steps: money that the connector `bank` moves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowledger.plugin import Field, Job, StepType
from flowledger_bank.functions import iban_valid


def make(fields: Mapping[str, Any]) -> Job:
    to = fields["to"]
    if not to.lstrip().startswith("=") and not iban_valid(to):
        raise ValueError(f"expected an IBAN as 'to', found {to[:40]!r}")
    # the reference to the secret is the model's own text, so that the connector resolves it
    inputs = {"url": fields["bank"], "to": to, "amount": fields["amount"], "password": "{{secrets." + fields.get("account", "bank") + "}}"}
    return Job(type="flowledger:bank", inputs=inputs, headers={"resultVariable": "receipt"})


TRANSFER = StepType(
    api=1, name="transfer", doc="Moves money to an account", make=make,
    fields={
        "bank": Field(kind="text", required=True), "to": Field(kind="text", required=True), "amount": Field(kind="number", required=True),
        "account": Field(kind="text"),
    },
    example={"bank": "https://bank.example/transfers", "to": "DE89370400440532013000", "amount": 10, "account": "bank"},
)  # fmt: skip
