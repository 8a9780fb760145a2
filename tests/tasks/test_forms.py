"""Forms are checked by the server: what a form asks for, by field, at completion and at the start (form-js's schema)."""

from __future__ import annotations

import json

import pytest
from workbench import Bench, one

from flowledger.events import commands as c
from flowledger.events.base import Rejected
from flowledger.infra import javascript
from flowledger.kernel.ledger.facts import Facts
from flowledger.kernel.tasks import forms, patterns
from flowledger.kernel.tasks.schemas import PATTERN_MAX

NEW_YEAR_US = 1_767_225_600_000_000  # 2026-01-01T00:00Z


def field(kind: str, key: str = "f", **more) -> dict:
    return {"type": kind, "key": key, **more}


@pytest.mark.req("D-API-015", "D-API-012")
@pytest.mark.parametrize(
    ("fields", "sent", "wrong"),
    [
        ([field("textfield", validate={"required": True})], {}, ["f: is required"]),
        ([field("textfield", validate={"required": True})], {"f": ""}, ["f: is required"]),
        ([field("textfield", validate={"required": True})], {"f": None}, ["f: is required"]),
        ([field("textfield", validate={"required": True})], {"f": "x"}, []),
        ([field("textfield")], {}, []),
        ([field("textfield", validate={"required": "=need"})], {"need": True}, ["f: is required"]),
        ([field("textfield", validate={"required": "=need"})], {"need": False}, []),
        ([field("textfield")], {"f": 5}, ["f: expected a text, found 5"]),
        ([field("textfield", validate={"minLength": 3})], {"f": "ab"}, ["f: expected at least 3 characters, found 2"]),
        ([field("textarea", validate={"maxLength": 3})], {"f": "abcd"}, ["f: expected at most 3 characters, found 4"]),
        ([field("textfield", validate={"pattern": "^[A-Z]{2}$"})], {"f": "ab"}, ["f: expected the pattern ^[A-Z]{2}$, found 'ab'"]),
        ([field("textfield", validate={"pattern": "^[A-Z]{2}$"})], {"f": "AB"}, []),
        ([field("textfield", validate={"pattern": "(?:"}), field("textfield", "g", validate={"pattern": "z"})], {"f": "AB", "g": "z"}, []),
        ([field("textfield", validate={"minLength": 2, "maxLength": 2})], {"f": "\U0001f600"}, []),  # two parts, as a browser counts
        ([field("textfield", validate={"validationType": "email"})], {"f": "ab"}, ["f: expected email, found 'ab'"]),
        ([field("textfield", validate={"validationType": "email"})], {"f": "a@b.de"}, []),
        ([field("textfield", validate={"validationType": "phone"})], {"f": "+49 30 123"}, []),
        ([field("number", validate={"min": 1, "max": 10})], {"f": 0}, ["f: expected at least 1, found 0"]),
        ([field("number", validate={"min": 1, "max": 10})], {"f": 10.5}, ["f: expected at most 10, found 10.5"]),
        ([field("number", validate={"min": 1, "max": 10})], {"f": 10}, []),
        ([field("number", validate={"required": True})], {"f": 0}, []),
        ([field("number")], {"f": "5"}, ["f: expected a number, found '5'"]),
        ([field("number", serializeToString=True)], {"f": "5"}, []),
        ([field("number", serializeToString=True)], {"f": "NaN"}, ["f: expected a number as a text, found 'NaN'"]),
        ([field("number", serializeToString=True)], {"f": "-Infinity"}, ["f: expected a number as a text, found '-Infinity'"]),
        ([field("number", validate={"min": "3"})], {"f": 2}, ["f: expected at least 3, found 2"]),
        ([field("number", validate={"max": " 3.5 "})], {"f": 4}, ["f: expected at most 3.5, found 4"]),
        ([field("number", validate={"min": "three", "max": ""})], {"f": 2}, []),
        ([field("textfield", validate={"minLength": "3"})], {"f": "ab"}, ["f: expected at least 3 characters, found 2"]),
        ([field("textfield", validate={"maxLength": 1.5})], {"f": "ab"}, []),
        ([field("number", decimalDigits="2")], {"f": 1.234}, ["f: expected at most 2 decimal places, found 1.234"]),
        ([field("number", decimalDigits=2)], {"f": 1.234}, ["f: expected at most 2 decimal places, found 1.234"]),
        ([field("number", increment=5)], {"f": 12}, ["f: expected a multiple of 5, found 12"]),
        ([field("number", increment=5)], {"f": -15}, []),
        ([field("number", increment="0.1")], {"f": 0.3}, []),
        ([field("number", increment=0.25)], {"f": 1.3}, ["f: expected a multiple of 0.25, found 1.3"]),
        ([field("number", increment="0")], {"f": 1.3}, []),
        ([field("number", increment="x")], {"f": 1.3}, []),
        ([field("number", increment=True)], {"f": 1.3}, []),
        ([field("number", increment="1e-300")], {"f": 1e300}, []),
        ([field("number", increment=5, serializeToString=True)], {"f": "15"}, []),
        ([field("select", values=[{"value": 1}])], {"f": True}, ["f: expected one of 1, found true"]),
        ([field("checklist", values=[{"value": True}])], {"f": [1]}, ["f: expected some of true, found 1"]),
        ([field("checkbox", validate={"required": True})], {"f": False}, ["f: is required"]),
        ([field("checkbox")], {"f": "yes"}, ["f: expected true or false, found 'yes'"]),
        ([field("select", values=[{"value": "a"}, {"value": "b"}])], {"f": "c"}, ["f: expected one of a, b, found 'c'"]),
        ([field("radio", values=[{"label": "a"}])], {"f": "a"}, []),
        ([field("select", valuesKey="offers")], {"f": "z", "offers": ["x", "y"]}, ["f: expected one of x, y, found 'z'"]),
        ([field("select", valuesExpression="=for o in offers return o.id")], {"f": 1, "offers": [{"id": 1}]}, []),
        ([field("select", valuesKey="unknown")], {"f": "z"}, []),
        ([field("checklist", values=[{"value": "a"}])], {"f": ["a", "b"]}, ["f: expected some of a, found 'b'"]),
        ([field("taglist", validate={"required": True}, values=[])], {"f": []}, ["f: is required"]),
        ([field("checklist")], {"f": "a"}, ["f: expected a list, found 'a'"]),
        ([field("datetime")], {"f": "tomorrow"}, ["f: expected a date, found 'tomorrow'"]),
        ([field("datetime")], {"f": "2026-02-01"}, []),
        ([field("datetime", subtype="time")], {"f": "10:30"}, []),
        ([field("datetime", subtype="datetime")], {"f": "2026-02-01T10:30Z"}, []),
        # not asked for
        ([field("textfield", validate={"required": True}, conditional={"hide": "=x = 1"})], {"x": 1}, []),
        ([field("textfield", validate={"required": True}, conditional={"hide": "=x = 1"})], {"x": 2}, ["f: is required"]),
        ([field("textfield", validate={"required": True}, disabled=True)], {}, []),
        ([field("textfield", validate={"required": True}, readonly="=true")], {}, []),
        ([{"type": "text", "text": "hello"}, {"type": "button", "key": "b"}], {}, []),
        # nested
        ([field("textfield", "a.b", validate={"required": True})], {"a": {"b": ""}}, ["a.b: is required"]),
        ([{"type": "group", "path": "g", "components": [field("number", validate={"required": True})]}], {"g": {}}, ["g.f: is required"]),
        ([{"type": "group", "components": [field("number", validate={"required": True})]}], {"f": 1}, []),
        ([{"type": "group", "conditional": {"hide": "=true"}, "components": [field("number", validate={"required": True})]}], {}, []),
        (
            [{"type": "dynamiclist", "path": "l", "components": [field("number", validate={"required": True})]}],
            {"l": [{"f": 1}, {}, {"f": "x"}]},
            ["l[1].f: is required", "l[2].f: expected a number, found 'x'"],
        ),
        ([{"type": "dynamiclist", "path": "l", "components": [field("number")]}], {"l": {"f": 1}}, ['l: expected a list, found {"f":1}']),
        ([{"type": "dynamiclist", "path": "l", "components": [field("number")]}], {"l": [5]}, ["l[0]: expected an object, found 5"]),
        ([{"type": "dynamiclist", "path": "l", "components": [field("number")]}], {}, []),
        ([{"type": "group", "path": "g", "components": [field("number")]}], {"g": 5}, ["g: expected an object, found 5"]),
        (
            [{"type": "group", "path": "g.h", "components": [field("number", "n.m", validate={"min": 1})]}],
            {"g": {"h": {"n": {"m": 0}}}},
            ["g.h.n.m: expected at least 1, found 0"],
        ),
        (
            [
                {
                    "type": "dynamiclist",
                    "path": "l",
                    "components": [
                        field("number"),
                        field("textfield", "why", validate={"required": True}, conditional={"hide": "=this.f < 10"}),
                    ],
                }
            ],
            {"l": [{"f": 1}, {"f": 10}]},
            ["l[1].why: is required"],
        ),
        (
            [{"type": "dynamiclist", "path": "l", "components": [field("number", validate={"required": "=parent.strict and i = 2"})]}],
            {"strict": True, "l": [{}, {}, {}]},
            ["l[1].f: is required"],
        ),
        (
            [
                {
                    "type": "dynamiclist",
                    "path": "l",
                    "components": [{"type": "dynamiclist", "path": "k", "components": [field("number", validate={"max": "=parent.most"})]}],
                }
            ],
            {"l": [{"most": 3, "k": [{"f": 4}, {"f": 3}]}]},
            ["l[0].k[0].f: expected at most 3, found 4"],
        ),
        (
            [{"type": "group", "components": [{"type": "group", "components": [field("checkbox", validate={"required": True})]}]}],
            {},
            ["f: is required"],
        ),
        # each kind of time is written in its own way
        ([field("datetime", subtype="date")], {"f": "2026-02-01T10:00Z"}, ["f: expected a date, found '2026-02-01T10:00Z'"]),
        ([field("datetime", subtype="date")], {"f": "2026-02-30"}, ["f: expected a date, found '2026-02-30'"]),
        ([field("datetime", subtype="time")], {"f": "2026-02-01"}, ["f: expected a time, found '2026-02-01'"]),
        ([field("datetime", subtype="time")], {"f": "25:00"}, ["f: expected a time, found '25:00'"]),
        ([field("datetime", subtype="time")], {"f": "10:30:15+01:00"}, []),
        ([field("datetime", subtype="datetime")], {"f": "2026-02-01"}, ["f: expected a datetime, found '2026-02-01'"]),
        ([field("datetime", subtype="datetime")], {"f": "2026-02-01T10:30+01:00"}, []),
        ([field("datetime", subtype="datetime")], {"f": 5}, ["f: expected a datetime, found 5"]),
        ([field("datetime", disallowPassedDates=True)], {"f": "2025-12-30"}, ["f: expected a date that has not passed, found 2025-12-30"]),
        ([field("datetime", disallowPassedDates=True)], {"f": "2025-12-31"}, []),  # it still is that day somewhere
        ([field("datetime", disallowPassedDates=True)], {"f": "2026-01-01"}, []),
        (
            [field("datetime", subtype="datetime", disallowPassedDates=True)],
            {"f": "2025-12-30T10:00Z"},
            ["f: expected a datetime that has not passed, found 2025-12-30T10:00Z"],
        ),
        # computed limits and options
        ([field("number", validate={"min": "=low"})], {"f": 1, "low": 2}, ["f: expected at least 2, found 1"]),
        ([field("textfield", validate={"maxLength": "=most"})], {"f": "abc", "most": 2}, ["f: expected at most 2 characters, found 3"]),
        ([field("select", values=[{"value": "a"}], validate={"required": True})], {"f": ""}, ["f: is required"]),
        ([field("taglist", valuesExpression="=tags")], {"f": ["x", "q"], "tags": ["x"]}, ["f: expected some of x, found 'q'"]),
        ([field("filepicker", validate={"required": True})], {}, ["f: is required"]),
        ([field("filepicker", validate={"required": True})], {"f": "files::1"}, []),
        (
            [
                {"type": t}
                for t in ("text", "html", "image", "table", "iframe", "separator", "spacer", "button", "documentPreview", "expression")
            ],
            {},
            [],
        ),
    ],
)
def test_fields(fields, sent, wrong):
    assert forms.check({"components": fields}, sent, {}, Facts(now_us=NEW_YEAR_US, javascript=javascript.run)) == wrong


FORM = {"id": "approval", "components": [field("checkbox", "ok", validate={"required": True}), field("number", "sum", validate={"min": 1})]}
TASK = '<userTask id="t"><extensionElements><zeebe:userTask/><zeebe:formDefinition {0}/></extensionElements></userTask>'


def bench(said: str, *, deployed: bool = True, embedded: str = "", start: str = "") -> Bench:
    model = one(TASK.format(said))
    if embedded:
        model = model.replace('isExecutable="true">', f'isExecutable="true"><extensionElements>{embedded}</extensionElements>', 1)
    if start:
        model = model.replace('<startEvent id="s"/>', f'<startEvent id="s"><extensionElements>{start}</extensionElements></startEvent>', 1)
    b = Bench()
    files = [c.Resource("m.bpmn", model), *([c.Resource("approval.form", json.dumps(FORM))] if deployed else [])]
    b.do(c.Deploy(resources=files))
    return b


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (r"^\d{2}\/\d{4}$", ["12/2026"], ["1/2026", "12-2026", "\u0661\u0662/2026"]),  # a slash may be escaped; digits are those of ASCII
        (r"^[\w-]+$", ["a-b_c", "9"], ["a b", "\u00e4"]),  # the underscore is of a word, an umlaut is not
        (r"^[\w\-\.]+@x\.de$", ["a.b-c@x.de"], ["a b@x.de"]),
        (r"\bfoo\b", ["a foo b", "foo"], ["xfoo"]),
        (r"^(?:a|b)+$", ["abba"], ["abc"]),
        (r"^(?<year>\d{4})$", ["2026"], ["26"]),
        (r"^\u00e4\x41\_$", ["\u00e4A_"], ["aA_"]),
        ("^[^]$", ["\n", "x"], ["xx"]),
        ("^b", ["b"], ["a\nb"]),  # the beginning of the text, not of a line
        ("b$", ["b"], ["b\n"]),
        ("^a{,3}$", ["a{,3}"], ["aa"]),  # JavaScript has no such count
        (r"^(a)\1$", ["aa"], ["ab"]),
        (r"^(?=.*[A-Z])(?=.*\d)(?!.*\s).{8,}$", ["Abcdefg1"], ["abcdefg1", "Abcdefgh", "Abcdef 1", "Ab1"]),
        (r"^(?!admin$).+", ["administrator", "bob"], ["admin"]),
        (r"^(?=[)\]]|\()", ["(", ")", "]"], ["x"]),
        (r"^(?=(a|b)c)", ["bc"], ["b"]),
        ("^(a+)+$", ["a" * 40], ["a" * 40 + "!"]),  # and none takes long
        (r"^(?=a)b|c", ["c", "xc"], ["b", "a"]),  # what looks ahead is of the first alternative alone
        (r"^x(?!y)", ["xz"], ["xy"]),  # in the middle
        (r"^[a-z]+(?=-)-(?!0)[0-9]+$", ["ab-10"], ["ab-01", "ab10"]),
        (r"(?<=\u20ac)\d+$", ["\u20ac5"], ["5", "$5"]),  # behind
        (r"(?<!-)\b\d+$", ["a 5"], ["-5"]),
        (r"^(\d)(?!\1)\d$", ["12"], ["11"]),  # both
        (r"^(?<q>['\"]).*\k<q>$", ["'a'", '"b"'], ["'a\""]),
        (r"^[^](?!.)", ["\n"], ["ab"]),
        (r"^(?!.*\p{L})", ["p{L"], ["ap{L}"]),  # without the flag u: the letter p, as a browser has it
        ("(", ["x"], []),  # what is no pattern refuses nothing
        (r"(?=a)(", ["x"], []),
        (r"(?<=a){2", ["a{2"], ["b"]),
        (r"^(?!x)[b-a]", ["x"], []),
    ],
)
def test_patterns_are_those_of_a_browser(pattern, good, bad):
    assert [refusals(pattern, text) for text in good] == [[]] * len(good)
    assert all("expected the pattern" in refusals(pattern, text)[0] for text in bad)


def refusals(pattern: str, *texts: str, sandbox=javascript.run) -> list[str]:
    """A form with a field for each text."""
    fields = [field("textfield", f"f{n}", validate={"pattern": pattern}) for n in range(len(texts))]
    return forms.check({"components": fields}, {f"f{n}": t for n, t in enumerate(texts)}, {}, Facts(NEW_YEAR_US, {}, javascript=sandbox))


AHEAD = "^x(?!y)"


def test_a_pattern_that_asks_javascript_is_bounded():
    assert refusals(AHEAD, "x" * patterns.TEXT_MAX) == []
    [said] = refusals(AHEAD, "x" * (patterns.TEXT_MAX + 1))
    assert said == f"f0: can't be checked by the pattern {AHEAD}: expected at most 10000 characters for a pattern like this, found 10001"
    longest = AHEAD + "|z" * ((PATTERN_MAX - len(AHEAD)) // 2)
    assert refusals(longest, "xz") == [] and "more than 1000 characters" in refusals(longest + "|z", "xz")[0]
    assert refusals(AHEAD, *["xz"] * patterns.ASKED_MAX) == []
    [said] = refusals(AHEAD, *["xz"] * (patterns.ASKED_MAX + 1))
    assert said.startswith(f"f{patterns.ASKED_MAX}: can't be checked") and "too many patterns" in said


@pytest.mark.parametrize("pattern", ["^(a+)+$(?<=a)", r"^(?=(a|a)*b)(a*)*\2$", r"^(?=(.*)*$)(.*)*(.*)*\1b$"])
def test_a_pattern_that_never_ends_refuses_and_is_tried_once(pattern):
    tried = []

    def counted(*asked):
        tried.append(asked)
        return javascript.run(*asked)

    wrong = refusals(pattern, *["a" * 60 + "!"] * 3, sandbox=counted)
    assert len(tried) == 1 and tried[0][-1] == patterns.CPU_S
    assert "it took more than" in wrong[0] and ["one before took too long" in w for w in wrong] == [False, True, True]


def test_without_javascript_such_a_pattern_refuses_and_says_why():
    assert refusals("^x", "xy", sandbox=None) == []
    [said] = refusals(AHEAD, "xz", sandbox=None)
    assert "runs no JavaScript" in said


@pytest.mark.parametrize(
    ("said", "embedded"),
    [
        ('formId="approval"', ""),
        ('formId="approval" bindingType="deployment"', ""),
        ('formKey="camunda-forms:bpmn:own"', f'<zeebe:userTaskForm id="own">{json.dumps(FORM)}</zeebe:userTaskForm>'),
    ],
)
def test_a_task_s_form(said, embedded):
    b = bench(said, embedded=embedded)
    b.start()
    task = b.task()
    told = b.refused(c.CompleteTask(task=task.key, variables={"sum": 0}))
    assert "FORM_INVALID" in told.message and "ok: is required" in told.message and "sum: expected at least 1, found 0" in told.message
    b.do(c.CompleteTask(task=task.key, variables={"ok": True, "sum": 2}))
    assert not b.p.instances


def test_a_form_that_is_not_here_refuses_nothing():
    b = bench('formId="elsewhere"')
    b.start()
    b.do(c.CompleteTask(task=b.task().key))
    assert not b.p.instances


def test_a_start_form():
    b = bench('formId="approval"', start='<zeebe:formDefinition formId="approval"/>')
    told = b.ask(c.StartInstance(id="p"))
    assert isinstance(told, Rejected) and "the start form of 'p': ok: is required" in told.message
    b.do(c.StartInstance(id="p", variables={"ok": True}))
    assert len(b.p.instances) == 1
