"""BPML is written from a drawing, and does the same: by the hash of the graph with what only brings ways together left out, and on the kernel. What BPML
has no words for is said, never left out in silence."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import pytest
from converted import xml
from scenario import Scenario

from flowledger.kernel import model
from flowledger.kernel.model.drawn import as_bpmn, as_text
from flowledger.kernel.model.formats import bpml_words

sys.path.insert(0, str(Path(__file__).parents[1] / "kernel"))
from notation import bpmn

ROOT = Path(__file__).resolve().parents[2]
MIWG = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared")) / "bpmn-miwg" / "Reference"
SUFFIXES = (".bpmn", ".json", ".yaml", ".bpml")
MODELS = sorted(
    p
    for d in (ROOT / "examples", ROOT / "tests" / "formats" / "samples", MIWG)
    for p in d.rglob("*")
    if p.suffix in SUFFIXES and "tests" not in p.relative_to(d).parts
)
HEAD = (
    '<package xmlns="http://www.bpmi.org/2003/BPML/process" xmlns:t="urn:t" xmlns:x="urn:flowledger:bpml:ext:1"'
    ' xmlns:inst="http://www.bpmi.org/2003/BPML/instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:t">\n'
)


def written(data: bytes | str, name: str = "a.bpml") -> str:
    """The BPML, which does the same: nothing is lost."""
    text, left, same = as_text(data.encode() if isinstance(data, str) else data, name, "bpml")
    assert text is not None and same and not left, (left, text)
    return text


@pytest.mark.req("APG-MOD-001", "APG-MOD-004")
@pytest.mark.parametrize("path", sorted((ROOT / "tests" / "formats" / "samples").glob("*.bpml")), ids=lambda p: p.name)
def test_the_samples_come_back_from_their_drawing(path: Path) -> None:
    text = written(path.read_bytes())
    drawn, _ = as_bpmn(text.encode(), "x.bpml")
    assert drawn is not None and written(drawn, "x.bpmn") == text, "written once more it is the same text"
    golden = Path(__file__).parent / "written" / path.name
    if os.environ.get("GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.name)
def test_what_is_not_the_same_says_so(path: Path) -> None:
    """Never silently; and what is written can be read, whatever is lost."""
    data = path.read_bytes()
    if as_bpmn(data, path.name)[0] is None:
        assert as_text(data, path.name, "bpml")[0] is None
        return
    text, left, same = as_text(data, path.name, "bpml")
    said = any(f.code.startswith("WRITE_") and f.severity == "warning" and f.message for f in left)
    assert (same and not said) or said, left
    if text is not None:
        findings = [f for f in model.read(text.encode(), "x.bpml")[1] if f.code.startswith("BPML") and f.severity == "error"]
        assert not findings, (findings, text)


# ------------------------------------------------------------------ by lot


class Lot:
    """A package with blocks in blocks."""

    def __init__(self, seed: int) -> None:
        self.r = random.Random(seed)
        self.n = 0
        self.signals: list[str] = []

    def name(self, word: str = "a") -> str:
        self.n += 1
        return f"{word}{self.n}"

    def condition(self) -> str:
        return escape(
            self.r.choice(["$x > 1", "$x = 'a' or not($y)", "$o/a + 1 >= count($xs)", '$xs[2] != "b c"', "($x + 1) * 2 < 7 mod 3"])
        )

    def source(self) -> str:
        return self.r.choice(
            ['xpath="1 + $x"', 'xpath="$o/a/b"', "xpath=\"concat('a', $x)\"", 'xpath="string-length($x) div 2"', 'xpath="true()"']
        )

    def value(self) -> str:
        return escape(self.r.choice(["plain", 'with "quotes" & <marks>', "= no expression", "", "ä ∀ 漢", "back\\slash"]))

    def simple(self) -> str:
        n = self.name()
        return self.r.choice([
            f'<action name="{n}" portType="t:S" operation="o{n}"/>',
            f'<action name="{n}" portType="t:S" operation="o{n}"><output part="p" {self.source()}/><input part="q" property="t:x"/></action>',
            f'<action name="{n}" portType="t:S" operation="o{n}"><output part="p"><value>{self.value()}</value></output></action>',
            f'<action name="{n}" portType="t:S" operation="o{n}" correlate="t:byx"><input part="q" property="t:y" xpath="a/b"/></action>',
            f'<action name="{n}" portType="t:S" operation="o{n}" x:performer="clerks"><output part="p" property="t:x"/><input property="t:y"/></action>',
            f'<assign name="{n}" property="t:x" {self.source()}/>',
            f'<assign name="{n}" property="t:y"><value>{self.value()}</value></assign>',
            f'<assign name="{n}" property="t:xs" {self.source()} append="true"/>',
            f'<delay name="{n}" duration="PT5M"/>',
            f'<delay name="{n}" instant="2027-01-01T00:00:00Z"/>',
            f'<call name="{n}" process="t:Other"><output parameter="a" {self.source()}/><input parameter="b" property="t:x"/></call>',
            f'<raise name="{n}" signal="t:go" {self.source()}/>',
            f'<synch name="{n}" signal="t:go" property="t:x"/>',
            f'<call name="{n}" process="t:Nested"/><compensate name="{n}c" process="t:Nested"/>' if self.n < 4 else "<empty/>",
        ])  # fmt: skip

    def context(self) -> str:
        n = self.name("c")
        found = self.r.choice([
            "", '<property name="x" type="xsd:int"><value>3</value></property>', '<property name="y" xpath="$x"/>',
            f'<exception name="{n}"><event activity="{n}m"/><action name="{n}m" portType="t:S" operation="m{n}" correlate="t:byx">'
            f'<input part="q" property="t:y"/></action>{self.simple()}</exception>',
            f'<exception name="{n}"><event activity="{n}d"/><delay name="{n}d" duration="PT1H"/>{self.simple()}</exception>',
            f'<schedule name="{n}" duration="PT1H" signal="t:go"/>',
            f'<schedule name="{n}" duration="PT1H" repeat="R3/PT1H" fault="t:bad"/>',
        ])  # fmt: skip
        if self.r.random() < 0.4:
            found += f'<faults><case code="t:bad">{self.simple()}</case><default>{self.simple()}</default></faults>'
        return f"<context>{found}</context>"

    def set(self, depth: int, least: int = 1) -> str:
        return "".join(self.activity(depth) for _ in range(self.r.randint(least, 3)))

    def activity(self, depth: int) -> str:
        if depth <= 0 or self.r.random() < 0.4:
            return self.simple()
        n = self.name("b")
        kind = self.r.choice(["sequence", "all", "switch", "choice", "foreach", "while", "until", "in-out"])
        if kind == "sequence":
            return f'<sequence name="{n}">{self.context() if self.r.random() < 0.6 else ""}{self.set(depth - 1)}</sequence>'
        if kind == "all":
            return f'<all name="{n}">{self.activity(depth - 1)}<sequence>{self.set(depth - 1)}</sequence></all>'
        if kind == "switch":
            cases = "".join(
                f"<case><condition>{self.condition()}</condition>{self.set(depth - 1, 0)}</case>" for _ in range(self.r.randint(1, 3))
            )
            default = f"<default>{self.set(depth - 1)}</default>" if self.r.random() < 0.6 else ""
            fault = f'<case><condition>$x = 9</condition><fault name="{n}f" code="t:bad"/></case>' if self.r.random() < 0.3 else ""
            return f'<switch name="{n}">{cases}{fault}{default}</switch>'
        if kind == "choice":
            return (f'<choice name="{n}"><event><action name="{n}m" portType="t:S" operation="m{n}" correlate="t:byx"><input part="q" property="t:y"/></action>'
                    f'{self.set(depth - 1, 0)}</event><event><delay name="{n}d" duration="P1D"/>{self.set(depth - 1, 0)}</event></choice>')  # fmt: skip
        if kind == "foreach":
            return f'<foreach name="{n}" select="$xs">{self.set(depth - 1)}</foreach>'
        if kind == "in-out":
            return (f'<action name="{n}" portType="t:S" operation="r{n}" correlate="t:byx"><input part="q" property="t:y"/>{self.set(depth - 1)}'
                    f'<output part="p" {self.source()}/></action>')  # fmt: skip
        return f'<{kind} name="{n}"><condition>{self.condition()}</condition>{self.set(depth - 1)}</{kind}>'

    def package(self) -> str:
        start = self.r.choice(["", "message", "schedule"])
        properties = "".join(f'<property name="{n}"/>' for n in ("x", "y", "o", "xs"))
        undo = '<action name="nu" portType="t:S" operation="nu"/>'
        nested = f'<process name="Nested"><action name="na" portType="t:S" operation="na"/><compensation>{undo}</compensation></process>'
        event = '<event activity="began"/>' if start == "message" else ""
        began = (
            '<action name="began" portType="t:S" operation="began"><input part="q" property="t:x"/></action>' if start == "message" else ""
        )
        timer = '<schedule name="daily" duration="PT1H" repeat="R/PT1H" process="t:P"/>' if start == "schedule" else ""
        return (f'{HEAD}{properties}<identity name="byx" property="t:x"/>{timer}<process name="P">{event}<context><signal name="go"/>{nested}</context>{began}'
                f'{self.set(3)}</process><process name="Other"><empty/></process></package>')  # fmt: skip


@pytest.mark.req("APG-MOD-001", "APG-MOD-004")
@pytest.mark.parametrize("first", range(0, 120, 20))
def test_packages_by_lot_come_back_from_their_drawing(first: int) -> None:
    for seed in range(first, first + 20):
        text = Lot(seed).package()
        source, findings = as_bpmn(text.encode(), "x.bpml")
        assert source is not None, (seed, findings, text)
        back, left, same = as_text(source, "x.bpmn", "bpml")
        assert back is not None and same and not left, (seed, [f.message for f in left], text, back)


# ------------------------------------------------------------------ drawings


SAME = {
    "jobs": "serviceTask t\n<zeebe:taskDefinition type='charge card'/>\n<zeebe:ioMapping><zeebe:input source='= x' target='a'/><zeebe:input source='plain' target='b'/>"
    "<zeebe:output source='= r.total * 2' target='c'/></zeebe:ioMapping>",
    "only results": "serviceTask t\n<zeebe:taskDefinition type='a.b'/>\n<zeebe:ioMapping><zeebe:output source='= r' target='c'/></zeebe:ioMapping>",
    "an expression without XPath": "scriptTask t\n<zeebe:script expression='= for i in xs return i + 1' resultVariable='ys'/>",
    "people": "userTask t\n<zeebe:userTask/>\n<zeebe:assignmentDefinition candidateGroups='clerks'/>",
    "a task of nobody": "userTask t\n<zeebe:userTask/>",
    "message": "intermediateCatchEvent t : message paid = orderId",
    "message with a key made up": "intermediateCatchEvent t : message paid = upper case(x)",
    "timer by FEEL": "intermediateCatchEvent t : timer = wait",
    "no task": "manualTask t",
    "call": "callActivity t\n<zeebe:calledElement processId='other' propagateAllParentVariables='false' propagateAllChildVariables='false'/>"
    "\n<zeebe:ioMapping><zeebe:input source='= 1' target='a'/><zeebe:output source='= b' target='c'/></zeebe:ioMapping>",
    "sub-process": "subProcess t {\nstartEvent ts\nserviceTask tt\n<zeebe:taskDefinition type='a'/>\nendEvent te\nts > tt > te\n}\n"
    "<zeebe:ioMapping><zeebe:input source='= 7' target='n'/><zeebe:output source='= n' target='m'/></zeebe:ioMapping>",
    "fork": "parallelGateway t\nserviceTask a\n<zeebe:taskDefinition type='a'/>\nserviceTask b\n<zeebe:taskDefinition type='b'/>\nparallelGateway j\nt > a > j"
    "\nt > b > j\nj > e",
    "loop with an item's own name": "subProcess t {\nstartEvent ts\nserviceTask tt\n<zeebe:taskDefinition type='a'/>\nendEvent te\nts > tt > te\n"
    "~<multiInstanceLoopCharacteristics isSequential='true'><extensionElements><zeebe:loopCharacteristics inputCollection='= xs' "
    "inputElement='order'/></extensionElements>"
    "</multiInstanceLoopCharacteristics>\n}",
    "two ends": "exclusiveGateway t\nserviceTask a\n<zeebe:taskDefinition type='a'/>\nendEvent e2\nt > a ? x > 1\na > e2\nt > e !",
}  # fmt: skip


@pytest.mark.req("APG-MOD-004")
@pytest.mark.parametrize("name", SAME)
def test_drawings_do_the_same_written_as_bpml(name: str) -> None:
    written(
        bpmn(f"startEvent s\n{SAME[name]}\nendEvent e\n{'s > t' if 't > e' in SAME[name] or 'j > e' in SAME[name] else 's > t > e'}"),
        "a.bpmn",
    )


JOB = "\n<zeebe:taskDefinition type='x.{0}'/>"
A, H, Z = (f"serviceTask {n}" + JOB.format(n) for n in "ahz")
#: what BPML says in other elements, and does the same
SHAPED = {
    "an error at a task": (f"{A}\n{H}\n{Z}\nboundaryEvent b on=a : error OUT\nendEvent e\ns > a > z > e\nb > h > z", ["error a OUT", "complete h", "complete z"]),
    "no error at a task": (f"{A}\n{H}\n{Z}\nboundaryEvent b on=a : error OUT\nendEvent e\ns > a > z > e\nb > h > z", ["complete a", "complete z"]),
    "time at a task": (f"{A}\n{H}\n{Z}\nboundaryEvent b on=a : timer PT5M\nendEvent e\ns > a > z > e\nb > h > z", ["tick", "complete h", "complete z"]),
    "time that is not up": (f"{A}\n{H}\n{Z}\nboundaryEvent b on=a : timer PT5M\nendEvent e\ns > a > z > e\nb > h > z", ["complete a", "complete z"]),
    "a message at a task": (f"{A}\n{H}\n{Z}\nboundaryEvent b on=a : message off = k\nendEvent e\ns > a > z > e\nb > h > z",
                            ["message off 7", "complete h", "complete z"]),
    "ways that end by themselves": (f"{A}\n{Z}\nparallelGateway g\nendEvent e\nendEvent e2\ns > g > a > e\ng > z > e2", ["complete z", "complete a"]),
    "a condition on the other way of a loop": (f"{A}\n{Z}\nexclusiveGateway m\nexclusiveGateway g\nendEvent e\ns > m > a > g\ng > m ? n > 1\ng > z !\nz > e",
                                               ["complete a n=2", "complete a n=1", "complete z"]),
    "a task that is undone": (f"{A}\n{H}\n{Z}\nboundaryEvent b on=a : compensate\nintermediateThrowEvent u : compensate\nendEvent e\ns > a > u > z > e\n"
                              "~<association id='as' associationDirection='One' sourceRef='b' targetRef='h'/>", ["complete a", "complete h", "complete z"]),
    "one after the other for each item": (A + "\n.<multiInstanceLoopCharacteristics isSequential='true'><extensionElements><zeebe:loopCharacteristics "
                                          "inputCollection='= xs' inputElement='i'/></extensionElements></multiInstanceLoopCharacteristics>"
                                          "\nendEvent e\ns > a > e", ["complete a", "complete a"]),
}  # fmt: skip


def played(text: str, moves: list[str]) -> list[str]:
    s = Scenario(text)
    s.start("p", k="7", n=0, xs=[1, 2])
    seen = [s.tasks]
    for move in moves:
        s.move(move)
        seen.append(s.tasks)
    assert s.line.endswith("done") and s.empty, s.line
    return seen


@pytest.mark.req("APG-MOD-001", "APG-MOD-004")
@pytest.mark.parametrize("name", SHAPED)
def test_what_is_put_in_other_elements_does_the_same_on_the_kernel(name: str) -> None:
    body, moves = SHAPED[name]
    body = body.replace("serviceTask h", "serviceTask h comp=true") if "undone" in name else body
    source = bpmn(f"startEvent s\n{body}")
    text, left, _ = as_text(source.encode(), "a.bpmn", "bpml")
    assert text is not None and left and {f.code for f in left} == {"WRITE_SHAPED"}, left
    assert played(xml(text), moves) == played(source, moves)


LOST = {
    "retries": ("serviceTask t\n<zeebe:taskDefinition type='a' retries='5'/>", "how often it is tried"),
    "headers": ("serviceTask t\n<zeebe:taskDefinition type='a'/>\n<zeebe:taskHeaders><zeebe:header key='a' value='b'/></zeebe:taskHeaders>", "taskHeaders"),
    "form": ("userTask t\n<zeebe:userTask/>\n<zeebe:formDefinition formId='f'/>", "formDefinition"),
    "assignee": ("userTask t\n<zeebe:userTask/>\n<zeebe:assignmentDefinition assignee='anna'/>", "assignee"),
    "decision": ("businessRuleTask t\n<zeebe:calledDecision decisionId='d' resultVariable='x'/>", "a decision"),
    "signal": ("intermediateThrowEvent t : signal go", "what is thrown (signal)"),
    "escalation": ("intermediateThrowEvent t : escalation up", "what is thrown (escalation)"),
    "side by side": ("serviceTask t\n<zeebe:taskDefinition type='a'/>\n.<multiInstanceLoopCharacteristics><extensionElements><zeebe:loopCharacteristics "
                     "inputCollection='= xs' inputElement='i'/></extensionElements></multiInstanceLoopCharacteristics>", "side by side"),
    "a boundary that breaks nothing off": ("serviceTask t\n<zeebe:taskDefinition type='a'/>\nboundaryEvent b on=t cancel=false : timer PT5M\nendEvent e2\nb > e2",
                                           "does not break it off"),
    "a boundary that leads elsewhere": ("serviceTask t\n<zeebe:taskDefinition type='a'/>\nserviceTask u\n<zeebe:taskDefinition type='u'/>"
                                        "\nboundaryEvent b on=t : error OUT\nendEvent e2 : error FAILED\nserviceTask v"
                                        "\n<zeebe:taskDefinition type='v'/>\nb > v > e\nt > u", "does not come back"),
    "a call with all variables": ("callActivity t\n<zeebe:calledElement processId='other' propagateAllChildVariables='true'/>", "all variables"),
    "inclusive": ("inclusiveGateway t", "inclusiveGateway"),
    "several starts of no kind": ("serviceTask t\n<zeebe:taskDefinition type='a'/>\nstartEvent s2 : conditional x > 1\ns2 > t", "what starts it"),
}  # fmt: skip


@pytest.mark.parametrize("name", LOST)
def test_what_bpml_has_no_words_for_is_said_with_its_element(name: str) -> None:
    flow, word = LOST[name]
    to = "s > t\nu > e" if "t > u" in flow else "s > t > e"
    if name == "inclusive":
        flow += "\nserviceTask u\n<zeebe:taskDefinition type='u'/>\nt > u ? x > 1\nu > e"
        to = "s > t\nt > e !"
    text, left, same = as_text(bpmn(f"startEvent s\n{flow}\nendEvent e\n{to}").encode(), "a.bpmn", "bpml")
    assert text is not None and not same and any(word in f.message and f.element for f in left), left
    assert not [f for f in model.read(text.encode(), "a.bpml")[1] if f.code.startswith("BPML") and f.severity == "error"]


def test_blocks_too_deep_are_said() -> None:
    nodes = "".join(f"exclusiveGateway g{n}\nserviceTask t{n}\n<zeebe:taskDefinition type='a'/>\n" for n in range(80))
    flows = "".join(f"g{n} > t{n} ? x > {n}\nt{n} > e\ng{n} > {f'g{n + 1}' if n < 79 else 'e'} !\n" for n in range(80))
    _, left, same = as_text(bpmn(f"startEvent s\n{nodes}endEvent e\ns > g0\n{flows}").encode(), "a.bpmn", "bpml")
    assert not same and any("deeper than" in f.message for f in left)


HOSTILE = ["</action><raise/>", "a & b", "\"'", "]]>", "<!-- -->", "&amp;", "= 1 + 1", "ä ∀ 漢 \u202e", "x" * 5000]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_texts_of_any_kind_are_texts(text: str) -> None:
    job = text.removeprefix("= ")
    literal = text.replace("\\", "\\\\").replace('"', '\\"')
    source = bpmn(
        f"startEvent s\nserviceTask t\n<zeebe:taskDefinition type={quoteattr(job)}/>\n"
        f"<zeebe:ioMapping><zeebe:input source={quoteattr('= ' + chr(34) + literal + chr(34))} target='a'/></zeebe:ioMapping>\n"
        f".<documentation>{escape(text)}</documentation>\nendEvent e\ns > t > e"
    ).replace('id="t"', f'id="t" name={quoteattr(text)}')
    drawn, _ = as_bpmn(written(source, "a.bpmn").encode(), "a.bpml")
    graph, _ = model.read(drawn or b"", "a.bpmn")
    assert graph is not None
    [task] = [n for n in graph.processes["p"].nodes.values() if n.kind == "serviceTask"]
    assert task.name == text


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("a > 1 and not(b)", "$a > 1 and not($b)"), ("(a + b) * c", "($a + $b) * $c"), ("a - (b - c)", "$a - ($b - $c)"), ('"it\'s"', '"it\'s"'),
        ("o.a.b[2]", "$o/a/b[2]"), ("modulo(a, 3)", "$a mod 3"), ("string length(x) / 2", "string-length($x) div 2"), ("true", "true()"),
        ("inst_current.price", "$inst:current/price"), ('string(a) + string("x")', "concat($a, 'x')"), ("now()", "bpmlx:now()"),
        ("a = null", None), ("for i in xs return i", None), ("if a then b else c", None), ("a[item > 1]", None), ("a in [1..2]", None), ("a +", None),
        ("{a: 1}", None), ("@\"2027-01-01\"", None), ("some x in xs satisfies x", None), ("-1", None), ("a ** 2", None), ('"both \' and \\""', None),
    ],
)  # fmt: skip
def test_feel_as_xpath_where_xpath_has_the_words(source: str, found: str | None) -> None:
    done = bpml_words.written(source)
    assert (done[0] if done is not None else None) == found
