"""The reference models of the BPMN Model Interchange Working Group: all are read without loss of the flow."""

import os
from pathlib import Path

import pytest
from lxml import etree

from flowledger.kernel.model import bpmn
from flowledger.kernel.model.behaviours import ELEMENTS

FOLDER = Path(os.environ.get("SHARED_DATA", Path(__file__).resolve().parents[2].parent / "shared")) / "bpmn-miwg" / "Reference"
FILES = sorted(FOLDER.glob("*.bpmn"))
B = "{http://www.omg.org/spec/BPMN/20100524/MODEL}"
#: what an executable model does deserve: a condition that is no FEEL, a multi-instance task without items
DESERVED = {"C.3.0.bpmn": {"EXPRESSION_INVALID"}}

if not FILES:
    pytest.skip(f"no reference models at {FOLDER}", allow_module_level=True)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
@pytest.mark.req("APG-MOD-005", "APG-MOD-010", "APG-POS-003")
def test_read_without_loss(path):
    data = path.read_bytes()
    graph, findings = bpmn.read(data, path.name)
    assert graph is not None
    root = etree.fromstring(data)
    expected_nodes = {e.get("id") for e in root.iter() if isinstance(e.tag, str) and e.tag.startswith(B) and e.tag[len(B) :] in ELEMENTS}
    expected_flows = {e.get("id") for e in root.iter(B + "sequenceFlow")}
    processes = [p for p in graph.processes.values() if "global_task" not in p.notes]
    assert {n for p in processes for n in p.nodes} == expected_nodes
    assert {f for p in processes for f in p.flows} == expected_flows
    assert {f.code for f in findings if f.severity == "error"} <= DESERVED.get(path.name, set())
