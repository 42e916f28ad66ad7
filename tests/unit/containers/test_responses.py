import asyncio
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.parts import cloudevent_bodies
from tests.unit.containers.folding import task_after

from lambdaagent.clock import Clock
from lambdaagent.containers import responses
from lambdaagent.events import http
from lambdaagent.events.cloudevents import Event
from lambdaagent.httpclient import sse_decoder

Json = dict[str, Any]


def answered(
    clock: Clock, body: bytes = b"", content_type: str | None = None, *, status: int = 200, **headers: str
) -> Json:
    if content_type is not None:
        headers["content-type"] = content_type
    return task_after(asyncio.run(responses.interpret(status=status, headers=headers, body=body, clock=clock)))


def state(task: Json) -> str:
    return str(task["status"]["state"]).removeprefix("TASK_STATE_")


def said(task: Json) -> str:
    return str(task["status"]["message"]["parts"][0]["text"])


@pytest.mark.parametrize(
    ("content_type", "body", "part"),
    [
        pytest.param(
            "application/json; charset=utf-8", b'{"n": 9007199254740993}', {"data": {"n": 9007199254740993}}, id="JSON"
        ),
        pytest.param(
            "application/geo+json", b"[1]", {"data": [1], "mediaType": "application/geo+json"}, id="a JSON dialect"
        ),
        pytest.param("text/plain", "grüß".encode(), {"text": "grüß"}, id="text"),
        pytest.param("text/html", b"<p>", {"text": "<p>", "mediaType": "text/html"}, id="HTML"),
        pytest.param(None, b"hi", {"text": "hi"}, id="text without a type"),
        pytest.param(
            None, b"\xff", {"raw": "/w==", "mediaType": "application/octet-stream"}, id="bytes without a type"
        ),
        pytest.param("image/png", b"\x89", {"raw": "iQ==", "mediaType": "image/png"}, id="an image"),
    ],
)
def test_a_plain_answer_is_one_artifact_and_the_end(
    clock: Clock, content_type: str | None, body: bytes, part: Json
) -> None:
    task = answered(clock, body, content_type)
    assert (state(task), [artifact["parts"] for artifact in task["artifacts"]]) == ("COMPLETED", [[part]])


def test_an_empty_answer_completes_without_an_artifact(clock: Clock) -> None:
    task = answered(clock)
    assert state(task) == "COMPLETED"
    assert "artifacts" not in task


@pytest.mark.parametrize("status", [202, 204])
def test_accepted_means_that_the_task_goes_on(clock: Clock, status: int) -> None:
    assert asyncio.run(responses.interpret(status=status, headers={}, body=b"later", clock=clock)) == []


@pytest.mark.parametrize("status", [301, 400, 404, 500, 503])
def test_any_other_status_fails_the_task_and_says_what_came(clock: Clock, status: int) -> None:
    task = answered(clock, b'{"error": "no\nmodel"}', status=status)
    assert state(task) == "FAILED"
    assert said(task) == f'The agent answered {status}: {{"error": "no model"}}'
    assert said(answered(clock, status=status)) == f"The agent answered {status}."


@pytest.mark.parametrize(
    "secret",
    [
        "Authorization: Bearer abcdefgh12345",
        '{"api_key": "abcdefgh12345"}',
        "password=abcdefgh12345",
        "token abcdefgh12345",
        "key sk-abcdefgh12345",
    ],
)
def test_what_looks_like_a_credential_is_not_repeated(secret: str) -> None:
    assert "abcdefgh12345" not in responses.excerpt(f"failed with {secret} sorry".encode())


def test_an_excerpt_is_short_one_line_and_printable() -> None:
    text = responses.excerpt(b"a\x00b\n" + b"c" * 100_000)
    assert len(text) < 320
    assert text.isprintable()


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        pytest.param("application/json", b"{oops", id="JSON that is none"),
        pytest.param("text/plain", b"\xff", id="text that is no UTF-8"),
        pytest.param("application/cloudevents+json", b"{}", id="an event without attributes"),
        pytest.param("application/a2a+json", b"[]", id="A2A in a list"),
        pytest.param("application/a2a+json", b"{}", id="A2A that is empty"),
        pytest.param("application/a2a+json", b"", id="A2A without a body"),
        pytest.param("application/a2a+json", b'{"statusUpdate": {"status": {"state": "done"}}}', id="an unknown state"),
        pytest.param("application/a2a+json", b'{"artifactUpdate": {}}', id="an artifact update of no artifact"),
        pytest.param("application/a2a+json", b'{"message": {"parts": [{"text": 1}]}}', id="a message of no text"),
        pytest.param(
            "application/a2a+json",
            b'{"task": {"status": {"state": 3}, "artifacts": 7}}',
            id="artifacts that are a number",
        ),
    ],
)
def test_nonsense_fails_the_task_and_says_why(clock: Clock, content_type: str, body: bytes) -> None:
    task = answered(clock, body, content_type)
    assert state(task) == "FAILED"
    assert said(task).startswith("The agent's response cannot be understood: ")


@pytest.mark.parametrize("write", [http.binary, cloudevent_bodies.structured])
def test_an_event_as_the_answer_is_its_data(clock: Clock, write: Any) -> None:
    headers, body = write(Event(id="1", source="/s", type="any", data=b'{"a":1}', datacontenttype="application/json"))
    task = answered(clock, body, **dict(headers))
    assert (state(task), task["artifacts"][0]["parts"]) == ("COMPLETED", [{"data": {"a": 1}}])


@pytest.mark.parametrize(
    ("event_type", "extensions", "data", "expected", "words"),
    [
        pytest.param("io.knative.lambda.response.success", {}, b"ok", "COMPLETED", None, id="success"),
        pytest.param("io.knative.lambda.response.error", {}, b"no", "FAILED", "no", id="error"),
        pytest.param(
            "io.knative.lambda.response.timeout", {}, b"", "FAILED", "The agent ran out of time.", id="timeout"
        ),
        pytest.param("my.reply", {}, b"ok", "COMPLETED", None, id="the skill's reply type"),
        pytest.param("x", {"a2astate": "rejected"}, b"never", "REJECTED", "never", id="a state of its own"),
        pytest.param(
            "x", {"a2astate": "TASK_STATE_INPUT_REQUIRED"}, b"which?", "INPUT_REQUIRED", "which?", id="a question"
        ),
        pytest.param("my.reply", {"a2astate": "failed"}, b"", "FAILED", None, id="the state beats the type"),
        pytest.param("x", {"a2astate": "working"}, b"half", "WORKING", "half", id="progress with words"),
        pytest.param("x", {}, b"", "WORKING", None, id="progress"),
        pytest.param("x", {"a2astate": "nonsense"}, b"part", "WORKING", None, id="an artifact"),
    ],
)
def test_what_an_event_does_to_its_task(
    clock: Clock, event_type: str, extensions: Any, data: bytes, expected: str, words: str | None
) -> None:
    event = Event(id="1", source="/s", type=event_type, data=data, datacontenttype="text/plain", extensions=extensions)
    task = task_after(responses.from_event(event, clock=clock, reply_type="my.reply"))
    assert state(task) == expected
    if words is not None:
        assert said(task) == words
    elif data:
        assert task["artifacts"][0]["parts"] == [{"text": data.decode()}]


def test_an_event_that_holds_a2a_or_nonsense(clock: Clock) -> None:
    def event(data: bytes, content_type: str, **extensions: str) -> Event:
        return Event(id="1", source="/s", type="t", data=data, datacontenttype=content_type, extensions=extensions)

    artifact = b'{"artifactUpdate": {"artifact": {"parts": [{"text": "x"}]}}}'
    assert state(task_after(responses.from_event(event(artifact, "application/a2a+json"), clock=clock))) == "WORKING"
    ended = responses.from_event(event(artifact, "application/a2a+json", a2astate="completed"), clock=clock)
    assert state(task_after(ended)) == "COMPLETED"
    assert state(task_after(responses.from_event(event(b"{", "application/json"), clock=clock))) == "FAILED"


def a2a(clock: Clock, value: Json) -> Json:
    return answered(clock, orjson.dumps(value), "application/a2a+json")


def test_a_container_may_ask_refuse_and_answer_with_several_artifacts(clock: Clock) -> None:
    asked = a2a(
        clock,
        {
            "statusUpdate": {
                "status": {"state": "input-required", "message": {"parts": [{"text": "which?"}]}},
                "metadata": {"k": 1},
            }
        },
    )
    assert (state(asked), said(asked), asked["metadata"]) == ("INPUT_REQUIRED", "which?", {"k": 1})
    assert asked["status"]["message"]["taskId"] == "t"
    artifacts = [{"artifactId": "a", "parts": [{"text": "1"}]}, {"parts": [{"data": 2}]}]
    done = a2a(clock, {"task": {"id": "theirs", "status": {"state": "TASK_STATE_COMPLETED"}, "artifacts": artifacts}})
    assert (state(done), done["id"], len(done["artifacts"])) == ("COMPLETED", "t", 2)
    told = a2a(
        clock, {"message": {"messageId": "x", "taskId": "theirs", "role": "ROLE_USER", "parts": [{"text": "hi"}]}}
    )
    assert (state(told), said(told), told["status"]["message"]["role"]) == ("COMPLETED", "hi", "ROLE_AGENT")
    one = a2a(clock, {"artifactUpdate": {"artifact": {"parts": [{"text": "x"}]}}})
    assert (state(one), len(one["artifacts"])) == ("COMPLETED", 1)
    assert state(a2a(clock, {"statusUpdate": {"status": {"state": "working"}}})) == "WORKING"


def test_a_stream_is_folded_into_the_task(clock: Clock) -> None:
    stream = (
        b": ping\r\n\r\ndata: Hel\r\n\r\nevent: x\ndata: lo\ndata: you\n\n"
        b'data: {"statusUpdate": {"status": {"state": "working"}}}\n\ndata: {"free": 1}'
    )
    task = answered(clock, stream, "text/event-stream")
    assert state(task) == "COMPLETED"
    assert [part["text"] for part in task["artifacts"][0]["parts"]] == ["Hel", "lo\nyou", '{"free": 1}']
    assert len(task["artifacts"]) == 1


def test_what_comes_after_the_end_is_the_folds_to_refuse_and_blank_events_say_nothing() -> None:
    decoder = sse_decoder.SseDecoder(limit=100)
    assert [*decoder.feed(b"\n\ndata\n\ndata:x"), *decoder.end()] == ["", "x"]


@given(st.lists(st.integers(1, 7), max_size=60))
def test_a_stream_says_the_same_in_whatever_pieces_it_comes(sizes: list[int]) -> None:
    stream = "\ufeffdata: Grüße\r\ndata: zwei\r\n\r\n: ping\ndata: {}\n\nevent: x\rdata: drei\r\rdata: rest".encode()
    pieces, rest = [], stream
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]
    decoder = sse_decoder.SseDecoder(limit=1000)
    said = [data for piece in (*pieces, rest) for data in decoder.feed(piece)]
    assert [*said, *decoder.end()] == ["Grüße\nzwei", "{}", "drei", "rest"]


@pytest.mark.parametrize("endless", [b"data: " + b"x" * 30, b"data: x\n" * 30], ids=["line", "event"])
def test_an_event_without_end_is_refused(endless: bytes) -> None:
    decoder = sse_decoder.SseDecoder(limit=100)
    with pytest.raises(ValueError, match="longer than 100"):
        for _ in range(10):
            list(decoder.feed(endless))
