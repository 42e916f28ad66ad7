"""A record that grows by chunks equals one into which each chunk is folded at once."""

from dataclasses import replace
from typing import Any

import pytest
from tests.parts.store_chunks import chunk, streaming

from lambdaagent.a2a import tasks
from lambdaagent.a2a.tasks import OverfullError, fold_all
from lambdaagent.store import chunked_record
from lambdaagent.store.chunked_record import grown


@pytest.fixture
def folds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Records how many updates each fold has."""
    seen: list[int] = []

    def counted(task: dict[str, Any], updates: list[dict[str, Any]]) -> dict[str, Any]:
        seen.append(len(updates))
        return fold_all(task, updates)

    monkeypatch.setattr(chunked_record, "fold_all", counted)
    return seen


def test_chunks_are_folded_when_the_task_is_read_and_then_once(folds: list[int]) -> None:
    first = record = streaming()
    updates = [chunk(n) for n in range(50)]
    for update in updates:
        record = grown(record, [update], version=record.version + 1)
    assert (folds, record.version) == ([], 50)
    assert record.task == fold_all(first.task, updates)
    assert record == replace(first, version=50, task=record.task) == record
    assert record != replace(first, version=50)
    assert folds == [50]
    assert grown(record, [chunk(50)]).task == fold_all(first.task, [*updates, chunk(50)])
    assert folds == [50, 1]


def test_a_record_never_has_the_chunks_of_those_that_came_after_it() -> None:
    first = grown(streaming(), [chunk(0)])
    second = grown(first, [chunk(1)])
    # What could not be written is tried again, and may be something else then.
    other = grown(first, [chunk(2), chunk(3)])
    third = grown(second, [chunk(4)])
    base = streaming().task
    assert third.task == fold_all(base, [chunk(0), chunk(1), chunk(4)])
    assert other.task == fold_all(base, [chunk(0), chunk(2), chunk(3)])
    assert second.task == fold_all(base, [chunk(0), chunk(1)])
    assert first.task == fold_all(base, [chunk(0)])


def test_what_is_too_much_is_refused_when_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (chunked_record, tasks):
        monkeypatch.setattr(module, "MOST_PARTS", 8)
        monkeypatch.setattr(module, "MOST_ARTIFACTS", 4)
    record = streaming()
    for n in range(8):
        record = grown(record, [chunk(n)])
    with pytest.raises(OverfullError, match="parts"):
        grown(record, [chunk(8)])
    for name in "bcd":
        record = grown(record, [chunk(0, name)])
    with pytest.raises(OverfullError, match="artifacts"):
        grown(record, [chunk(0, "e")])
    assert [len(artifact["parts"]) for artifact in record.task["artifacts"]] == [8, 1, 1, 1]


def test_a_record_that_grew_can_be_replaced_in_part() -> None:
    record = replace(grown(streaming(), [chunk(0)]), holder="other")
    assert (record.holder, record.task) == ("other", fold_all(streaming().task, [chunk(0)]))
    assert grown(record, [chunk(1)]).task == fold_all(record.task, [chunk(1)])
