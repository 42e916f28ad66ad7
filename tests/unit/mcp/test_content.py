"""Every content block of MCP becomes a part of A2A and the same block again."""

from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdaagent.a2a.states import TaskState
from lambdaagent.a2a.tasks import fold_all, new
from lambdaagent.clock import Clock
from lambdaagent.mcp import content, results, tool_calls

CLOCK = Clock(now=lambda: 1_800_000_000.0, new_id=lambda: "id")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(st.text(max_size=8), json_values, max_size=3)
base64 = st.binary(max_size=24).map(lambda data: b64encode(data).decode())
media = st.sampled_from(
    ["image/png", "audio/wav", "text/plain", "application/octet-stream", "text/html; charset=x", "odd"]
)
more = st.fixed_dictionaries({}, optional={"annotations": objects, "_meta": objects, "unknownField": json_values})
uris = st.sampled_from(["file:///a/b.txt", "memo://x", "https://example.com/", "urn:x", "a"]) | st.text(max_size=12)


def block(fields: dict[str, st.SearchStrategy[Any]], optional: dict[str, st.SearchStrategy[Any]] | None = None) -> Any:
    return st.builds(lambda one, two: {**two, **one}, st.fixed_dictionaries(fields, optional=optional or {}), more)


contents = st.one_of(
    block({"uri": uris, "text": st.text(max_size=20)}, {"mimeType": media}),
    block({"uri": uris, "blob": base64}, {"mimeType": media}),
)
blocks = st.one_of(
    block({"type": st.just("text"), "text": st.text(max_size=20)}),
    block({"type": st.sampled_from(["image", "audio"]), "data": base64}, {"mimeType": media}),
    block({"type": st.just("resource"), "resource": contents}),
    block(
        {"type": st.just("resource_link"), "uri": uris},
        {"name": st.text(max_size=300), "mimeType": media, "title": st.text(max_size=5), "size": st.integers(0, 9)},
    ),
    block({"type": st.just("of_tomorrow")}, {"what": json_values}),
)


@given(blocks)
def test_a_block_becomes_a_part_and_the_same_block_again(given_block: Any) -> None:
    part = content.part_of(given_block)
    assert sum(name in part for name in ("text", "raw", "url", "data")) == 1
    assert content.block_of(part, uri="lambdaagent://x") == given_block


@given(
    st.fixed_dictionaries(
        {"content": st.lists(blocks, max_size=4)},
        optional={"structuredContent": objects, "isError": st.booleans(), "_meta": objects},
    )
)
def test_a_result_becomes_a_task_and_the_same_result_again(result: Any) -> None:
    task = new(task_id="t", context_id="c", message={"parts": []}, state=TaskState.WORKING, now=0)
    after = fold_all(task, tool_calls.outcome(result, name="tool", clock=CLOCK))
    found = results.of_task(after)
    if result["content"] or "structuredContent" in result:
        assert found["content"] == result["content"]
    assert found.get("structuredContent") == result.get("structuredContent")
    assert found.get("isError", False) == result.get("isError", False)
    if result["content"] or "structuredContent" in result or result.get("isError"):
        assert {**result.get("_meta", {}), "taskId": "t", "contextId": "c"} == found["_meta"]


@pytest.mark.parametrize(
    "given_block",
    [None, 3, {}, {"type": 3}, {"type": "text"}, {"type": "text", "text": 3}, {"type": "image", "data": "not base64!"},
     {"type": "image"}, {"type": "resource", "resource": {}}, {"type": "resource", "resource": {"uri": "x"}},
     {"type": "resource", "resource": {"uri": "x", "blob": "?"}}, {"type": "resource_link"}],
)  # fmt: skip
def test_a_block_of_another_form_is_refused(given_block: Any) -> None:
    with pytest.raises(ValueError, match="content block"):
        content.part_of(given_block)


@pytest.mark.parametrize("rest", [3, {}, {"type": 3}, {"type": "image"}, {"type": "resource", "resource": 3}])
def test_metadata_that_does_not_fit_its_part_is_ignored(rest: Any) -> None:
    part = {"url": "http://x/y", "metadata": {"io.modelcontextprotocol/content": rest}}
    assert content.block_of(part, uri="u") == {"type": "resource_link", "uri": "http://x/y", "name": "http://x/y"}
