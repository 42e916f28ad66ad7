"""Documents are read with their lines, and what is not of the subset is refused by its name."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdaagent.coordination import workflow_fields, workflow_text
from lambdaagent.coordination.workflow_document import check
from lambdaagent.coordination.workflow_text import BadTextError

HEAD = {"dsl": "1.0.3", "namespace": "n", "name": "w", "version": "1.0.0"}
SET = {"set": {"x": 1}}


def faults(do: Any, **more: Any) -> list[tuple[str, str]]:
    return [(each.pointer, each.text) for each in check({"document": HEAD, "do": do, **more})[0]]


A2A = {"call": "a2a", "with": {"method": "SendMessage", "parameters": {}}}
MCP = {"method": "tools/call", "parameters": {"name": "x"}, "transport": {"stdio": {}}}
REFUSED: list[tuple[Any, str, str]] = [
    ([], "/do", "at least one"),
    ({"a": SET}, "/do", "must be a list"),
    ([SET], "/do/0/set", "task is one of"),
    ([{"a": SET, "b": SET}], "/do/0", "one task with its name"),
    ([{"a": SET}, {"a": SET}], "/do/1", "there twice"),
    ([{"a": {"run": {}}}], "/do/0/a", "`run` is not of the subset"),
    ([{"a": {**SET, "then": "b"}}], "/do/0/a/then", "no task of the same list"),
    ([{"a": {"do": [{"b": {**SET, "then": "a"}}]}}], "/do/0/a/do/0/b/then", "no task of the same list"),
    ([{"a": {**SET, "retry": {}}}], "/do/0/a/retry", "not of the subset"),
    ([{"a": {"call": "grpc", "with": {}}}], "/do/0/a/call", "one of a2a, http, mcp"),
    ([{"a": {**A2A, "with": {"method": "tasks/get"}}}], "/do/0/a/with/method", "message/send"),
    ([{"a": A2A}], "/do/0/a/with", "agentCard"),
    ([{"a": {"call": "mcp", "with": MCP}}], "/do/0/a/with/transport", "needs the field `http`"),
    ([{"a": {"wait": {"weeks": 1}}}], "/do/0/a/wait", "duration"),
    ([{"a": {"wait": "P8D"}}], "/do/0/a/wait", "at most 7 days"),
    ([{"a": {"switch": [{"x": {"when": "1"}}]}}], "/do/0/a/switch/0/x", "then"),
    ([{"a": {"emit": {"event": {"with": {"type": "a b"}}}}}], "/do/0/a/emit/event/with/type", "topic"),
    ([{"a": {"listen": {"to": {"any": []}}}}], "/do/0/a/listen/to/any", "1 to 100"),
    ([{"a": {"for": {"in": 1}, "do": [{"b": SET}]}}], "/do/0/a/for/in", "text"),
    ([{"a": {"try": [{"b": SET}], "catch": {"retry": {}}}}], "/do/0/a/catch/retry", "limit"),
    ([{"a": {"fork": {"branches": [{f"b{n}": SET} for n in range(10_000)]}}}], "/do/0/a/fork/branches", "at most 100"),
    ([{f"b{n}": SET} for n in range(501)], "/do/500/b500", "more than 500 tasks"),
    ([{"a": {"set": {"x": "${ " + "1+" * 3000 + "1 }"}}}], "/do/0/a/set", "4096"),
]


@pytest.mark.parametrize(("do", "pointer", "why"), REFUSED, ids=[f"{at} {why}"[:60] for _, at, why in REFUSED])
def test_what_is_refused_and_where(do: Any, pointer: str, why: str) -> None:
    found = dict(faults(do))
    assert pointer in found, found
    assert why in found[pointer]


def test_depth_is_bounded() -> None:
    do: Any = [{"a": SET}]
    for _ in range(40):
        do = [{"a": {"do": do}}]
    assert any("nested deeper" in text for _, text in faults(do))


def test_a_value_has_its_line_in_yaml_and_in_json() -> None:
    yaml = b"document:\n  dsl: 1.0.3\ndo:\n  - a:\n      set:\n        x: yes\n        y: 2026-01-01\n"
    found = workflow_text.read(yaml)
    assert found.value == {"document": {"dsl": "1.0.3"}, "do": [{"a": {"set": {"x": "yes", "y": "2026-01-01"}}}]}
    assert [found.line(path) for path in [("do", 0, "a", "set", "y"), ("do", 0, "a", "none"), ("missing",)]] == [
        7,
        4,
        1,
    ]
    json = b'{\n  "do": [\n    {"a": {"set": {"x": "\\ud83d\\ude00", "n": 1.50}}}\n  ]\n}'
    found = workflow_text.read(json)
    assert found.value == {"do": [{"a": {"set": {"x": "\U0001f600", "n": 1.5}}}]}
    assert found.line(("do", 0, "a", "set", "x")) == 3


@pytest.mark.parametrize(
    ("text", "why", "line"),
    [
        (b"a: &x 1\nb: *x", "alias", 2),
        (b"a: 1\na: 2", "twice", 2),
        (b"a: 1\n---\nb: 2", "several documents", 2),
        (b"a: !!python/object/apply:os.system [ls]", "", 0),
        (b"a:\n  - [", "no YAML", 0),
        (b"? [1]\n: 2", "key must be a text", 1),
        (b"\xff", "UTF-8", 0),
        (b'a: "\\0"', "U.0000", 1),
        (b"[" * 50_000, "nested deeper", 1),
        (b"- 1\n" * 30_000, "more than 20000 values", 20_000),
        (b"x" * 200_000, "bytes", 0),
    ],
)
def test_bad_text_is_refused(text: bytes, why: str, line: int) -> None:
    if not why:  # a tag on a list is ignored: it is only a list
        assert workflow_text.read(text).value == {"a": ["ls"]}
        return
    with pytest.raises(BadTextError, match=why) as failed:
        workflow_text.read(text)
    assert line in (0, failed.value.line)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text("{}[]:,-&*!|>'\"#%@` \n\tab01", max_size=80).map(str.encode))
def test_any_bytes_are_read_or_refused(text: bytes) -> None:
    try:
        found = workflow_text.read(text)
    except BadTextError:
        return
    check(found.value)


WORDS = [
    "do",
    "for",
    "in",
    "set",
    "call",
    "with",
    "try",
    "catch",
    "fork",
    "branches",
    "switch",
    "listen",
    "to",
    "one",
    "emit",
    "event",
    "wait",
    "raise",
    "error",
    "if",
    "then",
    "input",
    "from",
    "retry",
    "limit",
    "x",
]
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.sampled_from(WORDS), each, max_size=4),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.dictionaries(st.just("a"), ANY, max_size=1), max_size=3) | ANY)
def test_any_document_is_accepted_or_refused(do: Any) -> None:
    check({"document": HEAD, "do": do})


@pytest.mark.parametrize(
    ("given_", "expected"),
    [("PT1.5S", 1.5), ("P1DT1H", 90_000.0), ({"minutes": 1, "milliseconds": 500}, 60.5), ("P", None), ("PT", None),
     ("1s", None), ({}, None), ({"seconds": True}, None), ({"seconds": -1}, None), (5, None)],
)  # fmt: skip
def test_durations(given_: Any, expected: float | None) -> None:
    assert workflow_fields.seconds(given_) == expected
