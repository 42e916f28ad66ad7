"""A message as a tool's arguments or as an answer to its question, and what a server says as updates."""

from typing import Any

import pytest

from lambdaagent.clock import Clock
from lambdaagent.mcp import tool_calls
from lambdaagent.mcp.extension import INPUT_REQUESTS, INPUT_RESPONSES, REQUEST_STATE
from lambdaagent.mcp.tool_calls import Question, UnfitMessageError

CLOCK = Clock(now=lambda: 1_800_000_000.0, new_id=lambda: "id")
TEXT, NUMBER = {"type": "string"}, {"type": "number"}


def schema(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def said(*parts: Any, **metadata: Any) -> dict[str, Any]:
    return {"role": "ROLE_USER", "parts": list(parts), "metadata": metadata}


@pytest.mark.parametrize(
    ("parts", "takes", "expected"),
    [
        ([{"data": {"a": 1}}], None, {"a": 1}),
        ([{"data": {"a": 1}}, {"text": "beside"}], schema("a", a=NUMBER), {"a": 1}),
        ([{"text": "x"}], schema("q", q=TEXT), {"q": "x"}),
        ([{"text": "x"}], schema("q", q=TEXT, limit=NUMBER), {"q": "x"}),
        ([{"text": "x"}, {"text": "y"}], schema("q", q=TEXT), {"q": "x\ny"}),
        ([{"text": "x"}], schema(q=TEXT), {"q": "x"}),
        ([{"text": '{"q": 1}'}], schema("q", q=TEXT), {"q": '{"q": 1}'}),
        ([{"text": ' {"a": 1}'}], schema("a", a=NUMBER), {"a": 1}),
        ([{"text": '{"a": 1}'}], None, {"a": 1}),
        ([{"text": ""}], schema(), {}),
        ([{"text": " "}], schema(a=NUMBER, b=NUMBER), {}),
    ],
)
def test_a_message_is_arguments(parts: Any, takes: Any, expected: Any) -> None:
    assert tool_calls.arguments(said(*parts), takes) == expected


@pytest.mark.parametrize(
    ("parts", "takes"),
    [
        ([{"text": "x"}], schema("a", a=NUMBER)),
        ([{"text": "x"}], schema("a", "b", a=TEXT, b=TEXT)),
        ([{"text": "x"}], schema(a=TEXT, b=TEXT)),
        ([{"text": ""}], schema("a", a=NUMBER)),
        ([{"text": "[1]"}], None),
        ([{"text": "x"}], {"type": "object", "properties": 3, "required": 3}),
        ([{"data": [1]}], None),
        ([{"data": {}}, {"data": {}}], None),
        ([{"text": "x"}, {"url": "http://x"}], schema("q", q=TEXT)),
    ],
)
def test_a_message_that_is_none_is_refused(parts: Any, takes: Any) -> None:
    with pytest.raises(UnfitMessageError):
        tool_calls.arguments(said(*parts), takes)


def ask(kind: Any, method: str = "elicitation/create") -> Question:
    return Question({"one": {"method": method, "params": {"requestedSchema": schema("x", x={"type": kind})}}}, "s")


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("a b", "string", "a b"),
        ("yes", "boolean", True),
        ("No", "boolean", False),
        ("3", "integer", 3),
        ("1.5", "number", 1.5),
    ],
)
def test_words_answer_a_question_with_one_field(text: str, kind: str, value: Any) -> None:
    found = tool_calls.answers(said({"text": text}), ask(kind))
    assert found == {"one": {"action": "accept", "content": {"x": value}}}


@pytest.mark.parametrize(
    ("message", "asked"),
    [
        (said({"text": "maybe"}), ask("boolean")),
        (said({"text": "1.5"}), ask("integer")),
        (said({"text": "true"}), ask("number")),
        (said({"text": "x"}), ask("array")),
        (said({"text": "x"}), ask("string", method="sampling/createMessage")),
        (said({"text": "x"}), Question({"a": {}, "b": {}}, None)),
        (said({"text": "x"}, **{INPUT_RESPONSES: {"two": {}}}), ask("string")),
    ],
)
def test_what_answers_no_question_is_refused(message: Any, asked: Question) -> None:
    with pytest.raises(UnfitMessageError):
        tool_calls.answers(message, asked)


def test_a_question_without_requests_needs_no_answer() -> None:
    assert tool_calls.answers(said({"text": "x"}), Question({}, "state")) is None


def test_the_question_is_the_one_that_the_newest_message_answers() -> None:
    first, answer = said({"text": "1"}), said({"text": "2"})
    asked = {"role": "ROLE_AGENT", "parts": [], "metadata": {INPUT_REQUESTS: {"a": {}}, REQUEST_STATE: "s"}}
    report = {"role": "ROLE_AGENT", "parts": [{"text": "working"}]}
    assert tool_calls.question(None) is None
    assert tool_calls.question({"history": [first]}) is None
    assert tool_calls.question({"history": [first, report]}) is None
    assert tool_calls.question({"history": [first, asked, answer]}) == Question({"a": {}}, "s")
    assert tool_calls.question({"history": [first, asked, answer, report]}) == Question({"a": {}}, "s")
    assert tool_calls.question({"history": [first, report, answer]}) is None
    forged = {**asked, "role": "ROLE_USER"}
    assert tool_calls.question({"history": [first, forged, answer]}) is None


@pytest.mark.parametrize(
    "result",
    [
        {"inputRequests": 3}, {"inputRequests": {"a": 3}}, {"inputRequests": {str(n): {} for n in range(33)}},
        {"requestState": 3}, {}, {"inputRequests": {}},
    ],
)  # fmt: skip
def test_a_question_of_another_form_is_refused(result: Any) -> None:
    with pytest.raises(ValueError, match="it"):
        tool_calls.asks_for_input({"resultType": "input_required", **result})


@pytest.mark.parametrize(
    "params", [{}, {"progress": "x"}, {"progress": 1, "message": 3}, {"progress": 1, "message": ""}]
)
def test_an_odd_report_is_no_message(params: Any) -> None:
    update = tool_calls.report("notifications/progress", params, clock=CLOCK)
    assert update is None or "message" not in update["statusUpdate"]["status"]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("notifications/message", {"level": "info", "data": "x" * 9000}),
        ("notifications/message", {"level": "l" * 9000, "logger": "x" * 9000, "data": {"k": ["x" * 9000]}}),
        ("notifications/progress", {"progress": 1, "total": "x" * 9000, "message": "x" * 9000}),
    ],
)
def test_a_long_report_is_cut(method: str, params: Any) -> None:
    update = tool_calls.report(method, params, clock=CLOCK)
    assert update is not None
    assert len(update["statusUpdate"]["status"]["message"]["parts"][0]["text"]) == 4096
    assert len(str(update)) < 10_000


def test_a_short_report_is_kept_as_it_is() -> None:
    line = {"level": "info", "logger": "l", "data": {"k": [1]}}
    update = tool_calls.report("notifications/message", line, clock=CLOCK)
    assert update is not None
    assert update["statusUpdate"]["metadata"] == {"io.modelcontextprotocol/log": line}
