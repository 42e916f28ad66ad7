"""Everything is killed at random while events flow; afterwards each confirmed event was handled or is a dead letter.

Producers die in the middle of a request now and then, and repeat what was not confirmed. Two agents take every event:
one in order, one in parallel, both of which fail, hang, answer late or twice, or close early now and then. What dies:
gateways, dispatchers, agents (all with kill -9), RabbitMQ and PostgreSQL (kill -9, started again on their data).
Bounded in time and in number.
"""

import asyncio
import math
import random
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.parts.agents import Agents
from tests.parts.broker import Inbox
from tests.parts.container_process import ContainerProcess
from tests.parts.kubernetes import KubeApiserver
from tests.parts.postgres import Postgres
from tests.parts.rabbitmq import RabbitMQ
from tests.parts.system import System, migrated, started

from lambdaagent.api import naming
from lambdaagent.broker.rabbitmq.broker import RabbitMQBroker

PRODUCERS, KILL_EVERY = 4, 1.5
NOTHING_COMES = 90.0  # seconds: longer than any wait between two attempts
KIND = "io.test.flow"


class Agent(ContainerProcess):
    def done(self) -> list[tuple[float, str]]:
        """Returns the time and the id of each event that it handled, in order."""
        lines = self.log.read_text().splitlines()
        return [(float(at), id_) for at, id_, what in map(str.split, lines) if what == "done"]


@pytest.fixture
def system(
    kube_apiserver: KubeApiserver, own_rabbitmq: RabbitMQ, own_postgres: Postgres, tmp_path: Path, home: str
) -> Iterator[System]:
    namespace = f"kills-{secrets.token_hex(3)}"
    kube_apiserver.rest.post("/api/v1/namespaces", {"metadata": {"name": namespace}})
    agents = Agents(kube_apiserver, namespace)
    database = migrated(own_postgres)
    with started(kube_apiserver, own_rabbitmq, database, tmp_path, system=home, agents=agents) as found:
        yield found
    kube_apiserver.rest.delete(f"/api/v1/namespaces/{namespace}")


@pytest.fixture
def containers(tmp_path: Path) -> Iterator[dict[str, Agent]]:
    script = Path(__file__).with_name("agent.py")
    found = {name: Agent(script, tmp_path, name, ("0.03",)) for name in ("ordered", "parallel")}
    for agent in found.values():
        agent.start()
    yield found
    for agent in found.values():
        agent.kill()


async def produce(system: System, number: int, confirmed: list[str], stop: asyncio.Event) -> int:
    """Sends events one by one, each until it is confirmed, and returns the number of repetitions."""
    count = repeated = 0
    async with httpx.AsyncClient(timeout=5) as client:
        while not stop.is_set():
            count += 1
            id_ = f"{number}-{count}"
            headers = {"ce-specversion": "1.0", "ce-id": id_, "ce-type": KIND, "ce-source": f"/producer/{number}"}
            while True:
                gateway = random.choice(system.gateways)
                try:
                    url = f"{gateway.url}/events/{system.agents.namespace}"
                    # Sometimes the producer is gone before its answer is there, and its successor sends the same again.
                    async with asyncio.timeout(0.004 if random.random() < 0.05 else None):
                        answer = await client.post(url, content=b"x", headers=headers)
                except (httpx.HTTPError, TimeoutError):
                    answer = None
                if answer is not None and answer.status_code == 202:
                    assert answer.headers["lambdaagent-routed"] == "1"
                    confirmed.append(id_)
                    await asyncio.sleep(random.uniform(0, 0.08))
                    break
                repeated += 1
                await asyncio.sleep(0.05)
    return repeated


async def killing(targets: dict[str, Any], kills: list[tuple[float, str]]) -> None:
    """Kills and restarts each target, one at a time in random order, and each dispatcher once more.

    RabbitMQ is killed in the second half, because 3.10 may lose a quorum queue that is younger than a second.
    """
    names = [name for name in targets if name != "RabbitMQ"]
    names = random.sample([*names, *(name for name in names if "dispatcher" in name)], len(names) + 2)
    names.insert(random.randint(len(names) // 2 + 1, len(names)), "RabbitMQ")
    for name in names:
        await asyncio.sleep(random.uniform(0.5, 1.5) * KILL_EVERY)
        kills.append((time.time(), name))
        await asyncio.to_thread(targets[name].kill)
        await asyncio.to_thread(targets[name].start)


async def letters(url: str, namespace: str, inbox: Inbox, done: asyncio.Event) -> None:
    async with RabbitMQBroker(url=url) as broker:
        queue = naming.dead_letters(namespace)
        async with broker.consume(queue, parallelism=1, handler=inbox, dead_letters=f"{queue}.again"):
            await done.wait()


async def nothing_missing(missing: Callable[[], dict[str, set[str]]], *, seed: int) -> None:
    """Waits until no event is missing; fails if none of them comes for NOTHING_COMES seconds."""
    best, since = math.inf, time.monotonic()
    while left := {name: len(ids) for name, ids in missing().items() if ids}:
        if sum(left.values()) < best:
            best, since = sum(left.values()), time.monotonic()
        assert time.monotonic() - since < NOTHING_COMES, f"events are missing, seed {seed}: {left}"
        await asyncio.sleep(0.2)


async def test_what_was_confirmed_is_handled_or_a_dead_letter_whatever_dies(
    system: System,
    containers: dict[str, Agent],
    own_rabbitmq: RabbitMQ,
    own_postgres: Postgres,
    capsys: pytest.CaptureFixture[str],
) -> None:
    random.seed(seed := secrets.randbits(32))
    subscribed = {"subscriptions": [{"eventType": KIND}], "delivery": {"retry": 6, "timeout": "PT1S"}}
    for name, parallelism in (("ordered", 1), ("parallel", 8)):
        system.agents.make(name, url=containers[name].url, parallelism=parallelism, **subscribed)
        await system.agents.eventing_ready(name)
    targets: dict[str, Any] = {
        **{f"gateway {n}": each for n, each in enumerate(system.gateways)},
        **{f"dispatcher {n}": each for n, each in enumerate(system.dispatchers)},
        **{f"agent {name}": each for name, each in containers.items()},
        "RabbitMQ": own_rabbitmq,
        "PostgreSQL": own_postgres,
    }
    confirmed: list[list[str]] = [[] for _ in range(PRODUCERS)]
    kills: list[tuple[float, str]] = []
    stop = asyncio.Event()
    began = time.time()
    producers = [asyncio.create_task(produce(system, n, confirmed[n], stop)) for n in range(PRODUCERS)]
    await killing(targets, kills)
    stop.set()
    repeated = sum(await asyncio.gather(*producers))
    everything = {id_ for ids in confirmed for id_ in ids}

    inbox, enough = Inbox(), asyncio.Event()
    reading = asyncio.create_task(letters(own_rabbitmq.url, system.agents.namespace, inbox, enough))

    def missing() -> dict[str, set[str]]:
        dead: dict[str, set[str]] = {name: set() for name in containers}
        for delivery in inbox.got:
            to = str(delivery.event.extensions["knativeerrordest"])
            dead[next(name for name, agent in containers.items() if agent.url.rstrip("/") in to)].add(delivery.event.id)
        return {name: everything - {id_ for _, id_ in agent.done()} - dead[name] for name, agent in containers.items()}

    try:
        await nothing_missing(missing, seed=seed)
    finally:
        enough.set()
        await reading
        doubles = {name: _doubles(agent) for name, agent in containers.items()}
        with capsys.disabled():
            twice = {name: len(found) for name, found in doubles.items()}
            left = {name: len(ids) for name, ids in missing().items()}
            print(
                f"\nkills (seed {seed}): {len(everything)} events confirmed in {time.time() - began:.0f} s, "
                f"{repeated} repetitions, {len(kills)} kills {dict(Counter(name for _, name in kills))}, "
                f"{len(inbox.got)} dead letters, done twice: {twice}, missing: {left}"
            )
    for name, found in doubles.items():
        for id_, first, second in found:
            # Between what the agent did and its record something died, or the agent never got to say what it did.
            assert any(first - 3 <= at <= second for at, _ in kills), f"{name} did {id_} twice without a death between"
    firsts = list(dict.fromkeys(id_ for _, id_ in containers["ordered"].done()))
    for number in range(PRODUCERS):
        order = [int(id_.split("-")[1]) for id_ in firsts if id_.startswith(f"{number}-")]
        assert order == sorted(order), "the ordered agent got events out of their order"


def _doubles(agent: Agent) -> list[tuple[str, float, float]]:
    first: dict[str, float] = {}
    found = []
    for at, id_ in agent.done():
        if id_ in first:
            found.append((id_, first[id_], at))
        first.setdefault(id_, at)
    return found
