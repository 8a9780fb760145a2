"""Expressions of Camunda 7 and its relatives keep their meaning. Values by EL 2.2: coercion 1.18, comparison 1.8, arithmetic 1.7, properties 1.6."""

from decimal import Decimal
from types import SimpleNamespace

import pytest
from scenario import Scenario

from flowledger.events import commands as c
from flowledger.kernel import feel
from flowledger.kernel.expressions import Failure
from flowledger.kernel.model.dialects import juel
from flowledger.kernel.model.dialects.juel import parser


class Facts:
    now_us = 1_700_000_000_000_000
    about = SimpleNamespace(key=2251799813685300, business_key="order-7", definition=41, tenant="")


VARIABLES = {
    "n": 2, "d": Decimal("2.5"), "t": "2", "word": "Plan B", "yes": True, "no": False, "none": None, "empty_text": "", "items": [1, 2, 3],
    "names": ["x", "y"], "m": {"a-b": 1, "list": [{"v": 7}], "k": "v"}, "zero": 0, "nothing": [], "void": {},
}  # fmt: skip


def value(text: str):
    return juel.compile_template(text, juel.parse(text))(VARIABLES, Facts())


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        # comparison: numbers win over texts, then truth values, then texts; null equals null only and is never ordered
        ('n == "2"', True), ('"2" == n', True), ("t > 1", True), ("t < 10", True), ('"10" < "9"', True), ('yes == "true"', True), ('yes == "TRUE"', True),
        ('no == "x"', True), ("none == null", True), ("none == 0", False), ("none > 1", False), ("none <= null", True), ("n != 3", True), ("n ne 2", False),
        ("d == 2.50", True), ("d ge 2", True), ('word == "Plan B"', True), ('"a" lt "b"', True), ("items == items", True),
        # logic
        ("!none", True), ("not yes", False), ('!"true"', False), ("yes && n > 1", True), ("no || t == 2", True), ("yes and no or yes", True),
        # arithmetic
        ("n + t == 4", True), ("n + t", 4), ('"1.5" + 1', Decimal("2.5")), ("none + none", 0), ("none + 1", 1), ("7 / 2", Decimal("3.5")), ("6 div 3", 2),
        ("7 mod 3", 1), ("-7 % 3", -1), ("-n * 3", -6), ("2 + 3 * 4", 14), ("(2 + 3) * 4", 20), ("1e2", Decimal("1E+2")), (".5 + .5", Decimal("1.0")),
        # empty
        ("empty none", True), ("empty empty_text", True), ("empty nothing", True), ("empty void", True), ("empty zero", False), ("not empty items", True),
        ("!empty word && n == 2", True),
        # properties: lists count from 0, outside is null, null has null parts
        ("items[0]", 1), ("items[2]", 3), ("items[3]", None), ('items["1"]', 2), ("items[n]", 3), ('m["a-b"]', 1), ("m.k", "v"), ("m.missing", None),
        ("m.list[0].v == 7", True), ("none.x.y", None), ("none[3]", None), ("m.missing[0]", None),
        # methods
        ("items.size() > 0", True), ("!items.isEmpty()", True), ('word.equals("Plan B")', True), ('m.get("k")', "v"), ("items.contains(2)", True),
        ("items.get(1)", 2), ('word.equalsIgnoreCase("PLAN b")', True), ("word.length()", 6), ('word.startsWith("Pl")', True), ('word.endsWith("B")', True),
        ("word.substring(5)", "B"), ("word.substring(0, 4)", "Plan"), ('word.indexOf("B")', 5), ("word.toUpperCase()", "PLAN B"), ('"  a ".trim()', "a"),
        ('word.replace("B", "C")', "Plan C"), ('m.containsKey("k")', True), ('m.getOrDefault("z", 9)', 9), ("m.list.size()", 1), ("n.toString()", "2"),
        ('names.indexOf("y")', 1), ("d.intValue()", 2), ('word.concat("!")', "Plan B!"), ("word.charAt(0)", "P"), ("t.compareTo(\"3\")", -1),
        ('word.matches("P.*B")', True), ('word.matches("P.*n")', False), ('"a,b,,c,,".split(",")', ["a", "b", "", "c"]), ('"a|b".split("|")', ["a", "|", "b"]),
        ('"abc".split("")', ["a", "b", "c"]), ('"a1b2c".split("[0-9]", 2)', ["a", "b2c"]), ('"".split(",")', [""]), ('",a".split(",")', ["", "a"]),
        ('"a,,".split(",", -1)', ["a", "", ""]), ('"ä1ö2".split("[0-9]")', ["ä", "ö"]), ('word.replaceAll("[a-z]+", "*")', "P* B"),
        ('"x1y2".replaceAll("([a-z])([0-9])", "$2$1")', "1x2y"), ('"a.b".replaceFirst("[.]", "\\\\$")', "a$b"), ('"a-b-c".replaceFirst("-", "+")', "a+b-c"),
        ('" a ".strip()', "a"), ('"ab".repeat(3)', "ababab"), ("items.lastIndexOf(3)", 2), ("items.lastIndexOf(9)", -1), ("items.subList(1, 3)", [2, 3]),
        ("items.getFirst()", 1), ("items.getLast()", 3),
        # what collections compare is Java's equals: nothing is converted, and nothing is wrong with another kind
        ('items.contains("2")', False), ('items.indexOf("2")', -1), ("names.contains(1)", False), ('names.contains("y")', True), ("items.contains(true)", False),
        ("items.contains(2.0)", True), ("items.contains(none)", False), ("m.containsValue(1)", True), ('m.containsValue("1")', False),
        ("m.values().contains(none)", False),
        # the engine's objects, and time
        ('execution.getVariable("n")', 2), ('execution.getVariable("gone")', None), ('execution.hasVariable("n")', True), ('task.hasVariable("q")', False),
        ("execution.processInstanceId", "2251799813685300"), ("execution.getProcessInstanceId()", "2251799813685300"),
        ("execution.businessKey", "order-7"), ("execution.processBusinessKey", "order-7"), ('execution.getProcessBusinessKey().startsWith("order")', True),
        ("execution.getBusinessKey() == \"order-7\"", True), ("execution.processInstanceBusinessKey.length()", 7), ("execution.processDefinitionId", "41"),
        ("execution.tenantId", None), ("empty execution.getTenantId()", True),
        ("now().plusDays(2)", "2023-11-16T22:13:20+00:00"), ("dateTime().plusMonths(3).toDate()", "2024-02-14T22:13:20+00:00"),
        ("dateTime().minusHours(1)", "2023-11-14T21:13:20+00:00"), ("now().isBefore(now().plusSeconds(1))", True),
        # choice
        ("n > 1 ? \"many\" : \"one\"", "many"), ("none ? 1 : no ? 2 : 3", 3), ('"}" == "}" ? 1 : 2', 1), ("'it\\'s'", "it's"),
    ],
)  # fmt: skip
def test_the_value_is_juels(text, wanted):
    found = value("${" + text + "}")
    assert (found, type(found)) == (wanted, type(wanted))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a ${n} b", "a 2 b"), ("${n}${t}", "22"), ("[${none}]", "[]"), ("#{n}", 2), (r"\${n}", "${n}"), ("${word} } ${yes}", "Plan B } true"),
        ("${items}.", "[1, 2, 3]."), ("${m.list} ", "[{v=7}] "),
    ],
)  # fmt: skip
def test_texts_with_expressions(text, wanted):
    assert value(text) == wanted


@pytest.mark.parametrize(
    "text",
    ["missing", "missing.x", 'n == "abc"', '"abc" + 1', "1 / 0", "1 % 0", "n.x", "word.x", "items.get(9)", "word.substring(9)", "none.size()", "n.size()",
     "items > 1", "1e400 * 1e400", 'word.matches("(?=P)")', 'word.replaceAll("P", "$1")', 'word.repeat(0 - 1)', 'nothing.getFirst()', 'items.subList(2, 1)',
     '"9999999999999999999999" + "x"'],
)  # fmt: skip
def test_what_these_engines_raise_is_an_incident(text):
    with pytest.raises(Failure) as e:
        value("${" + text + "}")
    assert e.value.code == "EXTRACT_VALUE_ERROR" and text in e.value.message


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("${", "does not end"), ("${n", "does not end"), ("${n +}", "expected a value"), ("${n n}", "expected '}'"), ("${a..b}", "expected a name"),
        ("${items[1}", "expected ']'"), ("${f(1)}", "function 'f'"), ("${fn:length(x)}", "fn:length"), ("${bean.call(x)}", "method 'call'"),
        ("${execution.id}", "object 'execution'"), ("${execution.currentActivityId}", "businessKey, processBusinessKey"),
        ("${execution.getCurrentActivityName()}", "method 'getCurrentActivityName'"), ("${execution.getBusinessKey(1)}", "method 'getBusinessKey'"),
        ("${task.businessKey}", "object 'task'"), ("${task.assignee}", "object 'task'"), ("${execution.parentId}", "object 'execution'"),
        ("${execution[\"businessKey\"]}", "object 'execution'"),
        ("${execution}", "object 'execution'"), ("${a instanceof b}", "expected '}'"), ("${~a}", "not understood"),
        ("${word.codePoints()}", "method 'codePoints'"), ("${x ? 1}", "expected ':'"), ("${" + "(" * 61 + "1" + ")" * 61 + "}", "levels"),
        ("${" + "!" * 61 + "yes}", "levels"), ("x" * (parser.LENGTH_MAX + 1), "at most"),
    ],
)  # fmt: skip
def test_what_is_no_juel_is_told_with_its_place(text, why):
    with pytest.raises(juel.JuelError, match="character"):
        try:
            juel.compile_template(text, juel.parse(text))
        except juel.JuelError as e:
            assert why in str(e)
            raise


def test_limits_at_their_edge():
    assert juel.parse("x" * parser.LENGTH_MAX)
    assert value("${" + "(" * (parser.DEPTH_MAX - 1) + "1" + ")" * (parser.DEPTH_MAX - 1) + "}") == 1


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("${a.b + c[d]}", {"a", "c", "d"}),
        ('${execution.getVariable("x")} ${y}', {"x", "y"}),
        ("plain", set()),
        ("${now()}", set()),
        ("${execution.businessKey + x}", {"x"}),
    ],
)
def test_what_an_expression_reads(text, names):
    assert juel.compile_template(text, juel.parse(text)).reads == names


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("${amount > 10 && !approved}", "amount > 10 and not(approved)"), ("${a == 'x' || b != 3}", 'a = "x" or b != 3'),
        ('${execution.getVariable("x") == 1}', "x = 1"), ("${ok ? 1 : 2}", "if ok then 1 else 2"), ("${a.b.c lt 5}", "a.b.c < 5"),
        ("${items[0] == 1}", "items[1] = 1"), ('${m["a-b"]}', 'get value(m, "a-b")'), ("${items.size()}", "count(items)"), ("${(a + b) * c}", "(a + b) * c"),
        ("${a - (b - c)}", "a - (b - c)"), ('Hello ${name}', '"Hello " + string(name)'), ('${kind.equals("a")}', 'kind = "a"'),
    ],
)  # fmt: skip
def test_conversion_says_it_in_feel(text, wanted):
    found = juel.template_to_feel(juel.parse(text))
    assert found == wanted
    feel.compile(found)


@pytest.mark.parametrize(
    "text",
    [
        "${a % 2}",
        "${items[n]}",
        "${word.charAt(0)}",
        "${now().plusDays(1)}",
        "${bean}".replace("bean", "execution"),
        "${execution.businessKey}",
        "${execution.getProcessInstanceId()}",
    ],
)
def test_conversion_leaves_what_feel_has_no_words_for(text):
    with pytest.raises(juel.Untranslatable):
        juel.template_to_feel(juel.parse(text))


def test_a_failing_condition_is_an_incident_of_its_token():
    s = Scenario("startEvent s\nexclusiveGateway g\nendEvent a\nendEvent b\ns > g\ng > a ? ${amount > limit}\ng > b !").start(
        "p", amount=11
    )
    assert any("EXTRACT_VALUE_ERROR" in str(w).upper() for w in s.words) or s.state.incidents


@pytest.mark.parametrize("text", ["word.split('')", "word.replaceAll('', 'x')"])
def test_a_text_is_parted_at_so_many_places_only(text):
    """A step takes a bounded time, whatever the text is."""
    compiled = juel.compile_template("${" + text + "}", juel.parse("${" + text + "}"))
    with pytest.raises(Failure) as e:
        compiled({"word": "ä" * 900_000}, Facts())
    assert "10000 places" in e.value.message


def test_nothing_is_told_of_an_instance_where_there_is_none():
    with pytest.raises(Failure, match="there is no instance here to tell its businessKey"):
        juel.compile_template("${execution.businessKey}", juel.parse("${execution.businessKey}"))({}, SimpleNamespace(now_us=0, about=None))


@pytest.mark.parametrize(("key", "end"), [("order-7", "a"), ("order-8", "b"), ("", "b")])
def test_a_flow_asks_for_the_business_key_of_its_own_instance(key, end):
    s = Scenario("startEvent s\nexclusiveGateway g\nuserTask a\nuserTask b\ns > g\ng > a ? ${execution.businessKey == 'order-7'}\ng > b !")
    s.do(c.StartInstance(id="p", business_key="order-7"))  # another's is none of its business
    key_of = s.do(c.StartInstance(id="p", business_key=key))["key"]
    assert [t.element for t in s.p.tasks.values() if t.instance == key_of] == [end]
