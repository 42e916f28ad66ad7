"""What was confirmed is there: after kill -9 of a writer, after PostgreSQL was killed, and after it was restarted."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from tests.parts.polling import eventually
from tests.parts.postgres import Postgres

from lambdaagent.a2a.states import TaskState
from lambdaagent.store.postgres import migrating
from lambdaagent.store.postgres.store import PostgresStore
from lambdaagent.store.postgres.urls import DatabaseUrl


class Writer:
    """A process that writes to a store, and the lines of its output."""

    def __init__(self, url: str) -> None:
        command = [sys.executable, "-m", "tests.integration.store.writer", url]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.said: dict[str, list[str]] = {"created": [], "ended": [], "failed": []}
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                if line.endswith("\n"):
                    what, _, rest = line.rstrip("\n").partition(" ")
                    self.said[what].append(rest)


@contextmanager
def writing(url: str) -> Iterator[Writer]:
    writer = Writer(url)
    try:
        yield writer
    finally:
        writer.kill()


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[PostgresStore]:
    store = await PostgresStore.open(url)
    yield store
    await store.close()


async def require_all(store: PostgresStore, said: dict[str, list[str]]) -> None:
    ended = set(said["ended"])
    for task_id in said["created"]:
        record = await store.get(task_id)
        assert record is not None, task_id
        # Killed between the two writes, and never within one.
        log = [change.version for change in await store.changes(task_id)]
        assert log == ([1] if record.state is TaskState.COMPLETED else [])
        assert log or task_id not in ended


async def test_what_was_confirmed_survives_kill_9_of_the_writer(own_postgres: Postgres) -> None:
    url = own_postgres.url(own_postgres.database())
    await migrating.migrate(DatabaseUrl(url))
    with writing(url) as writer:
        await eventually(lambda: len(writer.said["ended"]) > 200)
    async with opened(url) as store:
        await require_all(store, writer.said)


@pytest.mark.parametrize(
    "disturb",
    [pytest.param(Postgres.restart, id="restarted"), pytest.param(Postgres.kill, id="killed and started")],
)
async def test_nothing_confirmed_is_lost_with_the_server_and_writers_recover_by_themselves(
    own_postgres: Postgres, disturb: Callable[[Postgres], None]
) -> None:
    url = own_postgres.url(own_postgres.database())
    await migrating.migrate(DatabaseUrl(url))
    with writing(url) as writer:
        for _ in range(2):
            before = len(writer.said["ended"])
            await eventually(lambda at=before: len(writer.said["ended"]) > at + 100)  # type: ignore[misc]
            await asyncio.to_thread(disturb, own_postgres)
            if disturb is Postgres.kill:
                await asyncio.to_thread(own_postgres.start)
        before = len(writer.said["ended"])
        await eventually(lambda: len(writer.said["ended"]) > before + 100, what="writers recover")
        assert writer.process.poll() is None
    assert writer.said["failed"]
    assert not any("a-secret" in line for line in writer.said["failed"])
    async with opened(url) as store:
        await require_all(store, writer.said)
