"""Merging of shared contexts, and the log of their changes."""

from typing import Any

import jsonpatch
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdaagent.coordination.context import UnfitChangeError, changes, delta, merged, patched

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=3), st.sampled_from(["~", "/", "~1"])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(["a", "b", "~", "a/b", ""]), inner, max_size=4)
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(["a", "b", "~", "a/b", ""]), JSON, max_size=4)


# Of RFC 7396, appendix A.
@pytest.mark.parametrize(
    ("value", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_the_examples_of_the_merge_patch_standard(value: Any, patch: Any, result: Any) -> None:
    assert patched(value, patch) == result


@given(OBJECTS, OBJECTS)
def test_a_delta_makes_the_later_of_the_earlier(before: Any, after: Any) -> None:
    found = jsonpatch.apply_patch(before, delta(before, after))
    assert repr(_sorted(found)) == repr(_sorted(after))  # Python takes True for 1


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(each) for each in value] if isinstance(value, list) else value


def test_an_extended_list_costs_its_new_items_only() -> None:
    assert delta({"a": [1, 2]}, {"a": [1, 2, 3]}) == [{"op": "add", "path": "/a/-", "value": 3}]


@pytest.mark.parametrize(
    ("strategy", "before", "change", "after"),
    [
        ("append", None, [1], [1]),
        ("append", [1], [1, 2], [1, 1, 2]),
        ("union", [1, {"a": 1}], [{"a": 1}, 2, 2], [1, {"a": 1}, 2]),
        ("union", [1], [True], [1, True]),
        ("max", None, 3, 3),
        ("max", 5, 3, 5),
        ("max", 5, 7.5, 7.5),
        ("lastWriter", {"x": 1}, {"y": 2}, {"x": 1, "y": 2}),
        ("lastWriter", [1], [2], [2]),
    ],
)
def test_each_strategy_keeps_what_it_says(strategy: str, before: Any, change: Any, after: Any) -> None:
    data = {} if before is None else {"key": before}
    assert merged(data, {"key": change}, {"key": strategy})["key"] == after
    assert merged(data, {"key": None}, {"key": strategy}) == {}


@pytest.mark.parametrize(
    ("strategy", "before", "change"),
    [
        ("append", 1, [1]),
        ("append", [1], 1),
        ("union", [1], {"a": 1}),
        ("max", 1, "2"),
        ("max", True, 1),
        ("max", [], 1),
    ],
)
def test_what_does_not_fit_its_strategy_is_refused(strategy: str, before: Any, change: Any) -> None:
    with pytest.raises(UnfitChangeError, match="key is merged by"):
        merged({"key": before}, {"key": change}, {"key": strategy})


@given(st.permutations(range(6)))
def test_no_order_of_merges_loses_one(order: list[int]) -> None:
    strategies = {"log": "append", "seen": "union", "best": "max"}
    data: dict[str, Any] = {}
    for number in order:
        data = merged(data, {"log": [number], "seen": [number % 3], "best": number, f"own{number}": 1}, strategies)
    assert data["log"] == order
    assert sorted(data["seen"]) == [0, 1, 2]
    assert data["best"] == 5
    assert {name for name in data if name.startswith("own")} == {f"own{number}" for number in range(6)}


def test_a_change_of_many_leaves_below_long_names_is_not_larger_than_twice_the_context() -> None:
    def nested(value: int) -> Any:
        found: Any = {f"k{number}": value for number in range(300)}
        for _ in range(100):
            found = {"/" * 25: found}
        return found

    patch = changes(nested(1), nested(2))
    assert len(orjson.dumps(patch)) <= 2 * len(orjson.dumps(nested(2))) + 1024
    assert jsonpatch.apply_patch(nested(1), patch) == nested(2)
