"""Which schemas are accepted, and that the refused ones cost little to refuse."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from lambdaagent.json_schema import structure
from lambdaagent.json_schema.structure import Budget, faults

RICH: dict[str, Any] = {
    "$schema": structure.DIALECT,
    "$id": "https://example.com/order",
    "type": "object",
    "$defs": {"address": {"$anchor": "addressDef", "type": "object", "properties": {"city": {"type": "string"}}}},
    "properties": {
        "name": {"type": "string", "pattern": "^[A-Z]", "format": "email", "title": "Name"},
        "to": {"$ref": "#/$defs/address"},
        "from": {"$ref": "#addressDef"},
        "amount": {"type": ["number", "null"], "exclusiveMinimum": 0, "multipleOf": 0.01},
        "odd/na~me": {"enum": [1, {"$ref": "http://not.a.reference"}]},
        "again": {"$ref": "#/properties/odd~1na~0me"},
    },
    "allOf": [{"anyOf": [{"required": ["name"]}, {"required": ["to"]}]}],
    "if": {"properties": {"name": {"const": "x"}}},
    "then": {"required": ["to"]},
    "else": True,
    "dependentRequired": {"to": ["from"]},
    "x-ours": {"anything": [1]},
    "additionalProperties": False,
}


def test_a_schema_with_what_the_dialect_has_is_accepted() -> None:
    assert faults(RICH, Budget()) == []
    Draft202012Validator.check_schema(RICH)


def nested(levels: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(levels):
        found = {"items": found}
    return found


def doubling(times: int) -> dict[str, Any]:
    """Each definition refers to the next one twice."""
    definitions = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(times)}
    return {"$ref": "#/$defs/d0", "$defs": {**definitions, f"d{times}": {"type": "string"}}}


@pytest.mark.parametrize(
    ("schema", "at", "why"),
    [
        ({"description": "x" * 70_000}, (), "70018 bytes"),
        (nested(300), (), "cannot be written"),
        (nested(21), ("items",) * 21, "20 levels"),
        ({"properties": {str(n): {} for n in range(1_001)}}, ("properties", "999"), "1000 subschemas"),
        (doubling(10), (), "counted for each reference"),
        (doubling(40), ("$defs", "d20"), "too deep"),
        ({"$ref": "#"}, ("$ref",), "leads back"),
        ({"properties": {"child": {"$ref": "#"}}}, ("properties", "child", "$ref"), "leads back"),
        (
            {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
            ("$defs", "b", "$ref"),
            "leads back",
        ),
        ({"$ref": "https://example.com/s"}, ("$ref",), "nothing is fetched"),
        ({"$ref": "file:///etc/passwd"}, ("$ref",), "nothing is fetched"),
        ({"$ref": "other.json"}, ("$ref",), "nothing is fetched"),
        ({"$ref": 3}, ("$ref",), "within the schema"),
        ({"$ref": "#/$defs/absent"}, ("$ref",), "no subschema"),
        ({"$ref": "#/enum/0", "enum": [{"type": "string"}]}, ("$ref",), "no subschema"),
        ({"$dynamicRef": "#x"}, ("$dynamicRef",), "not supported"),
        ({"items": {"$id": "urn:x"}}, ("items", "$id"), "not supported"),
        ({"items": {"$schema": structure.DIALECT}}, ("items", "$schema"), "not supported"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, ("$schema",), "the dialect is"),
        ({"type": "strng"}, ("type",), "must be one of"),
        ({"type": []}, ("type",), "must be one of"),
        ({"items": [{}]}, ("items",), "must be a schema"),
        ({"allOf": []}, ("allOf",), "list of schemas"),
        ({"properties": []}, ("properties",), "object of schemas"),
        ({"required": ["a", "a"]}, ("required",), "different texts"),
        ({"exclusiveMinimum": True}, ("exclusiveMinimum",), "a number"),
        ({"maxLength": -1}, ("maxLength",), "0 or more"),
        ({"multipleOf": 0}, ("multipleOf",), "above 0"),
        ({"pattern": "(a"}, ("pattern",), "cannot be used"),
        ({"pattern": "(?=a)b"}, ("pattern",), "look-around"),
        ({"pattern": r"(a)\1"}, ("pattern",), "backreferences"),
        ({"pattern": "x" * 257}, ("pattern",), "longer than 256"),
        ({"pattern": 3}, ("pattern",), "must be a text"),
        ({"pattern": r"\w{1000}"}, ("pattern",), "too large"),
        ({"pattern": "((((a{99}){99}){99}){99})"}, ("pattern",), "too large"),
        ({"patternProperties": {"(?!x)": {}}}, ("patternProperties", "(?!x)"), "look-around"),
        ({"patternProperties": {"x": {}}, "unevaluatedProperties": False}, ("unevaluatedProperties",), "together"),
        ({"const": 2**70}, (), "cannot be written"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_refused_is_named_at_once(schema: dict[str, Any], at: tuple[Any, ...], why: str) -> None:
    begun = time.perf_counter()
    found = faults(schema, Budget())
    assert time.perf_counter() - begun < 0.05
    assert found[0][0] == at
    assert why in found[0][1]


def test_the_schemas_of_an_agent_share_a_budget() -> None:
    budget, large = Budget(), {"description": "x" * 60_000}
    assert [bool(faults(large, budget)) for _ in range(5)] == [False] * 4 + [True]
    budget = Budget()
    assert [bool(faults({"pattern": r"\w{30}"}, budget)) for _ in range(3)] == [False, False, True]


ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["object", "string", "#", "#/$defs/a", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=3),
    max_leaves=5,
)
KEYWORDS = st.sampled_from(
    [*Draft202012Validator.VALIDATORS, "$defs", "$id", "$anchor", "$schema", "else", "then", "title"]
)


@given(st.dictionaries(KEYWORDS, ANY, max_size=4))
def test_what_is_accepted_is_valid_in_the_dialect(schema: dict[str, Any]) -> None:
    if not faults(schema, Budget()) and not {"$id", "$anchor"} & set(schema):
        Draft202012Validator.check_schema(schema)
