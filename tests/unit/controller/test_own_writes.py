"""Events of a child that the operator itself writes: whether they wake its agent."""

import asyncio
from typing import Any

import pytest

from lambdaagent.controller.child_cache import ChildCaches
from lambdaagent.kube.errors import UnavailableError
from lambdaagent.kube.resources import KNATIVE_SERVICE
from lambdaagent.kube.watch import Watcher

AGENT = ("ns", "one")


def service(version: int, kind: str = "MODIFIED") -> dict[str, Any]:
    owner = {"kind": "LambdaAgent", "name": "one", "uid": "u1"}
    metadata = {"namespace": "ns", "name": "one", "uid": "s1", "resourceVersion": str(version)}
    found = {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": metadata | {"ownerReferences": [owner]},
    }
    return {"type": kind, "object": found}


class Server:
    """A server without objects, whose watch yields what a test puts into `news`."""

    def __init__(self) -> None:
        self.news: asyncio.Queue[dict[str, Any]] = asyncio.Queue()


class Told(Watcher):
    """A watch that yields what is in the queue."""

    async def changes(self) -> Any:
        from lambdaagent.kube.watch import ChangeType, WatchEvent

        while True:
            event = await self.client.news.get()  # type: ignore[attr-defined]
            yield WatchEvent(ChangeType(event["type"]), event["object"])


class World:
    def __init__(self) -> None:
        self.woken: list[object] = []
        self.server = Server()
        self.child_caches = ChildCaches(self.server, frozenset(), self.woken.append)  # type: ignore[arg-type]
        self.watcher = Told(self.server, KNATIVE_SERVICE)  # type: ignore[arg-type]

    async def tell(self, event: dict[str, Any]) -> None:
        self.server.news.put_nowait(event)
        while not self.server.news.empty():
            await asyncio.sleep(0)
        await asyncio.sleep(0)


@pytest.fixture
async def world() -> Any:
    found = World()
    following = asyncio.create_task(found.child_caches._follow(found.watcher))
    yield found
    following.cancel()
    await asyncio.wait([following])


async def write(world: World, answer: dict[str, Any] | None, *meanwhile: dict[str, Any]) -> None:
    async def writing() -> Any:
        for event in meanwhile:
            await world.tell(event)
        if answer is None:
            raise UnavailableError("no answer", reason="Timeout", status=0)
        return answer["object"]

    await world.child_caches.write(service(0)["object"], AGENT, writing())


async def test_a_write_that_is_told_before_its_answer_wakes_nobody(world: World) -> None:
    await write(world, service(5), service(5, "ADDED"))
    assert world.woken == []
    assert world.child_caches.get(KNATIVE_SERVICE, "ns", "one") is not None


async def test_what_somebody_wrote_after_us_wakes(world: World) -> None:
    await write(world, service(5), service(5), service(6))
    assert world.woken == [AGENT]
    kept = world.child_caches.get(KNATIVE_SERVICE, "ns", "one")
    assert kept is not None
    assert kept["metadata"]["resourceVersion"] == "6"


async def test_what_was_deleted_before_the_answer_came_is_not_put_back(world: World) -> None:
    await write(world, service(5), service(5), service(6, "DELETED"))
    assert world.woken == [AGENT]
    assert world.child_caches.get(KNATIVE_SERVICE, "ns", "one") is None


async def test_news_count_where_the_write_itself_failed(world: World) -> None:
    with pytest.raises(UnavailableError):
        await write(world, None, service(5))
    assert world.woken == [AGENT]


async def test_news_of_later_wake_as_ever(world: World) -> None:
    await write(world, service(5))
    await world.tell(service(6))
    assert world.woken == [AGENT]
