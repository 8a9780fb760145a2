"""BPML 1.0: the samples of the design notes run as they say; every finding by its code and line; XPath as FEEL."""

from pathlib import Path

import pytest
from converted import codes, xml
from scenario import Scenario

from flowledger.kernel import feel
from flowledger.kernel.model.formats import xpath

SAMPLES = Path(__file__).parent / "samples"
HEAD = (
    '<package xmlns="http://www.bpmi.org/2003/BPML/process" xmlns:t="urn:t" xmlns:x="urn:flowledger:bpml:ext:1"'
    ' xmlns:inst="http://www.bpmi.org/2003/BPML/instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:t">\n'
)


def package(body: str, context: str = "", more: str = "") -> str:
    """A process P: the body begins in line 3, the context stands in line 2."""
    return f'{HEAD}<process name="P">{f"<context>{context}</context>" if context else ""}\n{body}</process>{more}</package>'


def sample(name: str, *moves: str, start: str = "", **variables) -> Scenario:
    s = Scenario(xml((SAMPLES / name).read_bytes()))
    if start:
        s.start(start, **variables)
    return s.moves(*moves)


def play(body: str, *moves: str, context: str = "", more: str = "", **variables) -> Scenario:
    s = Scenario(xml(package(body, context, more)))
    s.start("P", **variables)
    return s.moves(*moves)


def act(name: str) -> str:
    return f'<action name="{name}" portType="t:S" operation="{name}"/>'


@pytest.mark.req("APG-MOD-001")
@pytest.mark.parametrize(
    ("name", "start", "variables", "moves", "tasks"),
    [
        ("approve-expense.bpml", "", {}, ['message Claims.submit id="7"', 'complete decide decision="yes"', "complete tell"], "decide tell"),
        ("assess-loan.bpml", "AssessLoan", {"amount": 5}, ["complete credit score=700", "complete fraudCheck hit=false"], "credit fraudCheck"),
        ("assess-loan.bpml", "AssessLoan", {"amount": 50000}, ["complete credit score=700", "complete fraudCheck hit=false", "complete review"],
         "credit fraudCheck review"),
        ("place-order.bpml", "", {}, ['message Orders.order id="7"', "complete reserve ref=1", 'message Orders.pay 7 id="7"'], "reserve"),
        ("place-order.bpml", "", {}, ['message Orders.order id="7"', "complete reserve ref=1", "tick", "complete release"], "reserve release"),
        ("place-order.bpml", "", {}, ['message Orders.order id="7"', "complete reserve ref=1", 'message Orders.cancel 7 id="7"', "complete release"],
         "reserve release"),
    ],
)  # fmt: skip
def test_the_samples_run(name, start, variables, moves, tasks):
    s = sample(name, *moves, start=start, **variables)
    assert s.tasks == tasks and s.line.endswith("done") and s.empty


def test_the_outcome_of_a_loan():
    for hit, score, outcome in (("true", 800, "refused"), ("false", 700, "granted")):
        s = sample("assess-loan.bpml", f"complete credit score={score}", f"complete fraudCheck hit={hit}", start="AssessLoan", amount=5)
        assert s.vars["outcome"] == outcome


SIGNAL = '<signal name="go"/><property name="n" type="xsd:integer"><value>0</value></property>'
NESTED = f'<process name="N">{act("a")}<compensation>{act("u")}</compensation></process>'


@pytest.mark.parametrize(
    ("body", "context", "moves", "tasks"),
    [
        (act("a") + "<empty/>" + act("b"), "", ["complete a", "complete b"], "a b"),
        (f'<raise signal="t:go"/>{act("a")}<synch signal="t:go"/>{act("b")}', SIGNAL, ["complete a", "complete b"], "a b"),
        (f'<all><sequence><synch signal="t:go"/>{act("b")}</sequence><sequence>{act("a")}<raise signal="t:go"/></sequence></all>', SIGNAL,
         ["complete a", "complete b"], "a b"),
        (f'<while><condition>$n &lt; 2</condition>{act("a")}<assign property="t:n" xpath="$n + 1"/></while>', SIGNAL, ["complete a", "complete a"], "a a"),
        (f'<until><condition>$n &gt;= 1</condition>{act("a")}<assign property="t:n" xpath="$n + 1"/></until>', SIGNAL, ["complete a"], "a"),
        (f'<foreach select="$xs">{act("a")}</foreach>', '<property name="xs" type="xsd:anyType"/>', ["complete a", "complete a"], "a a"),
        (f'<delay duration="PT5M"/>{act("a")}', "", ["tick", "complete a"], "a"),
        (f'<spawn process="t:N"/>{act("b")}', NESTED, ["complete b", "complete a"], "a b"),
        ('<call process="t:N"/><compensate process="t:N"/>', NESTED, ["complete a", "complete u"], "a u"),
        ('<call process="t:N"/><fault code="t:bad"/>', NESTED + f'<faults><case code="t:bad">{act("h")}</case></faults>',
         ["complete a", "complete h"], "a h"),
        (act("a"), '<schedule name="late" duration="PT1H" signal="t:go"/><signal name="go"/>', ["tick", "complete a"], "a"),
        (f'<sequence><context><property name="v" type="xsd:int"><value>3</value></property></context>{act("a")}</sequence>', "", ["complete a"], "a"),
    ],
)  # fmt: skip
def test_activities_run(body, context, moves, tasks):
    s = play(body, *moves, context=context, xs=[1, 2])
    assert sorted(s.tasks.split()) == sorted(tasks.split())
    assert s.line.endswith("done") and s.empty


CALLED = (
    '<process name="Q"><parameter name="a" type="xsd:int" direction="input"/><parameter name="b" type="xsd:int" direction="output"/>'
    '<assign property="t:b" xpath="$a + 1"/></process>'
)
WITH = '<output parameter="a" xpath="41"/><input parameter="b" property="t:n"/>'


@pytest.mark.parametrize(
    ("body", "context", "more", "moves", "found"),
    [
        ('<assign property="t:n" xpath="1"/><assign property="t:n" xpath="$n + 1"/>', SIGNAL, "", [], {"n": 2}),
        ('<assign property="t:l" xpath="1" append="true"/><assign property="t:l" xpath="2" append="true"/>', '<property name="l" type="xsd:anyType"/>', "", [],
         {"l": [1, 2]}),
        (f'<call process="t:Q">{WITH}</call>', SIGNAL, CALLED, [], {"n": 42}),
        (f'<call process="t:Q">{WITH}</call>', SIGNAL + CALLED, "", [], {"n": 42}),
        ('<raise signal="t:go" xpath="7"/><synch signal="t:go" property="t:n"/>', SIGNAL, "", [], {"n": 7}),
        ('<raise signal="t:go"/><raise signal="t:go"/><synch signal="t:go"/><assign property="t:n" xpath="9"/>', SIGNAL, "", [], {"n": 9}),
        (f'<choice><event><synch signal="t:go"/><assign property="t:n" xpath="1"/></event><event><delay duration="PT1H"/>{act("b")}</event></choice>',
         SIGNAL, "", ["tick", "complete b"], {"n": 0}),
        (f'<all><context><property name="v" type="xsd:int"><value>3</value></property></context>{act("a")}<assign property="t:n" xpath="$v"/></all>', SIGNAL, "",
         ["complete a"], {"n": 3}),
        (f'<all>{act("a")}</all><assign property="t:n" xpath="4"/>', SIGNAL, "", ["complete a"], {"n": 4}),
        ('<switch><case><condition>$n &gt; 0</condition><assign property="t:n" xpath="1"/></case></switch><assign property="t:n" xpath="$n + 5"/>', SIGNAL, "",
         [], {"n": 5}),
        ('<compensate process="t:N"/><assign property="t:n" xpath="6"/>', SIGNAL + NESTED, "", [], {"n": 6}),
        ('<delay instant="2027-01-01T00:00:00Z"/><assign property="t:n" xpath="1"/>', SIGNAL, "", ["tick"], {"n": 1}),
    ],
)  # fmt: skip
def test_values_of_activities(body, context, more, moves, found):
    s = play(body, *moves, context=context, more=more)
    assert {k: s.vars.get(k) for k in found} == found
    assert s.line.endswith("done") and s.empty


def started(body: str, event: str, more: str = "", context: str = SIGNAL) -> Scenario:
    text = f'{HEAD}{more}<process name="P">{event}<context>{context}</context>\n{body}</process></package>'
    return Scenario(xml(text))


RECEIVE = '<action name="r" portType="t:S" operation="r"><input part="n" property="t:n"/></action>'


@pytest.mark.parametrize(
    ("body", "event", "more", "moves", "tasks"),
    [
        (RECEIVE + act("a"), '<event activity="r"/>', "", ["message S.r n=3", "complete a"], "a"),
        (f'<sequence>{RECEIVE}{act("a")}</sequence>', '<event activity="r"/>', "", ["message S.r n=3", "complete a"], "a"),
        (f'<synch name="y" signal="t:go"/>{act("a")}', '<event activity="y"/>', "", ["signal go", "complete a"], "a"),
        (f'<choice><event>{RECEIVE}{act("a")}</event><event><synch name="y" signal="t:go"/>{act("b")}</event></choice>', '<event activity="r y"/>', "",
         ["signal go", "complete b"], "b"),
        (f'<choice><event>{RECEIVE}{act("a")}</event><event><synch name="y" signal="t:go"/>{act("b")}</event></choice>', '<event activity="r y"/>', "",
         ["message S.r n=3", "complete a"], "a"),
        (act("a"), "", '<schedule name="daily" duration="PT1H" repeat="2" process="t:P"/>', ["tick", "complete a"], "a"),
        (act("a"), "", '<schedule name="once" instant="2027-01-01T00:00:00Z" process="t:P"/>', ["tick", "complete a"], "a"),
    ],
)  # fmt: skip
def test_what_starts_a_process(body, event, more, moves, tasks):
    s = started(body, event, more)
    for move in moves:
        s.move(move)
    assert s.tasks == tasks and s.line.endswith("done")


def test_a_request_is_answered_when_its_set_is_done():
    body = (
        '<action name="r" portType="t:S" operation="ask"><input part="n" property="t:n"/><assign property="t:n" xpath="$n + 1"/>'
        '<output part="m" property="t:n"/></action>'
    )
    s = started(body, '<event activity="r"/>')
    s.move("message S.ask n=3")
    assert s.task("r_reply").job_type == "S.ask" and s.move("complete r_reply").line.endswith("done")


def test_a_performer_makes_it_a_persons_task():
    body = '<action name="a" portType="t:S" operation="o" x:performer="clerks"><output part="p" xpath="1 + 1"/><input part="q" property="t:n"/></action>'
    s = play(body, context=SIGNAL)
    assert s.task("a").type == "user_task" and s.i.tokens[s.token("a")].vars == {"p": 2}
    s.move("complete a q=5")
    assert s.vars["n"] == 5


@pytest.mark.req("APG-MOD-001")
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("<package", ["BPML001 1"]),
        ('<!DOCTYPE package><package xmlns="http://www.bpmi.org/2003/BPML/process"/>', ["BPML001 1"]),
        ('<package xmlns="http://www.bpmi.org/2002/BPML"/>', ["BPML002 1"]),
        ('<process xmlns="http://www.bpmi.org/2003/BPML/process"/>', ["BPML002 1"]),
        ('<process xmlns="http://docs.oasis-open.org/wsbpel/2.0/process/executable"/>', ["BPML004 1"]),
        ('<process name="x"><operation/></process>', ["BPML004 1"]),
        (package("<onMessage/><empty/>"), ["BPML005 3"]),
        (package("<emty/><empty/>"), ["BPML010 3"]),
        (package('<empty nam="a"/>'), ["BPML010 3"]),
        (package('<assign property="t:n" xpath="1"><value>1</value></assign>', SIGNAL), ["BPML011 3"]),
        (package('<fault name="a"/>'), ["BPML011 3"]),
        (package("<sequence/>"), ["BPML012 3"]),
        (package("<choice><event><delay duration='P1D'/></event></choice>"), ["BPML012 3"]),
        (package("<switch><default><empty/></default></switch>"), ["BPML012 3"]),
        (package('<empty name="1a"/>'), ["BPML013 3"]),
        (package('<raise signal="q:go"/>'), ["BPML020 3"]),
        (package('<raise signal="t:goo"/>', SIGNAL), ["BPML021 3"]),
        (package('<empty name="a"/>\n<empty name="a"/>'), ["BPML022 4"]),
        (package('<assign property="t:n" xpath="1 +"/>', SIGNAL), ["BPML030 3"]),
        (package('<assign property="t:n" xpath="$zz"/>', SIGNAL), ["BPML030 3"]),
        (package('<assign property="t:n" xpath="translate(1, 2, 3)"/>', SIGNAL), ["BPML030 3"]),
        (package('<assign property="t:n"><value>many</value></assign>', SIGNAL), ["BPML031 3"]),
        (package('<assign property="inst:state" xpath="1"/>'), ["BPML031 3"]),
        (package('<empty/>', '<property name="n" type="t:odd"/>'), ["BPML031 2"]),
        (f'{HEAD}<process name="P"><event activity="b"/><empty name="b"/></process></package>', ["BPML040 2"]),
        (package('<action portType="t:S" operation="o"><output xpath="1"/><input property="t:n"/><output xpath="1"/></action>', SIGNAL), ["BPML041 3"]),
        (package("<choice><event><empty/></event>\n<event><delay duration='P1D'/></event></choice>"), ["BPML042 3"]),
        (f'{HEAD}<process name="P"><parameter name="q" required="true"/><event activity="a"/>{act("a")}</process></package>', ["BPML044 2"]),
        (package('<transaction type="atomic"><empty/></transaction>'), ["BPML045 3"]),
        (package('<action portType="t:S" operation="o"><input property="t:n"/></action>', SIGNAL), ["BPML046 3"]),
        (package('<fault code="t:x"/>\n<empty/>'), ["BPML047 4"]),
        (package('<synch signal="t:go"/>', SIGNAL), ["BPML047 3"]),
        (f'{HEAD}<process name="P"><event activity="r b"/>{act("r")}<empty name="b"/></process></package>', ["BPML040 2", "BPML040 2"]),
        (package('<compensate process="t:N"/>', NESTED), ["BPML047 2"]),
        (f'{HEAD}<feature name="urn:f"/><process name="P"><empty/></process></package>', ["BPML050 2"]),
        (package('<empty xmlns:o="urn:o" o:a="1"/><o:b xmlns:o="urn:o"/>'), ["BPML050 3", "BPML050 3"]),
        (package('<call process="t:N"/>', '<process name="N"><call process="t:N"/></process>'), ["BPML060 2"]),
    ],
)  # fmt: skip
def test_findings_by_code_and_line(text, found):
    assert [c for c in codes(text, "m.bpml") if c.startswith("BPML")] == found


def test_a_finding_has_its_column_and_a_way_out():
    from flowledger.kernel import model

    _, findings = model.read(package('  <raise signal="t:goo"/>', SIGNAL).encode(), "m.bpml")
    f = next(f for f in findings if f.code == "BPML021")
    assert (f.line, f.column, f.file) == (3, 3, "m.bpml") and "did you mean go?" in f.message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7), ("(1 + 2) * 3", 9), ("7 mod 4", 3), ("8 div 2", 4), ("-$n", -2), ("$n >= 2 and not($n = 3)", True), ("$n != 2 or false()", False),
        ("concat('a', \"b\", $n)", "ab2"), ("$o/a/b", 5), ("$xs[2]", 20), ("$o/@c", "x"), ("count($xs)", 2), ("sum($xs)", 30), ("round(2.5)", 3),
        ("substring-before('a-b', '-')", "a"), ("string-length('abc')", 3), ("contains('abc', 'b')", True), ("boolean('')", False), ("normalize-space(' a  b ')", "a b"),
        ("x:property('n') + 1", 3),
        ("x:instant-compare('2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z')", -1),
    ],
)  # fmt: skip
def test_xpath_as_feel(text, value):
    variables = {"n": 2, "o": {"a": {"b": 5}, "c": "x"}, "xs": [10, 20]}
    translated = xpath.to_feel(text, lambda name, at: name, canonical=lambda n: n.replace("x:", "bpmlx:"))
    assert feel.evaluate(translated, variables) == value


@pytest.mark.parametrize(
    ("text", "at"),
    [("1 +", 4), ("//a", 1), ("a | b", 1), ("$x[. = 1]", 4), ("position()", 1), ("not(1, 2)", 1), ("'open", 1), ("(" * 100, 61), ("", 1)],
)
def test_what_feel_has_no_word_for(text, at):
    with pytest.raises(xpath.Untranslatable) as e:
        xpath.to_feel(text, lambda name, at: name)
    assert e.value.at == at
