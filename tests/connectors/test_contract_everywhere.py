"""Which connector is held to which case of the contract (`contract.py`). A new one lacks its row, or a cell, until it has a rig, or stands here with the reason."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

from flowledger.connectors.catalogue import CONFIGS
from tests.connectors.contract import Contract, Rig

HERE = Path(__file__).parent
#: connector -> why nothing is called by way of a network
CALLS_NOBODY = {
    "document": "makes a file of a template and values: test_document_connector.py",
    "javascript": "runs a script in a process of its own, without a network: test_javascript_connector.py",
    "report": "reads our own rows: test_report_connector.py",
}
#: connector -> why no credential is shown, rotated, or wrong in its contract
SHOWS_NONE = dict.fromkeys(
    ("sns", "sqs"), "moto looks at no signature; `lambda` and `s3`, signed by the same lines, are held to stubs that do"
)
#: connector -> why its answers are never too large
ANSWERS_SHORTLY = dict.fromkeys(
    ("amqp", "cloudtasks", "email", "ibmmq", "kafka", "notify", "pubsub", "rabbitmq", "servicebus", "sns", "sqs"), "it gets a receipt"
)


def rigs() -> dict[str, set[type[Rig]]]:
    """Connector -> its rigs, of modules whose tests inherit the contract."""
    found: dict[str, set[type[Rig]]] = {}
    for path in sorted(HERE.glob("test_*.py")):
        if "Contract" not in path.read_text():
            continue
        module = importlib.import_module(f"tests.connectors.{path.stem}")
        kinds = [k for _, k in inspect.getmembers(module, inspect.isclass)]
        if any(issubclass(k, Contract) and k is not Contract for k in kinds) or "Contract.test_" in path.read_text():
            for kind in kinds:
                if issubclass(kind, Rig) and kind.connector:
                    found.setdefault(kind.connector, set()).add(kind)
    return found


def test_each_connector_has_its_row_and_its_cells():
    table = rigs()
    assert CONFIGS.keys() - table.keys() == CALLS_NOBODY.keys()
    shown = {name for name, kinds in table.items() if any(k.secret_at for k in kinds)}
    assert table.keys() - shown == SHOWS_NONE.keys()
    large = {name for name, kinds in table.items() if any(k.big is not Rig.big for k in kinds)}
    assert table.keys() - large == ANSWERS_SHORTLY.keys()
    assert all(k.effects is not Rig.effects for kinds in table.values() for k in kinds if not inspect.isabstract(k))
