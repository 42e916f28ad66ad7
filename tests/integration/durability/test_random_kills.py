"""Everything is killed at random while clients use the gateways in every way; afterwards all of it is accounted for.

Three gateways over one PostgreSQL, one dispatcher, one RabbitMQ, one container process. LAMBDAAGENT_TEST_KILLS says how
many failures there are, LAMBDAAGENT_TEST_SEED repeats a run's choices. Nothing is asserted about times but this: no
task is unsettled `SETTLED_WITHIN` seconds after the last failure is over.
"""

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest
from tests.integration.durability import accounting, pushes, table
from tests.integration.durability.accounting import Account
from tests.integration.durability.client import Client
from tests.integration.durability.holders import Holders
from tests.integration.durability.kills import (
    CalledContainer,
    Failure,
    Kill,
    container_process,
    killing,
    pausing,
    stopping,
    strike_all,
)
from tests.integration.durability.load import CALLS, ORDERED, PARALLEL, Load
from tests.integration.durability.receiver import Receiver, receiving
from tests.parts.agents import Agents
from tests.parts.kubernetes import KubeApiserver
from tests.parts.postgres import Postgres
from tests.parts.proxy import Proxy, proxy
from tests.parts.rabbitmq import RabbitMQ
from tests.parts.system import System, migrated, started

KILLS = int(os.environ.get("LAMBDAAGENT_TEST_KILLS", "30"))
SEED = int(os.environ.get("LAMBDAAGENT_TEST_SEED", "0")) or secrets.randbits(32)
PACE, OUTAGE = (1.0, 3.0), (1.0, 2.5)
SETTLED_WITHIN = 15.0
PUSHED_WITHIN = 75.0  # a receiver that a killed gateway had claimed is another's after a minute
WORKERS = {
    "blocking": 5,
    "polled": 2,
    "pushed": 2,
    "cancelled": 2,
    "asked": 2,
    "streamed": 3,
    "again": 3,
    "parallel": 2,
    "ordered": 2,
}
EACH = 20  # messages of one worker for each failure, at most
SKILLS: list[dict[str, Any]] = [
    {"id": "say", "name": "Say", "invoke": {"timeoutSeconds": 120}},
    {"id": "again", "name": "Again", "invoke": {"timeoutSeconds": 120, "idempotent": True}},
]
LATER: list[dict[str, Any]] = [{"id": "later", "name": "Later", "invoke": {"mode": "async", "timeoutSeconds": 120}}]
DELIVERY = {"retry": 12, "backoffPolicy": "linear", "backoffDelay": "PT0.2S", "timeout": "PT60S"}


@pytest.fixture
async def service() -> AsyncIterator[Proxy]:
    """Starts a proxy in front of the gateways, which stands for their Service."""
    async with proxy() as found:
        yield found


@pytest.fixture
def holders(own_postgres: Postgres) -> Holders:
    url = migrated(own_postgres)
    found = Holders(own_postgres, url.rpartition("/")[2])
    found.note()
    return found


@pytest.fixture
async def system(
    kube_apiserver: KubeApiserver,
    own_rabbitmq: RabbitMQ,
    own_postgres: Postgres,
    holders: Holders,
    tmp_path: Path,
    home: str,
    service: Proxy,
) -> AsyncIterator[System]:
    namespace = f"durable-{secrets.token_hex(3)}"
    kube_apiserver.rest.post("/api/v1/namespaces", {"metadata": {"name": namespace}})
    with started(
        kube_apiserver,
        own_rabbitmq,
        own_postgres.url(holders.database),
        tmp_path,
        system=home,
        agents=Agents(kube_apiserver, namespace),
        replicas=3,
        dispatchers=1,
        service=f"http://127.0.0.1:{service.port}",
        LAMBDAAGENT_LIFECYCLE_EVENTS="false",
        LAMBDAAGENT_PUSH_ALLOW="127.0.0.0/8",
    ) as found:
        service.targets = [gateway.port for gateway in found.gateways]
        yield found
    kube_apiserver.rest.delete(f"/api/v1/namespaces/{namespace}")


@pytest.fixture
def container(tmp_path: Path) -> Iterator[CalledContainer]:
    found = container_process(tmp_path)
    found.start()
    yield found
    found.kill()


@pytest.fixture
def chance() -> Random:
    return Random(SEED)


@pytest.fixture
async def receiver(chance: Random) -> AsyncIterator[Receiver]:
    async with receiving(chance, failing=0.03) as found:
        yield found


@pytest.fixture
async def client(system: System, chance: Random) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield Client(session, system.gateways, system.agents.namespace, chance=chance)


async def agents_stand(system: System, container: CalledContainer, client: Client) -> None:
    made: dict[str, dict[str, Any]] = {
        CALLS: {"a2a": {"skills": SKILLS}},
        PARALLEL: {"a2a": {"skills": LATER}, "enabled": True, "parallelism": 8, "delivery": DELIVERY},
        ORDERED: {"a2a": {"skills": LATER}, "enabled": True, "parallelism": 1, "delivery": DELIVERY},
    }
    for name, spec in made.items():
        system.agents.make(name, url=container.url, **spec)
    for name in (PARALLEL, ORDERED):
        await system.agents.eventing_ready(name)
    for gateway in range(len(system.gateways)):
        for name in made:
            await client.ask(gateway, name, "ListTasks", {})


async def test_what_was_acknowledged_is_kept_and_everything_settles_whatever_dies(
    system: System,
    container: CalledContainer,
    holders: Holders,
    own_rabbitmq: RabbitMQ,
    own_postgres: Postgres,
    receiver: Receiver,
    client: Client,
    chance: Random,
    capsys: pytest.CaptureFixture[str],
) -> None:
    await agents_stand(system, container, client)
    failures: list[Failure] = [
        killing("gateway", 6, system.gateways, chance=chance),
        killing("dispatcher", 1, system.dispatchers, chance=chance),
        killing("container", 2, [container], chance=chance),
        killing("RabbitMQ", 1, [own_rabbitmq], chance=chance),
        killing("PostgreSQL", 2, [own_postgres], chance=chance),
        pausing(1, own_postgres, seconds=OUTAGE, chance=chance),
        stopping(2, own_postgres, seconds=OUTAGE, chance=chance),
    ]
    load, kills = Load(client, chance, receiver.url), list[Kill]()
    working = asyncio.create_task(load.run(WORKERS, each=EACH * KILLS))
    try:
        await strike_all(failures, count=KILLS, pace=PACE, chance=chance, kills=kills)
        load.stopping = True
        deadline = time.monotonic() + SETTLED_WITHIN
        while (stuck := await asyncio.to_thread(holders.unsettled)) and time.monotonic() < deadline:
            await asyncio.sleep(0.2)
        await asyncio.wait([working], timeout=max(0.1, deadline - time.monotonic()) + 1)
    finally:
        load.stopping = True
        working.cancel()
        await asyncio.wait([working])
    assert working.cancelled() or working.exception() is None, working.exception()
    found = Account(
        load.sent,
        await asyncio.to_thread(holders.histories),
        await asyncio.to_thread(holders.last_beats),
        container.notes(),
        kills,
        container.pid,
    )
    await accounting.account(found, client, holders)
    accounting.called_twice(found)
    answered = {note.key for note in found.notes if note.what == "done"}
    keys = {sent.task_id: sent.key for sent in load.sent}
    found.wrong["stuck"] = [f"{keys.get(task, 'not acknowledged')}: task {task}" for task in stuck]
    behind = await pushed(found, client, receiver)
    settled = len(set(stuck) - set(await asyncio.to_thread(holders.unsettled)))
    with capsys.disabled():
        took = f"{kills[-1].back - kills[0].began:.0f} s"
        print(f"\nseed {SEED}, {KILLS} failures in {took}:")
        told = sum(len(each) for each in receiver.got.values())
        mine = sum(keys.get(task, "") in answered for task in stuck)
        print(
            table.text(
                [
                    *table.rows(found),
                    ("pushes", f"{told} to {len(receiver.got)} receivers, {behind} of them not told all in order"),
                    ("stuck", f"{len(stuck)} after {SETTLED_WITHIN:g} s, {mine} answered, {settled} settled later"),
                    ("agent unknown", f"{client.agent_unknown} answers of 404"),
                ]
            )
        )
    if client.agent_unknown:
        found.wrong["agent unknown"].append(f"{client.agent_unknown} answers of 404 for agents that are there")
    problems = [f"{name}: {each}" for name, every in sorted(found.wrong.items()) for each in every[:5]]
    assert not problems, "\n".join(problems)


async def pushed(found: Account, client: Client, receiver: Receiver) -> int:
    """Returns the number of receivers that did not get every notification in order within PUSHED_WITHIN seconds."""
    wanted = {
        sent.key: await pushes.expected(client, sent)
        for sent in found.sent
        if pushes.awaited(sent, found.tasks.get(sent.key))
    }
    deadline = time.monotonic() + PUSHED_WITHIN
    while behind := {key for key, events in wanted.items() if pushes.told(receiver.got[key]) != events}:
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(0.5)
    found.wrong["pushes"] = [f"{key}: expected {wanted[key]}, told {pushes.told(receiver.got[key])}" for key in behind]
    return len(behind)
