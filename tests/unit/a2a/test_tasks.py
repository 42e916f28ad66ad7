from typing import Any

import pytest
from tests.parts.a2a_schemas import check_v1

from lambdaagent.a2a import tasks
from lambdaagent.a2a.states import TaskState
from lambdaagent.a2a.tasks import TerminalTaskError

USER = {"messageId": "m1", "role": "ROLE_USER", "parts": [{"text": "hi"}]}


def new() -> dict[str, Any]:
    return tasks.new(task_id="t", context_id="c", message=USER, state=TaskState.WORKING, now=1.5)


def agent(text: str) -> dict[str, Any]:
    return tasks.agent_message([{"text": text}], message_id=f"id-{text}")


def test_a_new_task_holds_the_message_with_its_ids() -> None:
    task = new()
    assert task["status"] == {"state": "TASK_STATE_WORKING", "timestamp": "1970-01-01T00:00:01.500Z"}
    assert task["history"] == [{**USER, "taskId": "t", "contextId": "c"}]
    check_v1("Task", task)


def test_status_messages_become_history_when_the_next_status_comes() -> None:
    task = tasks.fold(new(), tasks.status_update(TaskState.WORKING, now=2, message=agent("a")))
    task = tasks.fold(task, tasks.status_update(TaskState.COMPLETED, now=3, message=agent("b"), metadata={"k": 1}))
    assert [message["messageId"] for message in task["history"]] == ["m1", "id-a"]
    assert task["status"]["message"]["taskId"] == "t"
    assert task["metadata"] == {"k": 1}
    check_v1("Task", task)


def test_artifacts_are_replaced_appended_to_and_begun() -> None:
    def update(text: str, **more: Any) -> dict[str, Any]:
        return tasks.artifact_update({"artifactId": "a", "parts": [{"text": text}]}, **more)

    task = tasks.fold(new(), update("1", append=True))
    task = tasks.fold(task, update("2", append=True))
    assert task["artifacts"] == [{"artifactId": "a", "parts": [{"text": "1"}, {"text": "2"}]}]
    task = tasks.fold(task, update("3"))
    assert task["artifacts"] == [{"artifactId": "a", "parts": [{"text": "3"}]}]


def test_a_fold_never_changes_what_it_was_given() -> None:
    before = new()
    copy = {**before, "history": list(before["history"])}
    tasks.fold(before, tasks.status_update(TaskState.COMPLETED, now=2, message=agent("a")))
    assert before == copy


@pytest.mark.parametrize("state", [state for state in TaskState if state.terminal])
def test_a_terminal_task_takes_nothing_more(state: TaskState) -> None:
    ended = tasks.fold(new(), tasks.status_update(state, now=2))
    with pytest.raises(TerminalTaskError):
        tasks.fold(ended, tasks.status_update(TaskState.WORKING, now=3))
    with pytest.raises(TerminalTaskError):
        tasks.with_message(ended, USER, now=3)


def test_the_next_turn_keeps_what_the_agent_asked() -> None:
    asked = tasks.fold(new(), tasks.status_update(TaskState.INPUT_REQUIRED, now=2, message=agent("which?")))
    task = tasks.with_message(asked, {**USER, "messageId": "m2"}, now=3)
    assert [message["messageId"] for message in task["history"]] == ["m1", "id-which?", "m2"]
    assert task["status"]["state"] == "TASK_STATE_WORKING"


@pytest.mark.parametrize(("length", "shown"), [(None, ["m1", "m2"]), (9, ["m1", "m2"]), (1, ["m2"]), (0, None)])
def test_history_is_cut_from_its_beginning(length: int | None, shown: list[str] | None) -> None:
    task = {**new(), "history": [USER, {**USER, "messageId": "m2"}]}
    history = tasks.shown(task, history_length=length).get("history")
    assert (history and [message["messageId"] for message in history]) == shown


def chunk(of: str, text: str, *, append: bool = True, **more: Any) -> dict[str, Any]:
    return tasks.artifact_update({"artifactId": of, "parts": [{"text": text}], **more}, append=append)


UPDATES = [
    chunk("a", "1", append=False),
    chunk("a", "2"),
    chunk("b", "3"),
    chunk("a", "4", name="renamed"),
    tasks.status_update(TaskState.WORKING, now=2, message=agent("a")),
    tasks.status_update(TaskState.WORKING, now=3, message=agent("b"), metadata={"k": 1}),
    chunk("b", "5"),
    chunk("a", "6", append=False),
    chunk("a", "7"),
    chunk("a", "8"),
]


@pytest.mark.parametrize("begun", range(len(UPDATES)))
def test_updates_that_are_folded_together_make_what_they_make_one_by_one(begun: int) -> None:
    first = tasks.fold_all(new(), UPDATES[:begun])
    one_by_one = first
    for update in UPDATES[begun:]:
        one_by_one = tasks.fold(one_by_one, update)
    given = repr((first, UPDATES))
    assert tasks.fold_all(first, UPDATES[begun:]) == one_by_one
    assert repr((first, UPDATES)) == given


def test_updates_that_are_folded_together_are_refused_as_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "MOST_PARTS", 3)
    monkeypatch.setattr(tasks, "MOST_ARTIFACTS", 2)
    tasks.fold_all(new(), [chunk("a", "x")] * 3)
    for updates in ([chunk("a", "x")] * 4, [chunk(name, "x") for name in "abc"]):
        with pytest.raises(tasks.OverfullError):
            tasks.fold_all(new(), updates)
    with pytest.raises(TerminalTaskError):
        tasks.fold_all(new(), [tasks.status_update(TaskState.FAILED, now=2), chunk("a", "x")])


def test_the_metadata_of_every_chunk_is_kept() -> None:
    task = {"status": {"state": "TASK_STATE_WORKING"}}
    chunks = [
        {"artifactId": "a", "parts": [], **more}
        for more in ({"metadata": {"k": 1, "l": 1}}, {}, {"metadata": {"k": 2}})
    ]
    for chunk in chunks:
        task = tasks.fold(task, tasks.artifact_update(chunk, append=True))
    assert task["artifacts"][0]["metadata"] == {"k": 2, "l": 1}
    assert chunks[0]["metadata"] == {"k": 1, "l": 1}
