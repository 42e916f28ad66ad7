"""Two gateways over one PostgreSQL and one container, for tests of a failure at one exact moment.

The first gateway's way to PostgreSQL is a proxy (`line`), the second one's is not. Nothing here is slower or faster
than in an installation: what a test waits for it sees in the store or at the container.

The gateways and their database serve the tests of a module one after the other; each test has agents in a namespace of
its own, a container of its own, and looks at the tasks of its namespace alone. A gateway that a test ended is started
again before the next test.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import asyncpg
from tests.integration.durability.client import AgainError, Client, Json, send, state
from tests.integration.durability.container import Container
from tests.parts.agents import Agents
from tests.parts.kubernetes import KubeApiserver
from tests.parts.polling import eventually
from tests.parts.proxy import Proxy, proxy
from tests.parts.running import Running

from lambdaagent.cancellation import cancel

CALLS, ONCE = "calls", "once"
"""The agents; the second one takes a messageId that comes again for the same request."""
SKILLS: list[dict[str, Any]] = [
    {"id": "say", "name": "Say", "invoke": {"timeoutSeconds": 120}},
    {"id": "again", "name": "Again", "invoke": {"timeoutSeconds": 120, "idempotent": True}},
    {"id": "brief", "name": "Brief", "invoke": {"timeoutSeconds": 3}},
    {"id": "brief-again", "name": "Brief, again", "invoke": {"timeoutSeconds": 3, "idempotent": True}},
]


@dataclass(frozen=True)
class Gateways:
    """The processes that the tests of a module share."""

    server: KubeApiserver
    running: list[Running]
    line: Proxy
    session: aiohttp.ClientSession
    database: asyncpg.Connection
    url: str
    folder: Path

    async def start(self) -> None:
        """Starts the gateways that do not run."""
        ended = [gateway for gateway in self.running if gateway.process is None or not gateway.process.running]
        for gateway in ended:
            gateway.launch()
        for gateway in ended:
            await asyncio.to_thread(gateway.await_ready)


@dataclass
class Pair:
    gateways: list[Running]
    line: Proxy
    container: Container
    agents: Agents
    client: Client
    database: asyncpg.Connection
    url: str
    folder: Path
    locks: dict[str, asyncpg.Connection] = field(default_factory=dict)

    async def warm(self) -> None:
        """Sends calls, so that the first gateway has prepared its statements: each is one message to PostgreSQL."""
        for number in range(5):
            await self.send("say warm", f"warm-{number}")

    def begin(
        self, text: str, key: str, *, gateway: int = 0, skill: str = "say", **options: Any
    ) -> "asyncio.Task[Json | None]":
        """Starts to send a message to one gateway; the result is its task, or None if the sender must repeat it."""
        return asyncio.create_task(self._send(text, key, gateway=gateway, skill=skill, **options))

    async def send(self, text: str, key: str, *, gateway: int = 0, skill: str = "say", **options: Any) -> Json:
        task = await self._send(text, key, gateway=gateway, skill=skill, **options)
        assert task is not None, f"gateway {gateway} did not answer to {key}"
        return task

    async def _send(
        self, text: str, key: str, *, gateway: int, skill: str, agent: str = CALLS, keyed: bool = True, **options: Any
    ) -> Json | None:
        params = send(text, key, skill=skill, **options)
        try:
            found = await self.client.ask(gateway, agent, "SendMessage", params, key=key if keyed else "")
        except AgainError:
            return None
        task: Json = found["task"]
        return task

    async def begun(self, key: str, *, times: int = 1) -> None:
        """Waits until the container has the call."""
        await eventually(lambda: self.container.keys("begun").count(key) >= times, what=f"the call {key}")

    async def stored(self, condition: str, *arguments: object, within: float = 60) -> Any:
        """Waits for a task that the condition finds, and returns its id."""
        return await eventually(
            lambda: self.look("id", condition, *arguments), within=within, what=f"a task with {condition}"
        )

    async def ended(self, task_id: str, *, gateway: int = 1, within: float = 30) -> Json:
        """Waits until a gateway returns the task as ended; one that is not its owner learns of the end later."""
        deadline = time.monotonic() + within
        while True:
            task: Json = await self.client.ask(gateway, CALLS, "GetTask", {"id": task_id})
            if state(task) not in ("SUBMITTED", "WORKING"):
                return task
            assert time.monotonic() < deadline, f"not ended within {within} s: {task}"
            await asyncio.sleep(0.05)

    async def look(self, column: str, condition: str = "true", *arguments: object) -> Any:
        """Returns a column of the first task of this test that the condition finds, or None."""
        sql = f"SELECT {column} FROM lambdaagent_tasks WHERE ({condition}) AND namespace = ${len(arguments) + 1}"
        return await self.database.fetchval(sql, *arguments, self.client.namespace)

    async def version(self, task_id: str) -> int:
        return int(await self.look("version", "id = $1", task_id))

    async def cut(self, *, seconds: float) -> None:
        """Makes PostgreSQL unavailable to the first gateway for some seconds."""
        self.line.refuse()
        await asyncio.sleep(seconds)
        self.line.heal()

    async def lose_answer(self, table: str, condition: str, *arguments: object) -> str:
        """Lets PostgreSQL commit what waits for the lock of this table, and drops the response to the first gateway.

        The table must be locked; the condition finds the task by what is committed. Returns the id of the task.

        PostgreSQL locks a table already to prepare a statement for it, which happens on each connection of the pool
        that first writes. What waited was that if nothing is committed; then the statement itself is awaited.
        """
        task_id = None
        while task_id is None:
            await self.waiting_for_lock()
            self.line.hold_answers()
            await self.unlock(table)
            with contextlib.suppress(AssertionError):
                task_id = str(await self.stored(condition, *arguments, within=1))
            if task_id is None:
                again = asyncio.create_task(self.lock(table))  # queues behind the one that prepares, before the write
                locking = asyncio.create_task(self.waiting_for_lock(query="LOCK TABLE"))
                await asyncio.wait((again, locking), return_when=asyncio.FIRST_COMPLETED)
                await cancel(locking)
                self.line.heal()
                await again
        self.line.reset()
        self.line.heal()
        return task_id

    async def lock(self, table: str) -> None:
        """Locks a table, so that writes to it wait until `unlock`."""
        assert table not in self.locks
        connection = self.locks[table] = await asyncpg.connect(self.url)
        await connection.execute("BEGIN")
        await connection.execute(f"LOCK TABLE {table} IN SHARE MODE")

    async def unlock(self, table: str) -> None:
        await self.locks.pop(table).close()

    async def waiting_for_lock(self, *, query: str = "") -> list[int]:
        """Waits for server processes that wait for a lock with such a query, and returns their ids."""
        sql = (
            "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            " AND position($1 in query) > 0"
        )
        rows = await eventually(lambda: self.database.fetch(sql, query), what="a process that waits for the lock")
        return [row[0] for row in rows]

    async def terminate(self, pids: list[int]) -> None:
        """Ends server processes, which rolls back what they have not committed."""
        for pid in pids:
            await self.database.execute("SELECT pg_terminate_backend($1)", pid)


def settings(kubeconfig: Path, database: str) -> dict[str, str]:
    return {
        "KUBECONFIG": str(kubeconfig),
        "LAMBDAAGENT_DATABASE": database,
        "LAMBDAAGENT_PUSH_ALLOW": "127.0.0.0/8",
    }


@asynccontextmanager
async def started(server: KubeApiserver, url: str, folder: Path) -> AsyncIterator[Gateways]:
    """Starts two gateways over a database that only they use."""
    async with AsyncExitStack() as stack:
        port = int(url.rpartition("/")[0].rpartition(":")[2])
        line = await stack.enter_async_context(proxy(port))
        through = url.replace(f":{port}/", f":{line.port}/")
        running = [
            Running("gateway", folder, settings(server.kubeconfig, database), name=f"gateway{number}")
            for number, database in enumerate((through, url))
        ]
        for gateway in running:
            stack.push_async_callback(asyncio.to_thread, gateway.stop)
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        database = await asyncpg.connect(url)
        stack.push_async_callback(database.close)
        yield Gateways(server, running, line, session, database, url, folder)


@asynccontextmanager
async def pair_of(gateways: Gateways, namespace: str) -> AsyncIterator[Pair]:
    container, agents = Container(), Agents(gateways.server, namespace)
    container.start()
    async with AsyncExitStack() as stack:
        stack.callback(container.stop)
        agents.make(CALLS, url=container.url, a2a={"skills": SKILLS})
        agents.make(ONCE, url=container.url, a2a={"skills": SKILLS, "deduplicateMessages": True})
        await gateways.start()
        client = Client(gateways.session, gateways.running, namespace, chance=Random(1))
        for number in range(2):
            await _served(client, number)
        found = Pair(
            gateways.running,
            gateways.line,
            container,
            agents,
            client,
            gateways.database,
            gateways.url,
            gateways.folder,
        )
        yield found
        found.line.heal()
        for table in list(found.locks):
            await found.unlock(table)


async def _served(client: Client, gateway: int) -> None:
    deadline = time.monotonic() + 20
    for agent in (CALLS, ONCE):
        while True:
            try:
                await client.ask(gateway, agent, "ListTasks", {})
                break
            except AgainError:
                assert time.monotonic() < deadline, f"gateway {gateway} does not serve {agent}"
                await asyncio.sleep(0.05)
