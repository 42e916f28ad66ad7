"""Two contenders and one Lease on a real API server: never two leaders, and always one in the end."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.parts.kubernetes import KubeApiserver
from tests.parts.polling import eventually
from tests.parts.proxy import proxy

from lambdaagent.kube import objects, resources
from lambdaagent.kube.client import KubeClient, connect
from lambdaagent.kube.lease import Lease, LeaseSettings, StillLeadingError

QUICK = LeaseSettings(duration=2.0, renew_deadline=1.2, retry_period=0.2)
_ROOT = Path(__file__).parents[3]


@dataclass
class Leaders:
    """The processes that lead now; two at once fail the test."""

    now: set[str] = field(default_factory=set)
    history: list[str] = field(default_factory=list)

    def work(self, name: str) -> Callable[[], Awaitable[None]]:
        async def lead() -> None:
            assert not self.now, f"{name} leads beside {self.now}"
            self.now.add(name)
            self.history.append(name)
            try:
                await asyncio.Event().wait()
            finally:
                self.now.discard(name)

        return lead


def lease(client: KubeClient, namespace: str, identity: str, *, skew: timedelta = timedelta()) -> Lease:
    return Lease(
        client,
        "election",
        identity=identity,
        namespace=namespace,
        settings=QUICK,
        now=lambda: datetime.now(UTC) + skew,
    )


@asynccontextmanager
async def campaigning(contender: Lease, leaders: Leaders) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(contender.run(leaders.work(contender.identity)))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled(), task.exception()


async def test_one_leads_and_the_other_follows_when_it_leaves(client: KubeClient, namespace: str) -> None:
    leaders, one, two = Leaders(), lease(client, namespace, "one"), lease(client, namespace, "two")
    async with campaigning(one, leaders) as first:
        await eventually(lambda: leaders.history == ["one"])
        async with campaigning(two, leaders):
            await eventually(lambda: two.holder == "one")
            record = await objects.get(client, resources.LEASE, name="election", namespace=namespace)
            assert record["spec"]["holderIdentity"] == "one"
            assert record["spec"]["renewTime"].endswith("Z")
            left = time.monotonic()
            first.cancel()
            await eventually(lambda: leaders.history == ["one", "two"])
            assert time.monotonic() - left < QUICK.duration, "it was not released"
            assert (one.leading, two.leading) == (False, True)
            record = await objects.get(client, resources.LEASE, name="election", namespace=namespace)
            assert record["spec"]["leaseTransitions"] == 1


async def test_the_work_ends_the_campaign_and_gives_the_lease_back(client: KubeClient, namespace: str) -> None:
    async def work() -> None:
        raise LookupError("the work failed")

    with pytest.raises(LookupError, match="the work failed"):
        await lease(client, namespace, "one").run(work)
    record = await objects.get(client, resources.LEASE, name="election", namespace=namespace)
    assert record["spec"]["holderIdentity"] == ""


async def test_a_partitioned_leader_stops_before_another_starts(
    client: KubeClient, kube_apiserver: KubeApiserver, namespace: str
) -> None:
    leaders = Leaders()
    async with proxy(kube_apiserver.port) as network:
        path = kube_apiserver.kubeconfig_for(url=f"https://127.0.0.1:{network.port}")
        async with connect(kubeconfig=path) as partitioned:
            one, two = lease(partitioned, namespace, "one"), lease(client, namespace, "two")
            async with campaigning(one, leaders):
                await eventually(lambda: leaders.history == ["one"])
                async with campaigning(two, leaders):
                    await eventually(lambda: two.holder == "one")
                    network.partition()
                    cut = time.monotonic()
                    await eventually(lambda: not leaders.now)
                    assert time.monotonic() - cut < QUICK.renew_deadline + 0.5
                    await eventually(lambda: leaders.now == {"two"})
                    network.reset()
                    network.heal()
                    # It comes back as a follower, and leads again only after the other left.
                    await eventually(lambda: one.holder == "two")
                await eventually(lambda: leaders.history == ["one", "two", "one"])


async def test_a_paused_api_server_costs_the_lead_and_it_is_won_again(
    client: KubeClient, kube_apiserver: KubeApiserver, namespace: str
) -> None:
    leaders, one = Leaders(), lease(client, namespace, "one")
    async with campaigning(one, leaders):
        await eventually(lambda: leaders.now == {"one"})
        kube_apiserver.pause()
        try:
            await eventually(lambda: not leaders.now)
        finally:
            kube_apiserver.resume()
        await eventually(lambda: leaders.history == ["one", "one"])


@pytest.mark.parametrize("skew", [pytest.param(-3600, id="behind"), pytest.param(3600, id="ahead")])
async def test_a_skewed_clock_takes_nothing_over(client: KubeClient, namespace: str, skew: int) -> None:
    leaders, one = Leaders(), lease(client, namespace, "one")
    two = lease(client, namespace, "two", skew=timedelta(seconds=skew))
    async with campaigning(one, leaders):
        await eventually(lambda: leaders.history == ["one"])
        async with campaigning(two, leaders):
            start = time.monotonic()
            await eventually(lambda: time.monotonic() > start + 2 * QUICK.duration)
            assert leaders.history == ["one"]
    async with campaigning(two, leaders):
        await eventually(lambda: leaders.history == ["one", "two"])
        async with campaigning(lease(client, namespace, "three"), leaders):
            start = time.monotonic()
            await eventually(lambda: time.monotonic() > start + 1.5 * QUICK.duration)
            assert leaders.history == ["one", "two"]


async def test_a_lease_that_somebody_else_writes_on_is_not_lost(client: KubeClient, namespace: str) -> None:
    leaders, one = Leaders(), lease(client, namespace, "one")
    async with campaigning(one, leaders):
        await eventually(lambda: leaders.now == {"one"})
        for n in range(20):
            patch = {"metadata": {"labels": {"n": str(n)}}}
            await objects.merge_patch(
                client, resources.LEASE, name="election", namespace=namespace, patch=patch, manager="m"
            )
        assert await objects.delete(client, resources.LEASE, name="election", namespace=namespace)
        renewed = one._renewed_at
        await eventually(lambda: one._renewed_at > renewed + 0.5)
        assert leaders.history == ["one"]


async def test_work_that_does_not_stop_ends_the_process_that_lost(client: KubeClient, namespace: str) -> None:
    stubborn = asyncio.Event()
    started = asyncio.Event()

    async def work() -> None:
        started.set()
        while not stubborn.is_set():
            try:
                await stubborn.wait()
            except asyncio.CancelledError:
                continue

    one = lease(client, namespace, "one")
    task = asyncio.create_task(one.run(work))
    await asyncio.wait_for(started.wait(), 10)
    stolen = await objects.get(client, resources.LEASE, name="election", namespace=namespace)
    patch = {"spec": stolen["spec"] | {"holderIdentity": "thief"}}
    await objects.merge_patch(client, resources.LEASE, name="election", namespace=namespace, patch=patch, manager="m")
    with pytest.raises(StillLeadingError, match="must end"):
        await asyncio.wait_for(task, 10)
    stubborn.set()


_LEADER = """
import asyncio, sys
from pathlib import Path
from lambdaagent.kube.client import connect
from lambdaagent.kube.lease import Lease, LeaseSettings

async def work():
    print("leading", flush=True)
    await asyncio.Event().wait()

async def main():
    async with connect(kubeconfig=Path(sys.argv[1])) as client:
        settings = LeaseSettings(duration=2.0, renew_deadline=1.2, retry_period=0.2)
        await Lease(client, "election", identity="other", namespace=sys.argv[2], settings=settings).run(work)

asyncio.run(main())
"""


async def test_a_killed_leader_is_followed_after_the_duration(
    client: KubeClient, kube_apiserver: KubeApiserver, namespace: str
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _LEADER,
        str(kube_apiserver.kubeconfig),
        namespace,
        stdout=asyncio.subprocess.PIPE,
        cwd=_ROOT,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(20):
            while await process.stdout.readline() not in (b"leading\n", b""):
                pass
        leaders, two = Leaders(), lease(client, namespace, "two")
        async with campaigning(two, leaders):
            await eventually(lambda: two.holder == "other")
            os.kill(process.pid, signal.SIGKILL)
            killed = time.monotonic()
            await eventually(lambda: leaders.now == {"two"})
            assert QUICK.duration - QUICK.retry_period - 0.1 < time.monotonic() - killed < QUICK.duration + 1
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
