"""The JSON Schema subset against jsonschema-rs, on the same schemas and values."""

import itertools

import jsonschema_rs
import pytest

from flowledger.kernel.tasks.schemas import check, problems

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


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("date", "2026-01-31", "2026-02-30"), ("date-time", "2026-01-31T10:00:00Z", "2026-01-31T10:00:00"), ("email", "a@b.ch", "a@b"),
        ("uri", "https://a/b", "a b"), ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123"), ("ipv4", "10.0.0.255", "10.0.0.256"),
        ("time", "10:00:00", "25:00"),
    ],
)  # fmt: skip
def test_formats(name, good, bad):
    schema = {"type": "string", "format": name}
    assert check(schema, good) == [] and check(schema, bad) and check({"format": name}, 5) == []


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
        ({"unevaluatedProperties": False}, "not supported"), ({"anyOf": []}, "list of schemas"), ({"enum": 5}, "a list"), ([], "an object or a boolean"),
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
