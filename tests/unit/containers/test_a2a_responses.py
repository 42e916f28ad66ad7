"""The events of one A2A server, in the form of whichever version: all of them say what they plainly say."""

from typing import Any

import pytest
from tests.unit.containers.folding import task_after

from lambdaagent.a2a import tolerant_reader
from lambdaagent.clock import Clock
from lambdaagent.containers.a2a_responses import A2aResponses

Json = dict[str, Any]


def updates(clock: Clock, *results: Any, remote: str = "") -> list[Json]:
    reading = A2aResponses(clock, remote)
    found = [update for result in results for update in reading.updates(tolerant_reader.stream_response(result))]
    return [update for update in [*found, *reading.end()] if "remote" not in update]


def task_of(clock: Clock, *results: Any) -> Json:
    return task_after(updates(clock, *results))


TEXT_PARTS = [
    pytest.param({"text": "hi"}, id="1.0"),
    pytest.param({"kind": "text", "text": "hi"}, id="0.3"),
    pytest.param({"kind": "text", "text": "hi", "metadata": None}, id="nulls"),
    pytest.param({"kind": "text", "text": "hi", "raw": None, "url": None, "data": None, "file": None}, id="all keys"),
]


@pytest.mark.parametrize("part", TEXT_PARTS)
@pytest.mark.parametrize(
    "wrap",
    [
        lambda task: {"task": task},
        lambda task: {**task, "kind": "task"},
        lambda task: task,
    ],
    ids=["1.0", "0.3", "bare"],
)
@pytest.mark.parametrize("state", ["TASK_STATE_COMPLETED", "completed", 3])
def test_a_task_of_any_form(clock: Clock, wrap: Any, part: Json, state: Any) -> None:
    task = task_of(
        clock,
        wrap(
            {
                "id": "t",
                "contextId": "c",
                "status": {"state": state, "message": {"messageId": "m", "role": "agent", "parts": [part]}},
                "artifacts": [{"artifactId": "a", "name": "n", "metadata": {"k": 1}, "parts": [part]}],
                "metadata": {"of": "the task"},
            }
        ),
    )
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"
    assert [each["text"] for each in task["status"]["message"]["parts"]] == ["hi"]
    (artifact,) = task["artifacts"]
    assert (artifact["name"], artifact["metadata"], artifact["parts"][0]["text"]) == ("n", {"k": 1}, "hi")
    assert not any("kind" in each or "file" in each for each in artifact["parts"])
    assert task["metadata"] == {"of": "the task"}


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"kind": "file", "file": {"bytes": "aGk=", "mimeType": "a/b", "name": "f"}},
         {"raw": "aGk=", "mediaType": "a/b", "filename": "f"}),
        ({"file": {"uri": "http://x/", "mime_type": "a/b", "bytes": None}}, {"url": "http://x/", "mediaType": "a/b"}),
        ({"file": {"fileWithUri": "http://x/", "mimeType": "a/b"}}, {"url": "http://x/", "mediaType": "a/b"}),
        ({"kind": "data", "data": {"k": 1}}, {"data": {"k": 1}}),
        ({"kind": "data", "data": None}, {"data": None}),
        ({"kind": "file", "raw": "aGk=", "media_type": "a/b"}, {"raw": "aGk=", "mediaType": "a/b"}),
    ],
)  # fmt: skip
def test_parts_of_any_form(clock: Clock, part: Json, expected: Json) -> None:
    task = task_of(clock, {"kind": "artifact-update", "artifact": {"artifactId": "a", "parts": [part]}})
    assert task["artifacts"][0]["parts"] == [expected]


@pytest.mark.parametrize("part", [{"kind": "video", "video": "x"}, {"kind": "file", "file": 5}, {"kind": "file"}])
def test_a_part_of_no_known_content_is_named(clock: Clock, part: Json) -> None:
    with pytest.raises(ValueError, match=f"artifact.parts\\[0\\] has the kind '{part['kind']}' and no content"):
        task_of(clock, {"artifactUpdate": {"artifact": {"artifactId": "a", "parts": [part]}}})


@pytest.mark.parametrize("state", ["unknown", "TASK_STATE_UNSPECIFIED", 0, None], ids=str)
def test_an_unknown_state_in_the_middle_is_no_end_and_keeps_its_message(clock: Clock, state: Any) -> None:
    said = {"messageId": "m", "role": "agent", "parts": [{"kind": "text", "text": "half way"}]}
    middle = {"kind": "status-update", "taskId": "t", "final": False, "status": {"state": state, "message": said}}
    end = {"kind": "status-update", "taskId": "t", "final": True, "status": {"state": "completed"}}
    found = updates(clock, middle, end)
    assert found[0]["statusUpdate"]["status"]["state"] == "TASK_STATE_WORKING"
    assert found[0]["statusUpdate"]["status"]["message"]["parts"][0]["text"] == "half way"
    assert "final" not in found[1]["statusUpdate"]
    assert found[1]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({}, (False, False)),
        ({"append": None, "lastChunk": None}, (False, False)),
        ({"append": True}, (True, False)),
        ({"append": True, "last_chunk": True}, (True, True)),
    ],
)
@pytest.mark.parametrize("old", [True, False])
def test_a_chunk_is_the_last_one_only_where_it_says_so(
    clock: Clock, flags: Json, expected: tuple[bool, bool], old: bool
) -> None:
    update = {"artifact": {"artifactId": "a", "parts": [{"text": "x"}]}, "metadata": {"n": 1}, **flags}
    found = updates(clock, {**update, "kind": "artifact-update"} if old else {"artifactUpdate": update})
    change = found[0]["artifactUpdate"]
    assert (change["append"], change["lastChunk"], change["metadata"]) == (*expected, {"n": 1})


def test_what_a_task_that_goes_on_says_is_kept_and_said_once(clock: Clock) -> None:
    said = {"messageId": "m", "role": "ROLE_AGENT", "parts": [{"text": "working on it"}], "metadata": {"p": 5}}
    artifact = {"artifactId": "a", "parts": [{"text": "x"}]}
    task = {"id": "t", "contextId": "c", "status": {"state": "TASK_STATE_WORKING", "message": said}}
    task |= {"metadata": {"eta": 9}, "artifacts": [artifact]}
    more = {**task, "artifacts": [artifact, {"artifactId": "b", "parts": [{"text": "y"}]}]}
    done = {**more, "status": {"state": "TASK_STATE_COMPLETED"}}
    found = updates(clock, *({"task": each} for each in (task, task, more, done)))
    kinds = [next(iter(update)) for update in found]
    assert kinds == ["artifactUpdate", "statusUpdate", "artifactUpdate", "statusUpdate"]
    assert found[1]["statusUpdate"]["metadata"] == {"eta": 9}
    after = task_after(found)
    assert after["metadata"] == {"eta": 9}
    assert [each["metadata"] for each in after["history"] if each["role"] == "ROLE_AGENT"] == [{"p": 5}]
    assert [each["artifactId"] for each in after["artifacts"]] == ["a", "b"]


def test_the_state_of_a_task_that_goes_on_is_no_news(clock: Clock) -> None:
    reading = A2aResponses(clock, "")
    task = {"id": "t", "contextId": "c", "status": {"state": "TASK_STATE_SUBMITTED"}}
    assert reading.updates({"task": task}) == [{"remote": "t"}]
    assert reading.updates({"task": task}) == []
    assert (reading.end(), reading.settled) == ([], False)


def test_an_answer_that_ends_without_a_word_is_no_success(clock: Clock) -> None:
    with pytest.raises(ValueError, match="ends without a result for the message"):
        updates(clock)


def test_the_containers_own_ids_stay_inside(clock: Clock) -> None:
    said = {"messageId": "m", "role": "agent", "parts": [{"text": "x"}], "taskId": "t", "referenceTaskIds": ["theirs"]}
    for result in (said, {"statusUpdate": {"taskId": "t", "status": {"state": "completed", "message": said}}}):
        message = updates(clock, result)[-1]["statusUpdate"]["status"]["message"]
        assert message.keys() == {"messageId", "role", "parts"}


@pytest.mark.parametrize(
    "result", [None, [], "x", 5, {}, {"kind": "video"}, {"task": None}, {"status": "done"}], ids=str
)
def test_what_is_no_event_is_refused(clock: Clock, result: Any) -> None:
    with pytest.raises(ValueError, match="an A2A response"):
        updates(clock, result)


@pytest.mark.parametrize("id_", [5, {"a": 1}, "x" * 1025, "a\0b"], ids=["number", "object", "long", "NUL"])
def test_an_id_that_no_store_could_keep_is_refused(clock: Clock, id_: Any) -> None:
    with pytest.raises(ValueError, match="must be a string of at most 1024 characters"):
        updates(clock, {"task": {"id": id_, "status": {"state": "completed"}}})


def test_the_containers_references_stay_out_of_an_answer_that_stands_in_the_history(clock: Clock) -> None:
    last = {"messageId": "m", "role": "ROLE_AGENT", "parts": [{"text": "hi"}], "referenceTaskIds": ["of another"]}
    found = task_of(clock, {"task": {"id": "t", "status": {"state": "TASK_STATE_COMPLETED"}, "history": [last]}})
    assert found["status"]["message"]["parts"] == [{"text": "hi"}]
    assert "referenceTaskIds" not in found["status"]["message"]
