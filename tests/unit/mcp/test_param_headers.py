"""The headers that repeat arguments of a tool, compared with those of the official SDK."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.shared.inbound import find_invalid_x_mcp_header, mcp_param_headers, x_mcp_header_map

from lambdaagent.mcp.param_headers import of_arguments

names = st.sampled_from(["a", "b", "region"])
leaves = st.fixed_dictionaries(
    {"type": st.sampled_from(["string", "integer", "boolean"])},
    optional={"x-mcp-header": st.sampled_from(["Region", "A-b", "C", "D_e"])},
)
schemas = st.recursive(
    leaves,
    lambda inner: st.fixed_dictionaries(
        {"type": st.just("object"), "properties": st.dictionaries(names, inner, max_size=3)}
    ),
    max_leaves=6,
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=6),
    lambda inner: st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)


@given(schemas, st.dictionaries(names, values, max_size=3))
def test_they_are_those_of_the_sdk(schema: Any, arguments: Any) -> None:
    if find_invalid_x_mcp_header(schema) is None:
        assert dict(of_arguments(schema, arguments)) == mcp_param_headers(x_mcp_header_map(schema), arguments)


@pytest.mark.parametrize(
    "described",
    [
        {"type": "string", "x-mcp-header": "a\r\nX: y"}, {"type": "string", "x-mcp-header": ""},
        {"type": "string", "x-mcp-header": 3}, {"type": "number", "x-mcp-header": "A"}, {"x-mcp-header": "A"}, 3, None,
    ],
)  # fmt: skip
def test_what_names_no_header_is_left_out(described: Any) -> None:
    assert of_arguments({"properties": {"a": described}}, {"a": "x"}) == []
    assert of_arguments(described, {"a": "x"}) == []


def test_a_value_cannot_begin_another_header() -> None:
    ((name, value),) = of_arguments({"properties": {"a": {"type": "string", "x-mcp-header": "A"}}}, {"a": "x\r\nB: y"})
    assert (name, value.startswith("=?base64?"), "\n" in value) == ("Mcp-Param-A", True, False)


def test_a_deep_schema_ends() -> None:
    schema: Any = {"type": "string", "x-mcp-header": "A"}
    value: Any = "x"
    for _ in range(100):
        schema, value = {"properties": {"a": schema}}, {"a": value}
    assert of_arguments(schema, value) == []
