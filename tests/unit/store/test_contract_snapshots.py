"""The contract of every store: long tasks that grow by chunks."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.parts.postgres import Postgres
from tests.parts.sealed import PAYLOADS
from tests.parts.store_chunks import chunk, ended, stream, streaming
from tests.parts.store_records import EngineStore, push

from lambdaagent.a2a.states import TaskState
from lambdaagent.a2a.tasks import agent_message, fold_all, status_update
from lambdaagent.store.chunked_record import grown
from lambdaagent.store.errors import TaskConflictError
from lambdaagent.store.factory import open_store
from lambdaagent.store.memory import MemoryStore
from lambdaagent.store.records import TaskQuery, TaskRecord
from lambdaagent.store.snapshots import SMALL, Snapshots

SIZE = 4 * 1024


@dataclass
class World:
    store: EngineStore
    again: Callable[[], Awaitable[EngineStore]]
    written: Callable[[], int]
    """Bytes that the store has written so far."""


@pytest.fixture(params=["memory", "sqlite", "postgres", "sqlite encrypted", "postgres encrypted"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """Opens a store whose replica has sent a heartbeat; yields it and a function that opens its data again."""
    kind = request.param.partition(" ")[0]
    sealing = PAYLOADS if "encrypted" in request.param else None
    database = {"memory": "", "sqlite": str(tmp_path / "t.db")}.get(kind)
    if database is None:
        database = request.getfixturevalue("database_url")
    opened: list[EngineStore] = []

    async def again() -> EngineStore:
        if opened and kind == "memory":
            return opened[0]
        if opened:
            await opened[-1].close()
        opened.append((await open_store(database, sealing=sealing)).store)
        return opened[-1]

    def written() -> int:
        if kind == "postgres":
            server: Postgres = request.getfixturevalue("postgres")
            return int(server.execute("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"))
        if kind == "sqlite":
            return int(Path(f"/proc/{os.getpid()}/io").read_text().partition("wchar: ")[2].split()[0])
        return 0

    store = await again()
    await store.beat("one", seconds=600)
    yield World(store, again, written)
    await opened[-1].close()


async def require(store: EngineStore, expected: TaskRecord) -> None:
    """Asserts that every way to read the task returns this record."""
    assert await store.get(expected.id) == expected
    assert await store.get(expected.id, known=expected) == expected
    page = await store.find(TaskQuery("shop", "cart", "anonymous"))
    assert [each for each in page.records if each.id == expected.id] == [expected]
    if not expected.state.settled:
        assert expected in await store.unsettled()
        assert expected in await store.unsettled(holders=[expected.holder])
        assert expected in await store.overdue(now=expected.deadline + 1, held_before=expected.deadline + 1)


async def log_of(store: EngineStore, task_id: str) -> list[dict[str, object]]:
    return [update for change in await store.changes(task_id) for update in change.updates]


async def test_a_stream_is_read_whole_at_every_length_and_by_whoever_comes_later(world: World) -> None:
    first = before = streaming()
    await world.store.create(first)
    for chunks in (1, 2, 5, 9, 20, 37):
        before = await stream(world.store, before, chunks=chunks, size=SIZE)
        await require(world.store, before)
    fresh = await world.again()
    await require(fresh, before)
    log = await log_of(fresh, "t")
    assert before.task == fold_all(first.task, log)
    assert len(log) == before.version == 74
    # It goes on from there.
    await fresh.beat("one", seconds=600)
    before = await stream(fresh, before, chunks=40, size=SIZE)
    await require(await world.again(), before)


async def test_what_was_known_of_a_stream_is_as_good_as_nothing(world: World) -> None:
    """Whoever follows it elsewhere has some version of it, before or after the newest snapshot."""
    known = [streaming()]
    await world.store.create(known[0])
    for _ in range(40):
        known.append(await stream(world.store, known[-1], chunks=1, size=SIZE))
    for each in known:
        assert await world.store.get("t", known=each) == known[-1]
    later = replace(known[-1], version=100)
    assert await world.store.get("t", known=later) == known[-1]
    last = await ended(world.store, known[-1])
    for each in known:
        assert await world.store.get("t", known=each) == last
    assert await world.store.get("other", known=replace(last, id="other")) is None


async def test_what_is_no_chunk_is_in_the_snapshot(world: World) -> None:
    before = streaming()
    await world.store.create(before)
    before = await stream(world.store, before, chunks=30, size=SIZE)
    # Another attempt makes the artifacts anew: the log does not say so.
    task = {key: value for key, value in before.task.items() if key != "artifacts"}
    before = replace(before, version=before.version + 1, task=task, holder="two", deadline=7.0, remote="theirs")
    assert await world.store.append(before, updates=[])
    await require(world.store, before)
    before = await stream(world.store, before, chunks=30, size=SIZE)
    await require(world.store, before)
    before = await ended(world.store, before)
    await require(await world.again(), before)


async def test_a_status_and_a_remote_id_may_come_between_the_chunks(world: World) -> None:
    before = streaming()
    await world.store.create(before)
    before = await stream(world.store, before, chunks=30, size=SIZE)
    message = agent_message([{"text": "still at it"}], message_id="s")
    for n in range(3):
        update = status_update(TaskState.WORKING, now=n, message=message)
        before = grown(before, [update, chunk(n, "b")], version=before.version + 1, remote=f"theirs {n}")
        assert await world.store.append(before, updates=[update, chunk(n, "b")])
        await require(world.store, before)
    await require(await world.again(), before)


async def test_a_key_and_a_version_count_for_chunks_as_for_all(world: World) -> None:
    before = streaming()
    await world.store.create(before)
    before = await stream(world.store, before, chunks=30, size=SIZE)
    after = grown(before, [chunk(1)], version=before.version + 1)
    assert await world.store.append(after, updates=[chunk(1)], key=("/s", "1"))
    again = grown(after, [chunk(1)], version=after.version + 1)
    assert not await world.store.append(again, updates=[chunk(1)], key=("/s", "1"))
    for version in (after.version, after.version + 2):
        with pytest.raises(TaskConflictError, match=f"version {after.version}"):
            await world.store.append(replace(again, version=version), updates=[chunk(2)])
    await require(world.store, after)
    assert await world.store.changed_by("t", ("/s", "1"))
    after = await stream(world.store, after, chunks=20, size=SIZE)
    await require(await world.again(), after)


async def test_of_many_writers_of_one_chunk_one_wins(world: World) -> None:
    before = streaming()
    await world.store.create(before)
    before = await stream(world.store, before, chunks=30, size=SIZE)
    attempts = [
        world.store.append(grown(before, [chunk(n)], version=before.version + 1), updates=[chunk(n)]) for n in range(20)
    ]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    assert outcomes.count(True) == 1
    await require(world.store, grown(before, [chunk(outcomes.index(True))], version=before.version + 1))


async def test_changes_that_come_together_are_all_there(world: World) -> None:
    before = streaming()
    await world.store.create(before)
    before = await stream(world.store, before, chunks=30, size=SIZE)
    writes = []
    for n in range(20):
        before = grown(before, [chunk(n)], version=before.version + 1)
        writes.append(world.store.append(before, updates=[chunk(n)]))
    assert await asyncio.gather(*writes) == [True] * 20
    await require(world.store, before)


async def test_lists_and_receivers_see_every_chunk(world: World) -> None:
    for n in range(3):
        before = streaming(f"t{n}", updated=float(n))
        await world.store.create(before, push=push(task_id=f"t{n}"))
        before = await stream(world.store, before, chunks=25 + n, size=SIZE)
        await require(world.store, before)
    found = await world.store.find(TaskQuery("shop", "cart", "anonymous", limit=2))
    assert [(each.id, each.version, len(each.task["artifacts"][0]["parts"])) for each in found.records] == [
        ("t2", 27, 27), ("t1", 26, 26),
    ]  # fmt: skip
    assert found.more
    await world.store.settle_push(replace(push(task_id="t0"), sent=25))
    claimed = await world.store.claim_pushes(now=1, until=2, limit=9)
    assert {each.task_id for each in claimed} == {"t1", "t2"}


async def test_a_page_of_long_streams_is_cut_by_all_that_is_read_for_it(world: World) -> None:
    for n in range(4):
        before = streaming(f"t{n}", updated=100.0 * n)
        await world.store.create(before)
        await stream(world.store, before, chunks=5, size=2_000_000)  # four in the snapshot, one in the log
    seen: list[tuple[str, int]] = []
    sizes, after = [], None
    while True:
        page = await world.store.find(TaskQuery("shop", "cart", "anonymous", after=after))
        seen += [(each.id, len(each.task["artifacts"][0]["parts"])) for each in page.records]
        sizes.append(len(page.records))
        if not page.more:
            break
        after = (page.records[-1].updated, page.records[-1].id)
    assert seen == [(f"t{n}", 5) for n in (3, 2, 1, 0)]
    assert sizes == ([4] if isinstance(world.store, MemoryStore) else [3, 1])  # memory reads nothing


async def test_what_is_forgotten_is_forgotten_with_its_snapshot(world: World) -> None:
    first = streaming()
    await world.store.create(first)
    await ended(world.store, await stream(world.store, first, chunks=30, size=SIZE))
    assert await world.store.prune(before=1000.0) == 1
    assert await world.store.get("t") is None
    # The same id may come again.
    await world.store.create(first)
    await require(world.store, await stream(world.store, first, chunks=30, size=100))


async def test_what_a_stream_writes_grows_with_it_and_not_with_its_square(world: World) -> None:
    taken = []
    for task_id, chunks in (("warm", 50), ("short", 100), ("long", 400)):
        before = streaming(task_id)
        await world.store.create(before)
        begun = world.written()
        await stream(world.store, before, chunks=chunks, size=8 * 1024)
        taken.append(world.written() - begun)
    # Four times as many; the square would be sixteen times. Memory writes nothing.
    assert taken[2] <= 8 * taken[1]
    assert taken[2] < 30 * 400 * 8 * 1024


def test_a_snapshot_is_left_out_only_after_one_that_this_process_wrote() -> None:
    snapshots, before = Snapshots(most=2), streaming(version=4)
    following = replace(before, version=5)

    def enough(record: TaskRecord = following, added: int = 10, updates: list[dict[str, object]] | None = None) -> bool:
        return snapshots.has_enough(record, [chunk(1)] if updates is None else updates, added=added)

    assert not enough()
    snapshots.wrote(before, size=SMALL, added=1)
    assert not enough()  # small ones are written whole
    snapshots.wrote(before, size=SMALL + 2, added=1)
    assert enough() and enough(added=SMALL // 2 + 1)
    assert not enough(added=SMALL // 2 + 2)
    assert not enough(replace(following, version=6))
    assert not enough(replace(following, state=TaskState.INPUT_REQUIRED))
    assert not enough(updates=[]) and not enough(updates=[{"message": {}}]) and not enough(updates=[chunk(1), {}])
    snapshots.allowed = False
    assert not enough()
    snapshots.allowed = True
    snapshots.wrote(following, size=None, added=SMALL // 2)
    assert not enough()
    assert enough(replace(following, version=6), added=1) and not enough(replace(following, version=6), added=2)
    snapshots.forget("t")
    assert not enough(replace(following, version=6))
    for task_id in ("t", "u", "v"):
        snapshots.wrote(streaming(task_id, version=4), size=SMALL + 2, added=1)
    assert not enough() and enough(replace(following, id="u"))
