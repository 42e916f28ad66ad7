"""Tasks and receivers that cannot be decrypted keep nothing else from being worked on."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.parts.polling import eventually
from tests.parts.sealed import K2, PAYLOADS
from tests.parts.store_records import UPDATE, following, push, record
from tests.unit.tasks.bench import CLOCK, Container, Observed, at_once, bench_of, sending
from tests.unit.tasks.bench import agent as known
from tests.unit.tasks.test_push_delivery import QUICK, Pushed, Receiver

from lambdaagent.a2a.states import TaskState
from lambdaagent.store.errors import SealedValueError
from lambdaagent.store.records import TaskRecord
from lambdaagent.store.sealing import Sealing
from lambdaagent.store.sqlite.store import SqliteStore
from lambdaagent.tasks.engine import Engine
from lambdaagent.tasks.limits import EngineLimits
from lambdaagent.tasks.push_delivery import PushDelivery
from lambdaagent.tasks.registry import ActiveTasks
from lambdaagent.tasks.storing import FOR_EVER, until_written

OTHER = Sealing({"k2": K2}, payloads=True)


def running(task_id: str, *, holder: str = "", deadline: float = 5e9) -> TaskRecord:
    task = {"id": task_id, "contextId": "c", "status": {"state": "TASK_STATE_WORKING"}}
    return record(task_id, holder=holder, deadline=deadline, task=task)


async def test_recovery_goes_on_after_a_task_that_cannot_be_decrypted(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "t.db", sealing=PAYLOADS)
    lost = [running("a", holder="gone"), running("held a", holder="here"), running("late a", deadline=1.0)]
    for each in lost:
        await store.create(each)
    await store.close()
    store = await SqliteStore.open(tmp_path / "t.db", sealing=OTHER)
    for each in (running("b", holder="gone"), running("held b", holder="here"), running("late b", deadline=1.0)):
        await store.create(each)
    bench = bench_of(store, limits=EngineLimits(beat_every=0.01), replica="here")
    with capture_logs() as logs:
        await bench.engine.start()
        for task_id in ("b", "late b", "held b"):
            await bench.reach(task_id, TaskState.FAILED)
        done = await bench.engine.send(known(), sending())
        assert done["status"]["state"] == "TASK_STATE_COMPLETED"
        await bench.engine.stop(grace=0)
    await store.close()
    assert bench.observed.crashes == 0
    skipped = [each["task"] for each in logs if each["event"] == "recovery.task_skipped"]
    assert sorted(skipped) == ["a", "held a", "late a"]  # each of them once
    assert not [each for each in logs if each["event"] in ("recovery.failed", "recovery.start_failed")]
    store = await SqliteStore.open(tmp_path / "t.db", sealing=PAYLOADS)
    assert [await store.get(each.id) for each in lost] == lost
    await store.close()


async def test_a_write_that_cannot_be_decided_for_want_of_a_key_is_not_repeated() -> None:
    tries = []

    async def work() -> None:
        tries.append(1)
        raise SealedValueError("no key")

    async with asyncio.timeout(5):
        with pytest.raises(SealedValueError):
            await until_written(work, patience=FOR_EVER)
    assert len(tries) == 1


async def test_who_waits_for_a_task_that_another_replica_writes_with_a_new_key_is_told(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "t.db", sealing=PAYLOADS)
    known_here = running("a", holder="elsewhere")
    await store.create(known_here)
    await store.close()
    store = await SqliteStore.open(tmp_path / "t.db", sealing=OTHER)
    active_tasks = ActiveTasks(store=store, clock=CLOCK, observer=Observed(), pusher=None)
    async with asyncio.timeout(5):
        with pytest.raises(SealedValueError, match="k1"):
            await active_tasks.settled(active_tasks.new(known_here), look_every=0.01)
    await store.close()


async def test_a_receiver_that_cannot_be_decrypted_is_postponed_and_the_others_get_theirs(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "t.db", sealing=Sealing({"k1": b"1" * 32}))
    await store.create(record(), push=push("lost"))
    await store.close()
    store = await SqliteStore.open(tmp_path / "t.db", sealing=OTHER)
    await store.put_push(push("known"))
    await store.append(following(record(), state=TaskState.COMPLETED), updates=[UPDATE])
    receiver, observed = Receiver(), Pushed()
    pusher = PushDelivery(
        store=store, notifier=receiver, clock=CLOCK, observer=observed, limits=replace(QUICK, longest_pause=1000.0)
    )
    engine = Engine(
        store=store,
        caller=Container(at_once),
        clock=CLOCK,
        observer=observed,
        lookup=lambda _, __: known(),
        pusher=pusher,
    )
    begun = CLOCK.now()
    await engine.start()
    await eventually(lambda: receiver.got and "unreadable" in observed.outcomes)

    async def postponed() -> bool:
        [lost] = [each for each in await store.pushes("t") if each.id == "lost"]
        return lost.due >= begun + 1000.0 and not lost.dead and not lost.attempts

    await eventually(postponed)
    assert [config.id for config, _, _ in receiver.got] == ["known"]
    kept = await pusher.get("t", "known")
    assert kept is not None and kept.token == "secret"
    await engine.stop(grace=0)
    await store.close()
