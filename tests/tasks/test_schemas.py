"""JSON Schema checks: the official suite's cases for draft 2020-12, and jsonschema-rs on the same schemas and values.

`samples/json-schema-2020-12` is json-schema-org/JSON-Schema-Test-Suite (MIT), a line for each group of cases. Not in it: `refRemote` (nothing is
fetched), `format` (an annotation there, checked here) and `vocabulary` (metaschemas of one's own).
"""

import itertools
import json
from decimal import Decimal
from pathlib import Path

import jsonschema_rs
import pytest

from flowledger.events.base import Heavy
from flowledger.kernel import Facts
from flowledger.kernel.tasks.formats import FORMATS
from flowledger.kernel.tasks.schema_rules import problems
from flowledger.kernel.tasks.schemas import check

SCHEMAS = [
    {"type": "integer", "minimum": 1, "exclusiveMaximum": 5},
    {"type": ["string", "null"], "minLength": 2, "maxLength": 3, "pattern": "^a"},
    {"enum": [1, "a", None, {"x": [1]}]},
    {"const": 1},
    {"type": "object", "required": ["x"], "properties": {"x": {"type": "number", "multipleOf": 0.5}}, "additionalProperties": False},
    {"type": "object", "patternProperties": {"^n_": {"type": "number"}}, "additionalProperties": {"type": "string"}, "minProperties": 1, "maxProperties": 2},
    {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3, "uniqueItems": True},
    {"type": "array", "prefixItems": [{"type": "string"}], "items": False},
    {"type": "array", "contains": {"const": 1}, "minContains": 1, "maxContains": 2},
    {"anyOf": [{"type": "string"}, {"minimum": 3}]},
    {"oneOf": [{"type": "number"}, {"minimum": 3}]},
    {"allOf": [{"type": "number"}, {"not": {"const": 3}}]},
    {"if": {"type": "number"}, "then": {"minimum": 2}, "else": {"type": "string"}},
    {
        "$defs": {"tree": {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}, "additionalProperties": False}},
        "$ref": "#/$defs/tree",
    },
    {"dependentRequired": {"x": ["y"]}, "propertyNames": {"maxLength": 4}, "dependentSchemas": {"y": {"required": ["x"]}}},
    True,
    False,
    {},
]  # fmt: skip
VALUES = [
    None, True, False, 0, 1, 1.0, 1.5, 3, 4, 5, -1, "", "a", "ab", "abc", "abcd", "b", [], [1], [1, 1], [1, 1, 1], [1, 2, 3, 4], ["a"], ["a", 1], [True, 1],
    {}, {"x": 1}, {"x": 1.25}, {"x": 1, "y": 2}, {"y": 1}, {"x": [1]}, {"n_a": 1}, {"n_a": "t", "z": "t"}, {"z": "t", "q": "u", "r": "v"}, {"longname": 1},
    {"kids": [{"kids": []}, {}]}, {"kids": [{"cats": 1}]}, {"kids": 3},
]  # fmt: skip


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_the_same_answer_as_a_full_implementation(schema):
    assert problems(schema) == []
    full = jsonschema_rs.validator_for(schema)
    for value in VALUES:
        assert (check(schema, value) == []) is full.is_valid(value), value


SUITE = Path(__file__).parent / "samples/json-schema-2020-12"
#: groups whose schemas are refused, since they lead to another document
ELSEWHERE = {
    "remote ref, containing refs itself", "validate definition against metaschema", "strict-tree schema, guards against misspelled properties",
    "tests for implementation dynamic anchor and reference link", "$ref and $dynamicAnchor are independent of order - $defs first",
    "$ref and $dynamicAnchor are independent of order - $ref first", "$ref to $dynamicRef finds detached $dynamicAnchor",
}  # fmt: skip


@pytest.mark.parametrize("file", sorted(f.stem for f in SUITE.glob("*.json")))
def test_the_cases_of_the_official_suite(file):
    for group in json.loads((SUITE / f"{file}.json").read_text(), parse_float=Decimal):
        wrong = problems(group["schema"])
        if group["description"] in ELSEWHERE:
            assert "leads out" in wrong[0], group["description"]
            continue
        assert wrong == [], group["description"]
        for case in group["tests"]:
            assert (check(group["schema"], case["data"]) == []) is case["valid"], (group["description"], case["description"])


def test_what_nobody_looked_at_is_told_with_its_place():
    address = {"properties": {"city": {"type": "string"}}, "required": ["city"]}
    schema = {
        "properties": {
            "to": {"allOf": [{"$ref": "#/$defs/address"}], "properties": {"name": {}}, "unevaluatedProperties": False},
            "lines": {"prefixItems": [True], "contains": {"type": "string"}, "unevaluatedItems": {"type": "integer"}},
        },
        "$defs": {"address": address},
    }  # fmt: skip
    assert problems(schema) == []
    assert check(schema, {"to": {"city": "x", "name": 1}, "lines": [None, "a", 2]}) == []
    assert check(schema, {"to": {"city": "x", "zip": 1}, "lines": [None, "a", False]}) == [
        "to: 'zip' is not known", "lines[2]: expected integer, found boolean",
    ]  # fmt: skip


def test_a_list_of_anything_is_made_one_of_something():
    """How `$dynamicRef` serves: a generic schema leaves a place open, and who uses it fills it."""
    generic = {
        "$id": "list", "type": "array", "items": {"$dynamicRef": "#item"}, "$defs": {"any": {"$dynamicAnchor": "item"}},
    }  # fmt: skip
    numbers = {"$id": "numbers", "$ref": "list", "$defs": {"list": generic, "number": {"$dynamicAnchor": "item", "type": "number"}}}
    assert problems(generic) == problems(numbers) == []
    assert check(generic, ["x"]) == [] and check(numbers, [1]) == []
    assert check(numbers, [1, "x"]) == ["[1]: expected number, found string"]


#: format -> texts; which of them fit is told by another implementation
TEXTS = {
    "date": ["2026-01-31", "2026-02-30", "20260131", "2026-W05-1", "2026-1-1", "", "2024-02-29", "2023-02-29", "2026-01-31T", "٢026-01-31"],
    "time": [
        "10:00:00",
        "10:00:00Z",
        "10:00:00z",
        "10:00:00.5+01:00",
        "25:00:00Z",
        "10:60:00Z",
        "23:59:60Z",
        "22:59:60Z",
        "00:59:60+01:00",
        "10:00Z",
        "T10:00:00Z",
        "10:00:00+24:00",
        "10:00:00+0100",
        "10:00:61Z",
    ],
    "date-time": [
        "2026-01-31T10:00:00Z",
        "2026-01-31t10:00:00z",
        "2026-01-31 10:00:00Z",
        "2026-01-31T10:00:00",
        "2026-01-31T10Z",
        "2026-02-30T10:00:00Z",
        "2026-01-31T23:59:60Z",
        "2026-01-31",
        "2026-01-31T10:00:00.123-05:30",
    ],
    "duration": [
        "P1Y",
        "P1M",
        "P1D",
        "PT1H",
        "P1DT2H",
        "P2W",
        "P",
        "PT",
        "P1YT",
        "PT1D",
        "4DT",
        "P2D1Y",
        "P1D2H",
        "P2S",
        "P1Y2W",
        "PT0S",
        "PT36H",
        "P1",
        "P1.5D",
        "PT1H30S",
        "P1Y2D",
        "p1d",
    ],
    "email": [
        "a@b.ch",
        "a@b",
        "joe.bloggs@example.com",
        "2962",
        "te~st@example.com",
        '"joe bloggs"@example.com',
        ".test@example.com",
        "te..st@example.com",
        "joe@[127.0.0.1]",
        "joe@[IPv6:::1]",
        "joe@invalid=domain.com",
        "joe@[127.0.0.300]",
        "ä@b.ch",
        "a@b@c.de",
    ],
    "idn-email": ["실례@실례.테스트", "2962", "joe@example.com"],
    "hostname": ["a.b", "example.com", "-a", "a-", "a_b", "", "a" * 63, "a" * 64, "xn--nxasmq6b", ".a", "a..b", "1host", "not a host"],
    "idn-hostname": ["실례.테스트", "ä.de", "-ä", "a b", ""],
    "ipv4": ["10.0.0.255", "10.0.0.256", "1.2.3", "01.2.3.4", "1.2.3.4.5", "0x7f.1.1.1"],
    "ipv6": [
        "::1",
        "::",
        "1::2::3",
        "12345::",
        "::ffff:1.2.3.4",
        "1:2:3:4:5:6:7:8",
        "1:2:3:4:5:6:7:8:9",
        "fe80::1%eth0",
        "::1/64",
        "::laptop",
    ],
    "uri": [
        "http://a/b",
        "a b",
        "urn:x",
        "//a/b",
        "/a",
        "http://a/b?c#d",
        "http://[::1]:80/",
        "mailto:a@b",
        "\\\\win",
        "http://a b",
        "http://ä/",
        "http:// x",
        ":// should fail",
        "http://a/%zz",
        "http://foo.bar/?baz=qux#quux",
    ],
    "uri-reference": ["/abc", "//a/b", "a:b", "abc", "#f", "\\\\win", "#frag\\ment", "a b", "", "?q", "1:2"],
    "iri": ["http://ƒøø.ßår/?∂éœ=πîx#πîüx", "/abc", "âππ", "http://2001:0db8:85a3:0000:0000:8a2e:0370:7334"],
    "iri-reference": ["/âππ", "âππ", "#ƒräg", "#ƒräg\\mênt", "\\\\WINDOWS"],
    "uri-template": ["http://e.com/{id}", "http://e.com/{id", "{a,b}", "{?q*}", "{x:3}", "no}", "{}"],
    "uuid": ["123e4567-e89b-12d3-a456-426614174000", "123", "123e4567e89b12d3a456426614174000", "123E4567-E89B-12D3-A456-426614174000"],
    "json-pointer": ["", "/a", "/a~0b", "/a~2", "a", "/a/", "#/a"],
    "relative-json-pointer": ["0", "1/a", "0#", "01/a", "-1/a", "1#/a", "/a", ""],
    "regex": ["^a$", "(", "[a-z]+", "a{2,1}"],
}


@pytest.mark.parametrize("name", TEXTS)
def test_formats(name):
    schema = {"type": "string", "format": name}
    full = jsonschema_rs.validator_for(schema, validate_formats=True)
    found = {text: check(schema, text) == [] for text in TEXTS[name]}
    assert found == {text: full.is_valid(text) for text in TEXTS[name]}
    assert set(found.values()) == {True, False} and check({"format": name}, 5) == []


def test_every_format_of_the_standard_is_checked_and_another_is_not():
    assert set(TEXTS) == set(FORMATS) and len(FORMATS) == 19
    assert check({"format": "postcode"}, "anything") == []


def test_an_anchor_is_found_and_one_that_is_none_is_told():
    tree = {
        "$anchor": "tree",
        "type": "object",
        "properties": {"kids": {"type": "array", "items": {"$ref": "#tree"}}},
        "required": ["name"],
    }
    schema = {"type": "object", "properties": {"root": {"$ref": "#tree"}}, "$defs": {"t": tree}}
    assert problems(schema) == [] and "leads nowhere" in problems({"$ref": "#tree"})[0]
    assert check(schema, {"root": {"name": 1, "kids": [{"name": 2}]}}) == []
    assert check(schema, {"root": {"name": 1, "kids": [{}]}}) == ["root.kids[0]: 'name' is missing"]


def test_messages_say_where_what_was_expected_and_found():
    schema = {"properties": {"items": {"items": {"required": ["sku"], "properties": {"n": {"type": "integer"}}}}}}
    assert check(schema, {"items": [{"sku": 1}, {"n": "x"}]}) == [
        "items[1]: 'sku' is missing",
        "items[1].n: expected integer, found string",
    ]


def test_at_most_twenty_errors():
    assert len(check({"items": {"type": "string"}}, list(range(100)))) == 20


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"type": "text"}, "schema.type"), ({"properties": {"a": 5}}, "schema.properties.a"), ({"pattern": "("}, "no regular expression"),
        ({"$ref": "https://x/y"}, "leads out"), ({"$ref": "#/nowhere"}, "leads nowhere"), ({"minLength": -1}, "0 or more"), ({"required": "a"}, "names"),
        ({"$recursiveRef": "#"}, "older draft"), ({"unevaluatedProperties": 5}, "an object or a boolean"),
        ({"$dynamicRef": "#x"}, "leads nowhere"), ({"$id": "a#b"}, "without a fragment"), ({"$id": "http://[x"}, "a URI"), ({"$anchor": "a b"}, "a name of"),
        ({"$ref": "#/properties/a/type", "properties": {"a": {"type": "string"}}}, "no schema"), ({"$ref": 5}, "expected a text"),
        ({"$ref": "#/more/a", "more": {"a": {"minLength": "x"}}}, "schema.$ref (#/more/a).minLength"), ({"pattern": 5}, "a text"), ({"type": []}, "one or several"),
        ({"$ref": "item", "$defs": {"i": {"$id": "other"}}}, "leads out"), ({"anyOf": []}, "list of schemas"), ({"enum": 5}, "a list"), ([], "an object or a boolean"),
        ({"minimum": "1"}, "a number"), ({"patternProperties": {"(": {}}}, "no regular expression"), ({"dependentRequired": {"a": "b"}}, "lists of names"),
    ],
)  # fmt: skip
def test_a_bad_schema_is_refused_when_stored(schema, why):
    assert why in "; ".join(problems(schema))


def test_a_schema_that_goes_round_ends():
    assert "deep" in check({"$ref": "#"}, 1)[0]


def test_every_pair_of_values_is_equal_as_json_says():
    for a, b in itertools.combinations([0, False, 1, True, 1.0, "1", None, [], {}], 2):
        assert (check({"const": a}, b) == []) is jsonschema_rs.validator_for({"const": a}).is_valid(b), (a, b)


def test_what_an_error_shows_has_a_bound():
    words = [f"word-{n}" for n in range(50)]
    (text,) = check({"enum": words}, "x" * 1_000_000)
    assert "'word-19' and 30 more, found 'xxx" in text and "(1000002 characters)" in text and len(text) < 800
    (text,) = check({"enum": words[:20]}, "x")
    assert text.endswith("'word-19', found 'x'")
    (text,) = check({"const": ["y" * 5_000]}, "x")
    assert len(text) < 300


def costly(kind):
    """(schema, value) that look harmless: what they take grows by the product of both."""
    many = list(range(30_000))
    return {
        "items that repeat, looked up": ({"uniqueItems": True}, many),
        "nested items that repeat": ({"uniqueItems": True}, [{"a": [n, {"b": n}]} for n in range(20_000)]),
        "one of many, of each item": ({"items": {"enum": [str(n) for n in range(5_000)]}}, [str(n % 5_000) for n in range(5_000)]),
        "patterns of names": ({"patternProperties": {f"^{n}$": {} for n in range(1_000)}}, {str(n): 1 for n in range(2_000)}),
        "no other names than patterns": (
            {"patternProperties": {f"^{n}$": {} for n in range(1_000)}, "additionalProperties": False}, {str(n): 1 for n in range(2_000)},
        ),
        "long text, many patterns": ({"anyOf": [{"pattern": f"x{n}y$"} for n in range(400)]}, "x" * 1_000_000),
        "alternatives, each of which is asked what it looked at": (
            {"anyOf": [{"properties": {str(n): True for n in range(200)}}] * 1_500, "unevaluatedProperties": False}, {str(n): 1 for n in range(200)},
        ),
        "alternatives within": ({"not": {"items": {"anyOf": [{"const": n} for n in range(50)]}}}, many),
        "huge quotients": ({"items": {"multipleOf": Decimal("1E-6000")}}, [Decimal("1E+6000")] * 20_000),
    }[kind]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "ends"),
    [
        ("items that repeat, looked up", True), ("nested items that repeat", False), ("one of many, of each item", False), ("patterns of names", False),
        ("no other names than patterns", False), ("long text, many patterns", False), ("alternatives within", False),
        ("alternatives, each of which is asked what it looked at", False), ("huge quotients", False),
    ],
)  # fmt: skip
def test_what_a_check_takes_is_bounded(kind, ends):
    schema, value = costly(kind)
    left = [40_000]
    wrong = check(schema, value, left)
    assert (wrong == []) is ends and (left[0] >= 0) is ends
    assert ends or "not checked to the end" in wrong[-1]


def test_a_check_counts_among_the_steps_of_its_decision():
    facts = Facts(feel_soft=1_000)
    facts.feel_left = 1_000
    assert facts.validate({"items": {"type": "integer"}}, [1] * 50) == []
    assert 0 < facts.feel_left < 1_000 - 500
    with pytest.raises(Heavy):
        facts.validate({"items": {"type": "integer"}}, [1] * 100)
    facts = Facts()
    assert "not checked to the end" in facts.validate({"items": {"type": "integer"}}, [1] * 200_000)[-1]


@pytest.mark.parametrize(
    ("a", "b", "repeat"),
    [(1, Decimal("1.0"), True), (True, 1, False), (False, 0, False), ("1", 1, False), ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True), ([1, 2], [2, 1], False),
     ([True], [1], False), ({"a": 1}, [["a", 1]], False), (None, False, False), ([], {}, False), ("", None, False)],
)  # fmt: skip
def test_items_repeat_when_they_are_the_same_json(a, b, repeat):
    assert bool(check({"uniqueItems": True}, [a, b])) is repeat
