"""Values against schemas: the same verdict as `jsonschema`'s own, with paths, at a bounded cost."""

import contextlib
import resource
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from tests.parts.lag import slowness

from lambdaagent.json_schema import patterns
from lambdaagent.json_schema.checker import Checker, ExhaustedError, few_values
from lambdaagent.json_schema.structure import DIALECT, Budget, faults

SCHEMA: dict[str, Any] = {
    "$schema": DIALECT,
    "type": "object",
    "properties": {
        "a": {"type": "object", "properties": {"b": {"type": "array", "items": {"$ref": "#/$defs/count"}}}},
        "name": {"type": "string", "pattern": "^x"},
        "size": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "tags": {"type": "array", "uniqueItems": True},
        "when": {"format": "date-time"},
    },
    "patternProperties": {"^x-": {"type": "boolean"}},
    "additionalProperties": False,
    "required": ["name"],
    "$defs": {"count": {"type": "number", "minimum": 0}},
}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"name": "x"}, []),
        ({"name": "x", "x-on": True, "when": "yesterday", "size": None}, []),
        ({}, ["arguments.name: is required and missing"]),
        ({"name": "y"}, ["arguments.name: 'y' does not match '^x'"]),
        ({"name": "x", "y": 1}, ["arguments.y: is not known to the schema"]),
        ({"name": "x", "x-on": 1}, ["arguments.x-on: 1 is not of type 'boolean'"]),
        ({"name": "x", "a": {"b": [1, -1]}}, ["arguments.a.b[1]: -1 is less than the minimum of 0"]),
        ({"name": "x", "tags": [1, {"k": [2]}, {"k": [2.0]}]}, ["arguments.tags[2]: is there twice"]),
        ({"name": "x", "size": "large"}, ["arguments.size: 'large' is not"]),
        ({"name": "x" * 5_000}, ["arguments.name: is longer than the 4096 characters"]),
        (["name"], ["arguments: an array of 1 is not of type 'object'"]),
    ],
)
def test_what_is_wrong_is_named_with_its_path(value: Any, expected: list[str]) -> None:
    found = Checker(SCHEMA).violations(value, name="arguments")
    assert len(found) == len(expected)
    for said, beginning in zip(found, expected, strict=True):
        assert said.startswith(beginning)


def test_few_and_short_violations_are_described() -> None:
    found = Checker({"items": {"type": "string"}}).violations([{"k": "v" * 9_000}] * 50, name="arguments")
    assert len(found) == 3
    assert all(len(each) < 400 for each in found)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.floats(-2, 2, width=16)
    | st.sampled_from(["", "a", "ab", "b1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "b1"]), inner, max_size=3),
    max_leaves=6,
)
TYPES = st.sampled_from(["object", "array", "string", "number", "integer", "boolean", "null"])


def _schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    named = st.dictionaries(st.sampled_from(["a", "b", "b1"]), inner, max_size=2)
    several = st.lists(inner, min_size=1, max_size=2)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": TYPES,
            "properties": named,
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "b", r"\d", "^a?$"]), inner, max_size=2),
            "additionalProperties": inner,
            "propertyNames": inner,
            "required": st.lists(st.sampled_from(["a", "b"]), unique=True, max_size=2),
            "items": inner,
            "prefixItems": several,
            "contains": inner,
            "uniqueItems": st.booleans(),
            "minItems": st.integers(0, 2),
            "maxProperties": st.integers(0, 2),
            "minLength": st.integers(0, 2),
            "minimum": st.integers(-1, 1),
            "multipleOf": st.sampled_from([0.5, 1, 2]),
            "pattern": st.sampled_from(["^a", "b$", r"\d", "^$"]),
            "enum": st.lists(VALUES, max_size=3),
            "const": VALUES,
            "allOf": several,
            "anyOf": several,
            "oneOf": several,
            "not": inner,
            "if": inner,
            "then": inner,
            "else": inner,
            "dependentRequired": st.just({"a": ["b"]}),
        },
    )


@settings(max_examples=300)
@given(st.recursive(st.booleans(), _schemas, max_leaves=6), VALUES)
def test_the_verdict_is_that_of_the_library(schema: Any, value: Any) -> None:
    if isinstance(schema, bool):
        schema = {"allOf": [schema]}
    assert faults(schema, Budget()) == []
    expected = Draft202012Validator(schema).is_valid(value)
    assert (not Checker(schema).violations(value, name="v")) == expected


@given(st.recursive(st.booleans(), lambda inner: _schemas(inner) | st.fixed_dictionaries({"unevaluatedItems": inner})))
def test_any_accepted_schema_can_be_used(schema: Any) -> None:
    if isinstance(schema, dict) and not faults(schema, Budget()):
        Checker(schema).violations({"a": [1, "b"]}, name="v")


@pytest.mark.holds_the_loop("the check runs in a thread elsewhere")
@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"items": {"type": "integer"}}, list(range(1_000_000))),
        ({"items": {"allOf": [{"type": "integer"}] * 50}}, list(range(19_000))),
        ({"uniqueItems": True}, [{"n": n} for n in range(9_000)]),
        ({"items": {"enum": list(range(9_000))}}, [-1] * 100_000),
        ({"items": {"anyOf": [{"enum": list(range(9_000))}]}}, [-1] * 100_000),
        ({"items": {"anyOf": [{"const": [list(range(9_000))]}]}}, [[list(range(9_000))]] * 20),
        ({"anyOf": [{"type": "integer"}] * 900}, "x" * 9_000_000),
        ({"anyOf": [{"type": "integer"}] * 900}, list(range(190_000))),
        ({"anyOf": [{"propertyNames": {"maxLength": 3}}] * 400}, {"x" * 1_000_000: 1}),
        ({"anyOf": [{"unevaluatedProperties": False}] * 400}, {"x" * 100 + str(n): n for n in range(19_000)}),
        ({"items": {"pattern": "^(a|aa)*$"}}, ["a" * 4_095 + "!"] * 2_000),
        ({"items": {"pattern": r"^(?:\w*\w*\w*){10}z"}}, ["a" * 4_000] * 200),
        ({"additionalProperties": False, "patternProperties": {f"^{n}x*y": {} for n in range(90)}}, {
            f"{n}{'x' * 100}": 1 for n in range(5_000)
        }),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_a_check_ends(schema: dict[str, Any], value: Any) -> None:
    assert faults(schema, Budget()) == []
    begun, before = time.thread_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with contextlib.suppress(ExhaustedError):
        assert all(len(each) < 400 for each in Checker(schema).violations(value, name="v"))
    assert (time.thread_time() - begun) / slowness() < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150 * 1024  # KiB


def test_values_are_counted_no_further_than_needed() -> None:
    assert few_values({"a": [1, "xx"]}, most=4, characters=2)
    assert not few_values({"a": [1, "xx"]}, most=3)
    assert not few_values({"a": [1, "xx"]}, most=4, characters=1)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [("(a+)+$", "a" * 4_095 + "!"), (r"(\w+\s?)*$", "ab " * 1_300 + "!"), ("(a|a)*b", "a" * 4_096)],
)
def test_what_takes_ages_elsewhere_is_matched_at_once(pattern: str, text: str) -> None:
    begun = time.thread_time()
    patterns.matcher(pattern)(text)
    assert (time.thread_time() - begun) / slowness() < 0.05


@given(st.from_regex(r"[ab(){}\[\]\\wd.*+?|1-9]{0,40}", fullmatch=True))
def test_a_light_pattern_compiles_fast(pattern: str) -> None:
    if patterns.weight(pattern) > 500:
        return
    begun = time.thread_time()
    with contextlib.suppress(patterns.PatternError):
        patterns.matcher(pattern)
    assert (time.thread_time() - begun) / slowness() < 0.2
