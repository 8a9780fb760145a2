"""The job type `flowledger:bank`: one POST for each transfer, with the key by which a bank knows a repeated one."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field

from flowledger.connectors.frame import Call, Config, Failed
from flowledger.plugin import Connector


class BankConfig(Config):
    """Moves money by a bank's interface."""

    model_config = ConfigDict(title="Bank transfer")
    url: str = Field(description="Where the bank takes transfers")
    to: str = Field(description="IBAN of whom it goes to")
    amount: Decimal = Field(gt=0, description="How much")
    password: str = Field(description="A reference to a secret: {{secrets.NAME}}")


class Bank:
    name, job_type, aliases = "bank", "flowledger:bank", ("bank:transfer:1",)
    config = BankConfig

    async def call(self, config: BankConfig, call: Call) -> Any:
        call.target = urlsplit(config.url).netloc
        headers = {"authorization": f"Bearer {config.password}", "idempotency-key": call.key, "traceparent": call.trace}
        answer = await call.client.post(config.url, json={"to": config.to, "amount": str(config.amount)}, headers=headers)
        call.status = str(answer.status_code)
        if answer.status_code >= 400:
            raise Failed(call.status, f"the bank refused it ({call.status})", again=answer.status_code in (429, 502, 503, 504))
        return answer.json()


BANK = Connector(api=1, connector=Bank(), doc="Moves money by a bank's interface")
