"""All that agents work together with is killed at random; afterwards whatever was acknowledged is accounted for.

Three gateways and a dispatcher over RabbitMQ and PostgreSQL, a LambdaAgent that is awake, one that sleeps between its
requests, an agent of the public SDK elsewhere, a laptop on a WebSocket, and an agent that polls its mailbox. Each of
them is killed once (kill -9) and started again, LAMBDAAGENT_TEST_KILLS times (1); LAMBDAAGENT_TEST_SEED repeats a run's
choices. At the end each message was at its receiver, each change of a context is there once, each job ended by one
attempt, and each vote counted. The figures are printed.
"""

import asyncio
import os
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.integration.coordination import participants
from tests.integration.coordination.participants import Activator, Client, Container, SdkAgent
from tests.parts import roles
from tests.parts.agents import Agents
from tests.parts.kubernetes import KubeApiserver
from tests.parts.polling import eventually
from tests.parts.postgres import Postgres
from tests.parts.rabbitmq import RabbitMQ
from tests.parts.system import System, migrated, started

ROUNDS = int(os.environ.get("LAMBDAAGENT_TEST_KILLS", "1"))  # of the kills of all
SEED = int(os.environ.get("LAMBDAAGENT_TEST_SEED", "0")) or secrets.randbits(32)
MESSAGES, CHANGES, JOBS, PROPOSALS = 40, 10, 6, 1  # between two kills
VOTERS = ("ann", "bob", "carol")
SKILLS = [
    {"id": "again", "name": "Again", "invoke": {"idempotent": True}},
    {"id": "later", "name": "Later", "invoke": {"mode": "async", "timeoutSeconds": 60}},
]


@pytest.fixture
def system(
    kube_apiserver: KubeApiserver, own_rabbitmq: RabbitMQ, own_postgres: Postgres, tmp_path: Path
) -> Iterator[System]:
    namespace = f"together-{secrets.token_hex(3)}"
    kube_apiserver.rest.post("/api/v1/namespaces", {"metadata": {"name": namespace}})
    agents, database = Agents(kube_apiserver, namespace), migrated(own_postgres)
    more = {"LAMBDAAGENT_PUSH_ALLOW": "127.0.0.0/8"}
    with (
        roles.home(kube_apiserver) as home,
        started(
            kube_apiserver,
            own_rabbitmq,
            database,
            tmp_path,
            system=home,
            agents=agents,
            replicas=3,
            dispatchers=1,
            **more,
        ) as found,
    ):
        yield found
    kube_apiserver.rest.delete(f"/api/v1/namespaces/{namespace}")


@pytest.fixture
def awake(tmp_path: Path) -> Iterator[Container]:
    found = Container(participants.CALLEE, tmp_path, "awake")
    found.start()
    yield found
    found.kill()


@pytest.fixture
def asleep(tmp_path: Path) -> Iterator[Activator]:
    found = Activator(Container(participants.CALLEE, tmp_path, "asleep"))
    yield found
    found.close()


@pytest.fixture
def sdk(tmp_path: Path) -> Iterator[SdkAgent]:
    found = SdkAgent(tmp_path)
    found.start()
    yield found
    found.kill()


class Work:
    """What was acknowledged."""

    def __init__(self, client: Client, namespace: str) -> None:
        self.client, self.namespace = client, namespace
        self.messages: dict[str, list[str]] = {"bob": [], "laptop": [], "sdk": [], "awake": [], "asleep": []}
        self.changes: list[int] = []
        self.jobs: list[str] = []
        self.proposals: list[str] = []

    async def begin(self, round_: int) -> None:
        works = [self.message(f"m-{round_}-{name}-{n}", name) for n in range(MESSAGES // 5) for name in self.messages]
        works += [self.change(round_ * 1000 + n) for n in range(CHANGES)]
        works += [self.job(f"j-{round_}-{n}") for n in range(JOBS)]
        works += [self.proposal(f"p-{round_}-{n}") for n in range(PROPOSALS)]
        self.client.chance.shuffle(works)
        slots = asyncio.Semaphore(8)

        async def one(work: Any) -> None:
            async with slots:
                await work

        await asyncio.gather(*map(one, works))

    async def message(self, id_: str, name: str) -> None:
        to = f"{self.namespace}/{name}" if name in ("awake", "asleep") else name
        content = {"type": "query", "data": {"query": id_}}
        body = {"message_id": id_, "from": "ann", "to": to, "content": content, "metadata": {"ttl": 600}}
        status, receipt = await self.client.request("POST", "/a2a/message", body)
        assert status == 202, receipt
        self.messages[name].append(id_)

    async def change(self, value: int) -> None:
        status, _ = await self.client.request("PATCH", "/a2a/context/shared", {"seen": [value], "best": value})
        assert status == 200
        self.changes.append(value)

    async def job(self, id_: str) -> None:
        name, skill = self.client.chance.choice(("awake", "asleep")), self.client.chance.choice(SKILLS)["id"]
        body = {
            "job_id": id_, "task_type": skill, "agent_id": f"{self.namespace}/{name}", "input_data": {"text": id_},
            "max_retries": 20,
        }  # fmt: skip
        status, _ = await self.client.request("POST", "/a2a/jobs", body)
        assert status in (200, 202)
        self.jobs.append(id_)

    async def proposal(self, id_: str) -> None:
        body = {"proposal_id": id_, "from": "ann", "title": "t", "electorate": list(VOTERS)}
        assert (await self.client.request("POST", "/a2a/proposals", body))[0] in (201, 409)
        for name in VOTERS:
            vote = {"from": name, "choice": "no" if name == "carol" else "yes"}
            status, _ = await self.client.request("POST", f"/a2a/proposals/{id_}/votes", vote)
            assert status in (200, 409)  # the answer to the last vote may have been lost
        self.proposals.append(id_)


async def test_nothing_that_was_acknowledged_is_lost_whatever_dies(
    system: System, awake: Container, asleep: Activator, sdk: SdkAgent, own_rabbitmq: RabbitMQ, own_postgres: Postgres,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    chance, began = Random(SEED), time.monotonic()
    client = Client(system.gateways, chance)
    for name, url in (("awake", awake.url), ("asleep", asleep.url)):
        system.agents.make(name, url=url, a2a={"skills": SKILLS}, enabled=True)
        await system.agents.eventing_ready(name)
    for name in (*VOTERS, "laptop", "sdk"):
        body = {"agent_id": name, "ttl_seconds": 3600} | ({"endpoint_url": sdk.url} if name == "sdk" else {})
        assert (await client.request("POST", "/a2a/register", body))[0] in (200, 201)
    body = {"id": "shared", "strategies": {"seen": "union", "best": "max"}, "ttl_seconds": 3600}
    assert (await client.request("POST", "/a2a/context", body))[0] in (201, 409)
    work, read, answered, over = Work(client, system.agents.namespace), Counter[str](), set[str](), asyncio.Event()
    readers = [
        asyncio.create_task(participants.read_mailbox(client, "bob", read, set(), over)),
        asyncio.create_task(participants.read_mailbox(client, "ann", Counter(), answered, over)),
        asyncio.create_task(participants.read_mailbox(client, "carol", Counter(), set(), over)),
        asyncio.create_task(participants.read_socket(client, "laptop", read, over)),
    ]
    targets: dict[str, Any] = {
        **{f"gateway {n}": each for n, each in enumerate(system.gateways)},
        "dispatcher": system.dispatchers[0], "awake": awake, "asleep": asleep, "sdk": sdk, "PostgreSQL": own_postgres,
    }  # fmt: skip
    kills: list[str] = []

    async def killed(name: str) -> None:
        target = targets[name] if name != "RabbitMQ" else own_rabbitmq
        await asyncio.sleep(chance.uniform(0.2, 1.0))
        kills.append(name)
        await asyncio.to_thread(target.kill)
        await asyncio.to_thread(target.start)

    for round_ in range(ROUNDS):
        # RabbitMQ comes last: 3.10 may lose a quorum queue that is younger than a second.
        names = [*chance.sample(sorted(targets), len(targets)), "RabbitMQ"]
        for number, name in enumerate(names):
            await asyncio.gather(work.begin(round_ * len(names) + number), killed(name))

    def missing() -> dict[str, list[str]]:
        there = {
            "bob": read.keys(), "laptop": read.keys(), "awake": awake.seen(), "asleep": asleep.container.seen(),
            "sdk": answered,
        }  # fmt: skip
        left = {name: sorted(set(ids) - there[name]) for name, ids in work.messages.items()}
        return {name: ids for name, ids in left.items() if ids}

    await eventually(lambda: not missing(), within=120, what=lambda: f"seed {SEED}: missing {missing()}")
    for ids in work.messages.values():
        for id_ in ids:

            async def acknowledged(id_: str = id_) -> bool:
                return bool((await client.request("GET", f"/a2a/messages/{id_}"))[1]["status"] == "acknowledged")

            await eventually(acknowledged, within=90)
    over.set()
    await asyncio.gather(*readers)
    _, context = await client.request("GET", "/a2a/context/shared")
    assert sorted(context["data"]["seen"]) == sorted(work.changes)
    assert context["data"]["best"] == max(work.changes)
    attempts: Counter[str] = Counter()
    for id_ in work.jobs:

        async def ended(id_: str = id_) -> Any:
            found = (await client.request("GET", f"/a2a/jobs/{id_}"))[1]
            return found if found["status"] in ("completed", "failed") else None

        job = await eventually(ended, within=120)
        assert (job["status"], job["output_data"]) == ("completed", {"text": id_}), job
        attempts[str(job["attempt"])] += 1
    for id_ in work.proposals:
        _, found = await client.request("GET", f"/a2a/proposals/{id_}")
        assert (found["status"], found["tally"]) == ("accepted", {"yes": 2, "no": 1, "abstain": 0})
    await client.client.aclose()
    sent = {name: len(ids) for name, ids in work.messages.items()}
    with capsys.disabled():
        print(
            f"\nseed {SEED}: {len(kills)} kills in {time.monotonic() - began:.0f} s, {client.tries} requests; messages "
            f"{sent}, all there, {sum(number > 1 for number in read.values())} more than once; {len(work.changes)} "
            f"changes of a context, all there; {len(work.jobs)} jobs, all completed, attempts {dict(attempts)}; "
            f"{len(work.proposals)} proposals of 3 votes, all decided as voted; {asleep.awakenings} awakenings"
        )
