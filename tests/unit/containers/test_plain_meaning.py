"""What containers of real frameworks answer, where it is not the book's form and plainly means something."""

import asyncio
from typing import Any

import orjson
import pytest
from tests.unit.containers.folding import task_after

from lambdaagent.a2a import params, tolerant_reader, v03
from lambdaagent.a2a.errors import A2AError
from lambdaagent.clock import Clock
from lambdaagent.containers import responses

Json = dict[str, Any]
AGENT = "ROLE_AGENT"


def streamed(clock: Clock, *events: Any) -> list[Json]:
    stream = responses.Stream(clock=clock, limit=100_000)
    body = b"".join(b"data: %b\n\n" % (each if isinstance(each, bytes) else orjson.dumps(each)) for each in events)
    return [*(update for updates in stream.feed(body) for update in updates), *stream.end()]


def said(text: str, **more: Any) -> Json:
    return {"messageId": f"m-{text}", "role": AGENT, "parts": [{"text": text}], **more}


def words(task: Json) -> list[str]:
    """Returns the texts of the agent in order: those of the history, then that of the status."""
    messages = [each for each in task["history"] if each["role"] == AGENT]
    messages += [task["status"]["message"]] if "message" in task["status"] else []
    return ["".join(part.get("text", "") for part in message["parts"]) for message in messages]


@pytest.mark.parametrize("parts", [{"parts": []}, {}, {"parts": None}], ids=["empty", "absent", "null"])
def test_a_chunk_without_parts_keeps_its_flags(clock: Clock, parts: Json) -> None:
    """ProtoJSON leaves out what is empty: so the SDKs end an artifact whose last chunk has nothing more."""
    updates = streamed(
        clock,
        {"artifactUpdate": {"artifact": {"artifactId": "a", "parts": [{"text": "x"}]}, "lastChunk": False}},
        {"artifactUpdate": {"artifact": {"artifactId": "a", **parts}, "append": True, "lastChunk": True}},
    )
    last = updates[1]["artifactUpdate"]
    assert (last["append"], last["lastChunk"], last["artifact"]["parts"]) == (True, True, [])
    task = task_after(updates)
    assert task["artifacts"] == [{"artifactId": "a", "parts": [{"text": "x"}]}]
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"


@pytest.mark.parametrize("parts", [{"parts": []}, {}, {"parts": None}], ids=["empty", "absent", "null"])
@pytest.mark.parametrize("state", ["TASK_STATE_COMPLETED", "TASK_STATE_INPUT_REQUIRED", "TASK_STATE_FAILED"])
def test_a_status_message_without_parts_is_no_failure(clock: Clock, parts: Json, state: str) -> None:
    message = {"messageId": "m", "role": AGENT, "metadata": {"k": 1}, **parts}
    task = task_after(streamed(clock, {"statusUpdate": {"status": {"state": state, "message": message}}}))
    assert task["status"]["state"] == state
    assert task["status"]["message"]["metadata"] == {"k": 1}


def test_of_03_a_chunk_without_parts_is_one_too() -> None:
    event = {"kind": "artifact-update", "artifact": {"artifactId": "a"}, "append": True, "lastChunk": True}
    assert tolerant_reader.stream_response(event)["artifactUpdate"]["artifact"]["parts"] == []


@pytest.mark.parametrize("state", ["TASK_STATE_COMPLETED", "TASK_STATE_INPUT_REQUIRED", "TASK_STATE_REJECTED"])
def test_an_answer_that_is_only_in_the_history_is_the_answer(clock: Clock, state: str) -> None:
    history = [{**said("hi"), "role": "ROLE_USER"}, said("here it is")]
    task = task_after(streamed(clock, {"task": {"id": "x", "status": {"state": state}, "history": history}}))
    assert (task["status"]["state"], words(task)) == (state, ["here it is"])


@pytest.mark.parametrize(
    "task",
    [
        {"status": {"state": "TASK_STATE_COMPLETED", "message": said("the status")}, "history": [said("older")]},
        {
            "status": {"state": "TASK_STATE_COMPLETED"},
            "artifacts": [{"artifactId": "a", "parts": [{"text": "the artifact"}]}],
            "history": [said("older")],
        },
        {"status": {"state": "TASK_STATE_COMPLETED"}, "history": [said("older"), {**said("hi"), "role": "ROLE_USER"}]},
        {"status": {"state": "TASK_STATE_COMPLETED"}, "history": "nonsense"},
    ],
    ids=["in the status", "an artifact", "before the client's", "no list"],
)
def test_the_history_is_no_answer_where_there_is_another_or_nothing_new_in_it(clock: Clock, task: Json) -> None:
    assert "older" not in words(task_after(streamed(clock, {"task": {"id": "x", **task}})))


def test_several_messages_of_one_stream_are_all_kept(clock: Clock) -> None:
    task = task_after(streamed(clock, *({"message": said(text)} for text in ("one", "two", "three"))))
    assert (task["status"]["state"], words(task)) == ("TASK_STATE_COMPLETED", ["one", "two", "three"])


def test_a_message_does_not_end_the_task_where_more_comes(clock: Clock) -> None:
    artifact = {"artifactUpdate": {"artifact": {"artifactId": "a", "parts": [{"text": "x"}]}}}
    done = {"statusUpdate": {"status": {"state": "TASK_STATE_COMPLETED", "message": said("done")}}}
    task = task_after(streamed(clock, {"message": said("wait")}, artifact, done))
    assert words(task) == ["wait", "done"]
    assert len(task["artifacts"]) == 1


@pytest.mark.parametrize("state", ["TASK_STATE_FAILED", "failed", "TASK_STATE_REJECTED", "TASK_STATE_COMPLETED"])
@pytest.mark.parametrize(
    "after",
    [
        {"artifactUpdate": {"artifact": {"artifactId": "a", "parts": "none"}}},
        {"statusUpdate": {"status": {"state": "no state"}}},
        {"kind": "artifact-update", "artifact": {"artifactId": "a", "parts": [{"kind": "video"}]}},
    ],
    ids=["parts", "state", "kind"],
)
def test_what_follows_the_end_in_one_piece_does_not_hide_its_reason(clock: Clock, state: str, after: Json) -> None:
    end = {"statusUpdate": {"status": {"state": state, "message": said("the reason")}}}
    body = b"".join(b"data: %b\n\n" % orjson.dumps(each) for each in (end, after))
    headers = {"content-type": "text/event-stream"}
    task = task_after(asyncio.run(responses.interpret(status=200, headers=headers, body=body, clock=clock))[:1])
    assert words(task) == ["the reason"]
    fed: list[Json] = []
    with pytest.raises(ValueError, match=r"must|not a task state|has the kind"):
        for updates in responses.Stream(clock=clock, limit=100_000).feed(body):
            fed += updates
    assert words(task_after(fed)) == ["the reason"]


@pytest.mark.parametrize(
    "data",
    [
        {"message": "hello"},
        {"message": {"content": "hello"}},
        {"message": None},
        {"task": "clean the house"},
        {"task": {"title": "clean"}},
        {"statusUpdate": {"text": "half way"}},
        {"artifactUpdate": 1},
        {"delta": {"message": {"role": "assistant"}}},
    ],
    ids=str,
)
def test_json_of_the_containers_own_in_a_stream_is_text(clock: Clock, data: Any) -> None:
    task = task_after(streamed(clock, data))
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"
    assert task["artifacts"][0]["parts"] == [{"text": orjson.dumps(data).decode()}]


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ({"bytes": "aGk=", "uri": None}, {"raw": "aGk="}),
        ({"bytes": None, "uri": "http://x"}, {"url": "http://x"}),
        ({"bytes": "aGk=", "mimeType": None, "name": None}, {"raw": "aGk="}),
    ],
)
def test_a_null_beside_a_file_is_as_good_as_absent(file: Json, expected: Json) -> None:
    assert v03.upgrade_part({"kind": "file", "file": file}, at="p") == expected


@pytest.mark.parametrize(
    "part",
    [
        {"text": "x", "raw": None, "url": None, "data": None, "filename": None},
        {"raw": "aGk=", "text": None, "mediaType": None, "media_type": None},
    ],
)
def test_nulls_in_a_part_of_10_are_as_good_as_absent(part: Json) -> None:
    found: list[Any] = []
    (read,) = params.check_parts([part], found, at="parts")
    assert found == []
    assert None not in read.values()


@pytest.mark.parametrize("kind", ["image", None, 7, "x" * 500])
def test_an_unknown_kind_of_part_is_named(clock: Clock, kind: Any) -> None:
    with pytest.raises(A2AError) as raised:
        v03.upgrade_part({"kind": kind, "text": "x"}, at="message.parts[0]")
    assert str(kind)[:40] in str(raised.value)
    assert len(str(raised.value)) < 300
