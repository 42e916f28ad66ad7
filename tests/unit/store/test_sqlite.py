"""What only a store in a file does: it survives the process, it is opened once, and its errors name the file."""

import asyncio
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from tests.parts.store_chunks import stream, streaming
from tests.parts.store_records import letter, record

from lambdaagent.store.errors import StoreError, StoreUnusableError
from lambdaagent.store.records import Letters
from lambdaagent.store.sqlite.dead_letters import SqliteLetters
from lambdaagent.store.sqlite.store import SqliteStore

WRITER = """
    import asyncio, sys
    from pathlib import Path
    from lambdaagent.a2a.states import TaskState
    from lambdaagent.store.records import TaskRecord
    from lambdaagent.store.sqlite.store import SqliteStore

    async def write(store, n):
        record = TaskRecord(f"t{n}", "c", "shop", "cart", None, "a", 0, TaskState.WORKING, 1.0, 1.0, {"n": n})
        await store.create(record)
        print(n, flush=True)

    async def main():
        store = await SqliteStore.open(Path(sys.argv[1]))
        n = 0
        while True:
            await asyncio.gather(*(write(store, n + k) for k in range(20)))
            n += 20

    asyncio.run(main())
"""


async def test_what_was_confirmed_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    confirmed = [int(process.stdout.readline()) for _ in range(500)]
    process.kill()
    confirmed += [int(line) for line in process.stdout.read().split("\n")[:-1]]
    process.stdout.close()
    process.wait()
    store = await SqliteStore.open(path)
    running = {each.id for each in await store.unsettled()}
    await store.close()
    assert {f"t{n}" for n in confirmed} <= running


async def test_a_second_opener_is_told_which_file_is_in_use(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    store = await SqliteStore.open(path, durable=True)
    with pytest.raises(StoreUnusableError, match=r"tasks\.db is in use"):
        await SqliteStore.open(path)
    await store.close()
    again = await SqliteStore.open(path)
    await again.close()


async def test_what_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreUnusableError, match=r"tasks\.db is not a database"):
        await SqliteStore.open(path)
    with pytest.raises(StoreUnusableError, match="cannot be opened"):
        await SqliteStore.open(tmp_path / "missing" / "tasks.db")


async def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(StoreUnusableError, match="newer version"):
        await SqliteStore.open(path)


async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    store = await SqliteStore.open(path)
    await store.create(record())
    await store.add_dead_letter(letter())
    await store.close()
    with pytest.raises(StoreError, match="closed"):
        await store.create(record("late"))
    store = await SqliteStore.open(path)
    assert await store.get("t") == record()
    assert await store.find_letters(Letters("shop")) == [letter()]
    await store.close()


async def test_a_caller_that_gives_up_does_not_take_its_write_back(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "tasks.db")
    task = asyncio.create_task(store.create(record()))
    await asyncio.sleep(0)
    task.cancel()
    await store.close()
    store = await SqliteStore.open(tmp_path / "tasks.db")
    assert await store.get("t") == record()
    await store.close()


async def test_a_store_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "tasks.db")
    connection = sqlite3.connect(tmp_path / "tasks.db")
    connection.execute("DROP TABLE tasks")
    connection.close()
    with pytest.raises(StoreError, match="could not be read"):
        await store.get("t")
    with pytest.raises(StoreError, match="could not write"):
        await store.create(record())
    await store.close()


async def test_only_the_process_that_holds_the_file_lives(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "tasks.db")
    await store.create(record("a", holder="earlier"))
    await store.beat("earlier", seconds=60)
    await store.beat("now", seconds=0.0)
    assert await store.expired_replicas() == ["earlier"]
    await store.close()


async def test_letters_are_read_and_dropped_beside_the_process_that_holds_the_file(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    store = await SqliteStore.open(path)
    await store.add_dead_letter(letter())
    beside = SqliteLetters(path)
    [found] = await beside.find_letters(Letters())
    assert await beside.letter(found.id) == found == letter()
    assert await beside.drop_letters([found.id]) == 1
    assert await store.find_letters(Letters("shop")) == []
    await beside.close()
    await store.close()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(None, "there is no file", id="no file"),
        pytest.param(b"not a database" * 100, "not a database", id="no database"),
        pytest.param(b"", "schema 0", id="an empty one"),
    ],
)
def test_letters_beside_are_of_a_file_of_this_version(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "tasks.db"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StoreUnusableError, match=said):
        SqliteLetters(path)


async def test_a_task_whose_log_has_a_gap_is_no_task(tmp_path: Path) -> None:
    """What is in no snapshot must not be left out without a word."""
    path = tmp_path / "tasks.db"
    store = await SqliteStore.open(path)
    await store.create(streaming())
    await stream(store, streaming(), chunks=30, size=4096)
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM changes WHERE version = 29")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="not complete"):
        await store.get("t")
    await store.close()
