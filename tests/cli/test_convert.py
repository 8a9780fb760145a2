"""`flowledger convert`: other formats become drawn BPMN that reads alike; classic dialects become ours; what is ours already is kept."""

from pathlib import Path

import pytest

from flowledger.infra.cli.main import run
from flowledger.kernel.model import read

EXAMPLES = Path(__file__).parents[2] / "examples"
CLASSIC = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:camunda="http://camunda.org/schema/1.0/bpmn" id="d" targetNamespace="t">
<process id="p" isExecutable="true"><startEvent id="s"/><serviceTask id="a" camunda:topic="charge"/><serviceTask id="b" camunda:class="org.B"/>
<sequenceFlow id="f" sourceRef="s" targetRef="a"/><sequenceFlow id="h" sourceRef="a" targetRef="b"/></process></definitions>"""


def convert(file: Path, output: Path) -> bytes:
    with pytest.raises(SystemExit) as ended:
        run(["convert", str(file), "-o", str(output)])
    assert not ended.value.code
    return output.read_bytes()


def shape(data: bytes, name: str) -> dict[str, tuple[set[str], set[str]]]:
    graph, _ = read(data, name)
    return {p.id: (set(p.nodes), set(p.flows)) for p in graph.processes.values()}


def diagram_ids(data: bytes) -> int:
    return data.count(b"BPMNShape ")


@pytest.mark.parametrize("path", sorted(p for p in EXAMPLES.iterdir() if p.suffix in (".yaml", ".json", ".bpml")), ids=lambda p: p.name)
@pytest.mark.req("APG-MOD-004", "APG-ELM-003")
def test_other_formats_become_the_same_graph_with_a_diagram(path, tmp_path):
    if read(path.read_bytes(), path.name)[0].format == "form":
        with pytest.raises(SystemExit) as ended:
            run(["convert", str(path), "-o", str(tmp_path / "x.bpmn")])
        assert ended.value.code
        return
    made = convert(path, tmp_path / "x.bpmn")
    assert shape(made, "x.bpmn") == shape(path.read_bytes(), path.name)
    assert diagram_ids(made) >= sum(len(nodes) for nodes, _ in shape(made, "x.bpmn").values())


def test_a_classic_dialect_becomes_ours_and_what_cannot_be_kept_is_told(tmp_path, capsys):
    (tmp_path / "old.bpmn").write_text(CLASSIC)
    made = convert(tmp_path / "old.bpmn", tmp_path / "new.bpmn")
    assert b'<zeebe:taskDefinition type="charge"/>' in made and diagram_ids(made) == 3
    assert shape(made, "x.bpmn") == shape(CLASSIC.encode(), "x.bpmn")
    assert "CLASSIC_DELEGATE" in capsys.readouterr().err


def test_what_is_ours_and_drawn_is_kept_to_the_byte(tmp_path):
    path = EXAMPLES / "order.bpmn"
    assert convert(path, tmp_path / "x.bpmn") == path.read_bytes()


FOREIGN = """<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0"
 xmlns:acme="urn:acme:costs" id="d" targetNamespace="t"><bpmn:process id="p" isExecutable="true"><bpmn:startEvent id="s"/>
<bpmn:sequenceFlow id="f1" sourceRef="s" targetRef="a"/><bpmn:serviceTask id="a" acme:owner="ann"><bpmn:extensionElements>
<zeebe:taskDefinition type="w"/><acme:cost per="hour"><acme:note>of 2026</acme:note></acme:cost></bpmn:extensionElements></bpmn:serviceTask>
<bpmn:sequenceFlow id="f2" sourceRef="a" targetRef="e"/><bpmn:endEvent id="e"/></bpmn:process></bpmn:definitions>"""
KEPT = ('acme:owner="ann"', '<acme:cost per="hour">', "<acme:note>of 2026</acme:note>")


@pytest.mark.req("APG-POS-018")
def test_what_others_have_put_into_a_model_comes_back(tmp_path, capsys):
    """Elements, flows and extensions of a file that is read, drawn, and read again; JSON has no words for what is foreign, and says so."""
    (tmp_path / "old.bpmn").write_text(FOREIGN)
    drawn = convert(tmp_path / "old.bpmn", tmp_path / "new.bpmn")
    assert diagram_ids(drawn) == 3 and all(part in drawn.decode() for part in KEPT)
    assert shape(drawn, "x.bpmn") == shape(FOREIGN.encode(), "x.bpmn")
    again = convert(tmp_path / "new.bpmn", tmp_path / "again.bpmn")
    assert again == drawn, "as often as one likes"
    capsys.readouterr()
    with pytest.raises(SystemExit):
        run(["convert", str(tmp_path / "old.bpmn"), "--to", "process-json", "-o", str(tmp_path / "p.json")])
    told = capsys.readouterr().err
    assert "WRITE_LOST 'a': cost is not kept" in told


@pytest.mark.req("APG-MOD-004")
def test_steps_are_written_from_their_drawing(tmp_path, capsys):
    drawn = convert(EXAMPLES / "nightly-report.yaml", tmp_path / "x.bpmn")
    with pytest.raises(SystemExit) as ended:
        run(["convert", str(tmp_path / "x.bpmn"), "--to", "steps", "-o", str(tmp_path / "y.json")])
    assert not ended.value.code and "does not do the same" not in capsys.readouterr().err
    assert shape((tmp_path / "y.json").read_bytes(), "y.json") == shape(drawn, "x.bpmn")
    with pytest.raises(SystemExit) as ended:
        run(["convert", str(EXAMPLES / "order.bpmn"), "--to", "steps", "-o", str(tmp_path / "z.json")])
    assert "does not do the same" in " ".join(capsys.readouterr().err.split())


@pytest.mark.req("APG-MOD-001", "APG-MOD-004")
def test_bpml_is_written_from_its_drawing(tmp_path, capsys):
    drawn = convert(EXAMPLES / "place-order.bpml", tmp_path / "x.bpmn")
    with pytest.raises(SystemExit) as ended:
        run(["convert", str(tmp_path / "x.bpmn"), "--to", "bpml", "-o", str(tmp_path / "y.bpml")])
    assert not ended.value.code and "does not do the same" not in capsys.readouterr().err
    assert shape((tmp_path / "y.bpml").read_bytes(), "y.bpml") == shape(drawn, "x.bpmn")
    with pytest.raises(SystemExit) as ended:
        run(["convert", str(EXAMPLES / "order.bpmn"), "--to", "bpml", "-o", str(tmp_path / "z.bpml")])
    told = " ".join(capsys.readouterr().err.split())
    assert "does not do the same" in told and "WRITE_LOST" in told
