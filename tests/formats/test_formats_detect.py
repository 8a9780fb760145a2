"""The format is told by content; the name only settles what content leaves open."""

import pytest

from flowledger.kernel import limits, model
from flowledger.kernel.model import formats

BPMN = b'<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"/>'


@pytest.mark.parametrize(
    ("data", "name", "format"),
    [
        (BPMN, "x.txt", "bpmn"),
        (b"\xef\xbb\xbf" + BPMN, "", "bpmn"),
        (b'<?xml version="1.0"?><!-- <package> --><b:definitions xmlns:b="http://www.omg.org/spec/BPMN/20100524/MODEL"/>', "", "bpmn"),
        (BPMN.decode().encode("utf-16"), "", "bpmn"),
        (b'<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/"/>', "", "dmn"),
        (b'<definitions xmlns="http://www.omg.org/spec/DMN/20151101/dmn.xsd"/>', "", "dmn"),
        (b'<package xmlns="http://www.bpmi.org/2003/BPML/process"/>', "", "bpml"),
        (b'<process xmlns="urn:any"/>', "", "bpml"),
        (b"<html/>", "", "bpmn"),
        (b'{"steps": []}', "", "steps"),
        (b"id: a\nsteps:\n  - id: b\n", "", "steps"),
        (b'{"flow": [{"task": "steps"}]}', "", "process-json"),
        (b'{"nodes": [], "x": {"steps": 1}}', "", "process-json"),
        (b'{"capabilities": {}, "flow": []}', "", "extended"),
        (b'{"format": "flowledger/extended@1", "flow": []}', "", "extended"),
        (b'{"format": "flowledger/steps@1", "flow": []}', "", "steps"),
        (b"format: flowledger/process@1\nflow: []\n", "", "process-json"),
        (b'{"type": "default", "components": []}', "", "form"),
        (b"", "a.bpmn", "bpmn"),
        (b"", "", "unknown"),
        (b"hello", "", "unknown"),
        (b"[1, 2]", "", "unknown"),
        (bytes(range(256)), "", "unknown"),
    ],
)
def test_detect(data, name, format):
    assert formats.detect(data, name) == format
    assert format in formats.FORMATS


def test_what_is_no_model_gets_one_clear_finding():
    graph, findings = model.read(b"hello", "a.txt")
    assert graph is None
    assert [(f.code, f.file) for f in findings] == [("FORMAT_UNKNOWN", "a.txt")]


def test_a_model_above_the_limit_is_refused(monkeypatch):
    monkeypatch.setattr(limits, "MODEL_BYTES_MAX", 20)
    assert formats.convert("steps", b"id: p\nsteps: [{id: a}]", "").findings[0].code == "MODEL_TOO_LARGE"


def test_every_reader_is_a_format():
    assert set(formats.READERS) < set(formats.FORMATS)
