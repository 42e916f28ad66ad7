"""Three gateways over one PostgreSQL are killed at random while agents work together; afterwards all is accounted for.

LAMBDAAGENT_TEST_KILLS says how often one is killed (5), LAMBDAAGENT_TEST_SEED repeats a run's choices. Whatever a
gateway acknowledged is there at the end: each message at its receiver, each change of a context once, each job ended by
one attempt, each vote counted. The figures are printed.
"""

import asyncio
import os
import secrets
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from tests.parts.gateway_process import answers
from tests.parts.kubernetes import KubeApiserver
from tests.parts.polling import eventually
from tests.parts.replicas import Gateway, Replicas, launch, three

KILLS = int(os.environ.get("LAMBDAAGENT_TEST_KILLS", "5"))
SEED = int(os.environ.get("LAMBDAAGENT_TEST_SEED", "0")) or secrets.randbits(32)
MESSAGES, CHANGES, JOBS, PROPOSALS = 60, 30, 12, 2  # between two kills
PATIENCE = 120.0
AGENTS = ("ann", "bob", "carol")


@pytest.fixture
def replicas(kube_apiserver: KubeApiserver, kubeconfig: Path, namespace: str, database_url: str) -> Iterator[Replicas]:
    with three(kube_apiserver, kubeconfig, namespace, database_url) as found:
        yield found


class Clients:
    """Sends each request to a gateway by chance, again and again until one answers."""

    def __init__(self, replicas: Replicas, chance: Random) -> None:
        self.replicas, self.chance = replicas, chance
        self.client = httpx.AsyncClient(timeout=10)
        self.tries = 0

    async def request(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with asyncio.timeout(PATIENCE):
            while True:
                self.tries += 1
                base = str(self.chance.choice(self.replicas.gateways).client.base_url)
                try:
                    answer = await self.client.request(method, base.rstrip("/") + path, json=body)
                except httpx.TransportError:
                    await asyncio.sleep(0.1)
                    continue
                if answer.status_code < 500 and answer.status_code != 429:
                    return answer.status_code, answer.json() if answer.content else None
                await asyncio.sleep(0.1)


async def killed(replicas: Replicas, kubeconfig: Path, database: str, chance: Random) -> None:
    place = chance.randrange(3)
    gateway = replicas.gateways[place]
    port = gateway.client.base_url.port or 0
    await asyncio.to_thread(gateway.kill)
    gateway.client.close()
    await asyncio.sleep(chance.uniform(0.2, 1.0))
    again = await asyncio.to_thread(launch, kubeconfig, database, gateway.base, port=port)
    replicas.gateways[place] = again

    def serves(gateway: Gateway = again) -> bool:
        return answers(gateway.client, "/readyz")

    await eventually(serves, within=60, in_thread=True)


async def test_nothing_that_was_acknowledged_is_lost(
    replicas: Replicas, kubeconfig: Path, namespace: str, database_url: str
) -> None:
    chance = Random(SEED)
    clients = Clients(replicas, chance)
    print(f"\nseed {SEED}")
    for name in AGENTS:
        status, _ = await clients.request("POST", "/a2a/register", {"agent_id": name, "ttl_seconds": 3600})
        assert status in (200, 201)
    body = {"id": "shared", "strategies": {"seen": "union", "best": "max"}, "ttl_seconds": 3600}
    assert (await clients.request("POST", "/a2a/context", body))[0] in (201, 409)
    sent: list[str] = []
    changed: list[int] = []
    jobs: list[str] = []
    proposals: list[str] = []
    read: Counter[str] = Counter()
    over = asyncio.Event()

    async def write(round_: int) -> None:
        async def message(number: int) -> None:
            id_ = f"m-{round_}-{number}"
            body = {"message_id": id_, "from": "ann", "to": "bob", "content": {"type": "query", "data": {"n": number}}}
            status, _ = await clients.request("POST", "/a2a/message", body)
            assert status == 202
            sent.append(id_)

        async def change(number: int) -> None:
            value = round_ * 1000 + number
            status, _ = await clients.request("PATCH", "/a2a/context/shared", {"seen": [value], "best": value})
            assert status == 200
            changed.append(value)

        async def job(number: int) -> None:
            id_ = f"j-{round_}-{number}"
            body = {
                "job_id": id_, "task_type": "again", "agent_id": f"{namespace}/echo", "input_data": {"text": id_},
                "max_retries": 20,
            }  # fmt: skip
            status, _ = await clients.request("POST", "/a2a/jobs", body)
            assert status in (200, 202)
            jobs.append(id_)

        async def proposal(number: int) -> None:
            id_ = f"p-{round_}-{number}"
            body = {"proposal_id": id_, "from": "ann", "title": "t", "electorate": list(AGENTS)}
            status, _ = await clients.request("POST", "/a2a/proposals", body)
            assert status in (201, 409)
            for name in AGENTS:
                vote = {"from": name, "choice": "no" if name == "carol" else "yes"}
                status, _ = await clients.request("POST", f"/a2a/proposals/{id_}/votes", vote)
                assert status in (200, 409)  # the answer to the last vote may have been lost
            proposals.append(id_)

        works = [message(n) for n in range(MESSAGES)] + [change(n) for n in range(CHANGES)]
        works += [job(n) for n in range(JOBS)] + [proposal(n) for n in range(PROPOSALS)]
        chance.shuffle(works)
        slots = asyncio.Semaphore(8)

        async def one(work: Any) -> None:
            async with slots:
                await work

        await asyncio.gather(*map(one, works))

    async def reading() -> None:
        while not over.is_set():
            _, found = await clients.request("GET", "/a2a/messages?agent=bob&limit=50&wait=1")
            for message in found["messages"]:
                read[message["message_id"]] += 1
                await clients.request("POST", f"/a2a/messages/{message['message_id']}/ack?agent=bob")

    reader = asyncio.create_task(reading())
    for round_ in range(KILLS):
        await asyncio.gather(write(round_), killed(replicas, kubeconfig, database_url, chance))

    async def all_read() -> bool:
        return set(sent) <= read.keys()

    await eventually(all_read, within=90, what=lambda: f"messages {sorted(set(sent) - read.keys())[:5]}")
    over.set()
    await reader
    for id_ in chance.sample(sent, 20):
        assert (await clients.request("GET", f"/a2a/messages/{id_}"))[1]["status"] == "acknowledged"
    _, context = await clients.request("GET", "/a2a/context/shared")
    assert sorted(context["data"]["seen"]) == sorted(changed)
    assert context["data"]["best"] == max(changed)
    attempts: Counter[str] = Counter()
    for id_ in jobs:

        async def ended(id_: str = id_) -> Any:
            found = (await clients.request("GET", f"/a2a/jobs/{id_}"))[1]
            return found if found["status"] in ("completed", "failed") else None

        job = await eventually(ended, within=90)
        assert (job["status"], job["output_data"]) == ("completed", {"text": id_}), job
        attempts[str(job["attempt"])] += 1
    for id_ in proposals:
        _, found = await clients.request("GET", f"/a2a/proposals/{id_}")
        assert (found["status"], found["tally"]) == ("accepted", {"yes": 2, "no": 1, "abstain": 0})
    await clients.client.aclose()
    twice = sum(number > 1 for number in read.values())
    print(
        f"{KILLS} kills, {clients.tries} requests: {len(sent)} messages, all read, {twice} more than once; "
        f"{len(changed)} changes of a context, all there; {len(jobs)} jobs, all completed, attempts {dict(attempts)}; "
        f"{len(proposals)} proposals of 3 votes, all decided as voted"
    )
