"""Rotation: everything gets the first key while gateways write, and nothing that they write is lost."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from tests.parts.sealed import K1, K2, PAYLOADS, SECRETS, Database
from tests.parts.store_chunks import stream, streaming
from tests.parts.store_records import UPDATE, EngineStore, following, letter, push, record
from tests.unit.store.coordination.test_contract_jobs import made as job

from lambdaagent import clock
from lambdaagent.a2a.states import TaskState
from lambdaagent.coordination.deliveries import Addressed
from lambdaagent.coordination.job import Definition
from lambdaagent.coordination.message import Message
from lambdaagent.store import factory
from lambdaagent.store.coordination import contexts, jobs, messages
from lambdaagent.store.records import Letters
from lambdaagent.store.rewrap import RewrapResult, counts, is_current, rewrap
from lambdaagent.store.sealed_tables import CHANGES, LETTERS, PUSHES, TASKS
from lambdaagent.store.sealing import Sealing

ROTATED = Sealing({"k2": K2, "k1": K1}, payloads=True)
NEW = Sealing({"k2": K2}, payloads=True)
DEST = {"knativeerrordest": "http://e/capability"}


async def fill(store: EngineStore, *, tasks: int = 3) -> None:
    for number in range(tasks):
        task = record(f"t{number}")
        await store.create(task, push=push(task_id=task.id))
        await store.append(following(task, state=TaskState.COMPLETED), updates=[UPDATE])
        await store.add_dead_letter(
            letter(attributes={"id": str(number), "source": "/s", **DEST}, destination="http://e")
        )


async def rewrapped(database: Database, sealing: Sealing) -> RewrapResult:
    store = await database.sealed_rows()
    try:
        return await rewrap(store, sealing, lambda _: None)
    finally:
        await store.close()


async def counted(database: Database) -> dict[str, dict[str, int]]:
    store = await database.sealed_rows()
    try:
        return {column: dict(each) for column, each in (await counts(store)).items()}
    finally:
        await store.close()


async def current(database: Database, sealing: Sealing) -> bool:
    store = await database.sealed_rows()
    try:
        return is_current(await counts(store), sealing)
    finally:
        await store.close()


async def require_filled(database: Database, sealing: Sealing, *, tasks: int = 3) -> None:
    store = await database.open(sealing)
    for number in range(tasks):
        task = record(f"t{number}")
        assert await store.get(task.id) == following(task, state=TaskState.COMPLETED)
        assert [list(change.updates) for change in await store.changes(task.id)] == [[UPDATE]]
        assert await store.pushes(task.id) == [push(task_id=task.id)]
    found = await store.find_letters(Letters())
    assert [each.attributes["id"] for each in found] == [str(number) for number in reversed(range(tasks))]
    assert {(each.destination, each.attributes["knativeerrordest"], each.data) for each in found} == {
        ("http://e", "http://e/capability", b"\x00")
    }
    await store.close()


@pytest.mark.parametrize("before", [Sealing(), SECRETS, PAYLOADS], ids=["plain", "secrets", "payloads"])
async def test_after_a_rotation_the_old_key_is_not_needed(database: Database, before: Sealing) -> None:
    store = await database.open(before)
    await fill(store)
    await store.close()
    await require_filled(database, ROTATED)
    assert not await current(database, ROTATED)
    done = await rewrapped(database, ROTATED)
    assert done.changed == {"tasks": 3, "changes": 3, "pushes": 3, "dead_letters": 3}
    assert (done.unreadable, done.left) == ({}, 0)
    assert await current(database, NEW)
    await require_filled(database, NEW)
    assert b"capability" not in database.content()
    assert (await rewrapped(database, ROTATED)).changed.total() == 0


async def test_payloads_are_sealed_only_where_that_is_configured_and_never_decrypted(database: Database) -> None:
    store = await database.open()
    await fill(store)
    await store.close()
    done = await rewrapped(database, SECRETS)
    assert done.changed == {"pushes": 3, "dead_letters": 3}
    found = await counted(database)
    assert found["tasks.body"] == found["changes.updates"] == found["dead_letters.data"] == {"plain": 3}
    assert found["pushes.token"] == found["dead_letters.destination"] == {"k1": 3}
    assert await current(database, SECRETS)
    assert not await current(database, PAYLOADS)
    assert not await current(database, Sealing())
    await rewrapped(database, PAYLOADS)
    assert (await counted(database))["tasks.body"] == {"k1": 3}
    await rewrapped(database, Sealing({"k2": K2, "k1": K1}))
    found = await counted(database)
    assert found["tasks.body"] == found["changes.updates"] == found["dead_letters.data"] == {"k2": 3}
    await require_filled(database, NEW)


async def test_what_cannot_be_opened_stays_and_is_counted(database: Database) -> None:
    store = await database.open(PAYLOADS)
    await fill(store, tasks=1)
    await store.close()
    store = await database.open(NEW)
    await store.create(record("new"), push=push(task_id="new"))
    await store.close()
    before = await counted(database)
    assert before["tasks.body"] == {"k1": 1, "k2": 1}
    done = await rewrapped(database, NEW)
    assert {table for table, _ in done.unreadable} == {"tasks", "changes", "pushes", "dead_letters"}
    assert len(done.unreadable) == 4
    assert all("the key k1" in reason for reason in done.reasons)
    assert done.changed.total() == 0
    assert await counted(database) == before
    await require_filled(database, PAYLOADS, tasks=1)


async def test_large_tasks_under_way_are_rewrapped_with_their_snapshots(database: Database) -> None:
    store = await database.open(PAYLOADS)
    await store.beat("one", seconds=600)
    first = streaming()
    await store.create(first)
    last = await stream(store, first, chunks=30, size=4096)
    await rewrapped(database, ROTATED)
    assert await current(database, NEW)
    await store.close()
    store = await database.open(NEW)
    assert await store.get("t") == last
    assert len(await store.changes("t")) == last.version
    await store.close()


@pytest.mark.holds_the_loop("it begins 300 writes at once")
async def test_nothing_that_is_written_meanwhile_is_lost(database: Database) -> None:
    """Gateways still seal with the old key, as during a rollout."""
    store = await database.open(PAYLOADS)
    await store.beat("one", seconds=600)
    tasks = [record(f"w{number}", task={"id": f"w{number}", "n": 0}) for number in range(20)]
    for task in tasks:
        await store.create(task, push=push(task_id=task.id))
    latest = {task.id: task for task in tasks}
    stopped = asyncio.Event()

    async def write(task_id: str) -> None:
        while not stopped.is_set():
            before = latest[task_id]
            number = before.version + 1
            after = following(before, task={"id": task_id, "n": number})
            assert await store.append(after, updates=[{"n": number}])
            await store.put_push(push(task_id=task_id, token=f"token {number}"))
            latest[task_id] = after

    writers = [asyncio.create_task(write(task.id)) for task in tasks]
    rows = await database.sealed_rows()
    for _ in range(3):
        done = await rewrap(rows, ROTATED, lambda _: None)
        assert done.unreadable == {}
    stopped.set()
    await asyncio.gather(*writers)
    done = await rewrap(rows, ROTATED, lambda _: None)
    assert (done.unreadable, done.left) == ({}, 0)
    await rows.close()
    await store.close()
    store = await database.open(NEW)
    for task_id, last in latest.items():
        assert last.version > 0
        assert await store.get(task_id) == last
        log = await store.changes(task_id)
        assert [change.updates for change in log] == [({"n": n},) for n in range(1, last.version + 1)]
        assert await store.pushes(task_id) == [push(task_id=task_id, token=f"token {last.version}")]
    await store.close()


@pytest.mark.parametrize("table", [TASKS, CHANGES, PUSHES, LETTERS], ids=lambda table: table.name)
async def test_a_value_is_replaced_only_where_it_is_the_one_that_was_read(database: Database, table: object) -> None:
    assert table in (TASKS, CHANGES, PUSHES, LETTERS)
    store = await database.open(PAYLOADS)
    await fill(store, tasks=2)
    rows = await database.sealed_rows()
    heads = await rows.heads(table, after=None, limit=10)  # type: ignore[arg-type]
    read = await rows.load(table, [head.key for head in heads])  # type: ignore[arg-type]
    assert len(read) == 2
    stale = replace(read[0], values=(*read[0].values[:-1], read[1].values[-1]))
    again = [(stale, read[1].values), (read[1], read[1].values)]
    assert await rows.swap(table, again) == 1  # type: ignore[arg-type]
    assert await rows.load(table, [head.key for head in heads]) == read  # type: ignore[arg-type]
    await rows.close()
    await store.close()


async def test_data_that_looks_like_an_envelope_is_counted_as_plain_and_stays_the_same(database: Database) -> None:
    store = await database.open()
    await store.add_dead_letter(letter(data=b"\x01v1|k9|of nobody"))
    await store.close()
    assert await counted(database) == {"dead_letters.destination": {"plain": 1}, "dead_letters.data": {"plain": 1}}
    await rewrapped(database, SECRETS)
    assert await counted(database) == {"dead_letters.destination": {"k1": 1}, "dead_letters.data": {"plain": 1}}
    await rewrapped(database, ROTATED)
    assert await counted(database) == {"dead_letters.destination": {"k2": 1}, "dead_letters.data": {"k2": 1}}
    store = await database.open(NEW)
    assert await store.find_letters(Letters()) == [letter(data=b"\x01v1|k9|of nobody")]
    await store.close()


@pytest.mark.holds_the_loop("it begins 600 writes at once")
async def test_an_interrupted_run_is_continued_by_the_next_one(database: Database) -> None:
    """There are more rows than a page has, also of one task."""
    store = await database.open(PAYLOADS)
    await store.beat("one", seconds=600)
    letters = (letter(attributes={"id": str(number), "source": "/s"}) for number in range(600))
    await asyncio.gather(*map(store.add_dead_letter, letters))
    for task_id, chunks in (("a", 20), ("b", 550)):
        first = streaming(task_id)
        await store.create(first)
        await stream(store, first, chunks=chunks, size=10)
    await store.close()
    rows = await database.sealed_rows()

    def interrupt(said: str) -> None:
        if said.startswith("dead_letters"):
            raise InterruptedError

    with pytest.raises(InterruptedError):
        await rewrap(rows, ROTATED, interrupt)
    await rows.close()
    assert await counted(database) == {
        "tasks.body": {"k2": 2},
        "changes.updates": {"k2": 570},
        "dead_letters.destination": {"k1": 100, "k2": 500},
        "dead_letters.data": {"k1": 100, "k2": 500},
    }
    assert (await rewrapped(database, ROTATED)).changed == {"dead_letters": 100}
    assert await current(database, NEW)


@pytest.mark.parametrize("before", [PAYLOADS, SECRETS, Sealing()], ids=["payloads", "secrets", "nothing sealed"])
async def test_what_agents_that_work_together_wrote_is_rotated_too(database: Database, before: Sealing) -> None:
    await write_together(database, before)
    done = await rewrapped(database, ROTATED)
    assert not done.unreadable
    assert await current(database, ROTATED)
    await require_together(database, NEW)
    secrets_only = Sealing({"k1": K1, "k2": K2})
    await rewrapped(database, secrets_only)
    await require_together(database, Sealing({"k1": K1}))


async def write_together(database: Database, sealing: Sealing) -> None:
    store = await database.open(sealing)
    shared = factory.open_coordination(store, clock.system())
    message = Message(id="m", sender="a", to=("b",), kind="request", content={"x": "\u0001v1|y"})
    to = [Addressed("b", "mailbox")]
    await shared.run(lambda tx: messages.put(tx, message, to, by="a", most=9, lease=1))
    made = await shared.run(
        lambda tx: contexts.create(tx, "c", {"n": 1}, participants=[], strategies={}, ttl=99, by="a", most=9)
    )
    await shared.run(lambda tx: contexts.change(tx, made.context_id, lambda _: {"n": 2}, by="a"))
    await shared.run(lambda tx: jobs.submit(tx, job("j", input_data={"i": 1}), most=9))
    task = {"task_id": "t", "name": "T", "task_type": "say"}
    definition = Definition(**DEFINED | task)
    await shared.run(lambda tx: jobs.define(tx, definition, most=9, hook_secret="hush-hush"))
    await shared.close()
    await store.close()


async def require_together(database: Database, sealing: Sealing) -> None:
    store = await database.open(sealing)
    shared = factory.open_coordination(store, clock.system())
    found = await shared.read(lambda tx: messages.find(tx, "m"))
    assert found is not None
    assert found.message.content == {"x": "\u0001v1|y"}
    context = await shared.read(lambda tx: contexts.find(tx, "c"))
    assert context is not None
    assert context.data == {"n": 2}
    log = await shared.read(lambda tx: contexts.log(tx, "c", since=1, limit=9))
    assert [each.patch for each in log] == [[{"op": "replace", "path": "/n", "value": 2}]]
    read = await shared.read(lambda tx: jobs.find(tx, "j"))
    assert read is not None
    assert (read.input_data, read.output_data) == ({"i": 1}, {})
    hooked = await shared.read(lambda tx: jobs.hooked(tx, "hook"))
    assert hooked is not None
    assert hooked[1] == "hush-hush"
    await shared.close()
    await store.close()


DEFINED: dict[str, Any] = {
    "description": "", "required_capabilities": [], "input_schema": {}, "output_schema": {}, "priority": 5,
    "max_retries": 3, "timeout_seconds": 300, "strategy": "auto", "agent_id": "", "metadata": {}, "created_by": "a",
    "hook_id": "hook", "hook_kind": "generic",
}  # fmt: skip
