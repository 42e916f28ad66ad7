import gc
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.parts import roles
from tests.parts.content_codings import RawContainer
from tests.parts.gateway import World, manifest, skill, world
from tests.parts.kubernetes import KubeApiserver
from tests.parts.lag import Watched, watched_gateway
from tests.parts.upstream import PlainAgent, plain_agent, raw_server

from lambdaagent.kube import rights


@pytest.fixture(scope="module", autouse=True)
def unfrozen() -> Iterator[None]:
    """Returns the objects that watched gateways hid from the garbage collector, after each module."""
    yield
    gc.unfreeze()


@pytest.fixture
def container() -> Iterator[PlainAgent]:
    with plain_agent() as agent:
        yield agent


@pytest.fixture
async def gateway() -> AsyncIterator[World]:
    async with world() as made:
        yield made


@pytest.fixture
async def echo(gateway: World, container: PlainAgent) -> World:
    """Adds the agent `shop/echo` to the gateway; its container is the plain one."""
    gateway.agent(url=container.url)
    return gateway


@pytest.fixture(scope="module")
def gateway_account(kube_apiserver: KubeApiserver) -> Iterator[Path]:
    """Yields the kubeconfig of the gateway's account; at the end it asserts that no request was refused."""
    name = f"gateway-{secrets.token_hex(3)}"
    kube_apiserver.rest.post("/api/v1/namespaces", {"metadata": {"name": name}})
    with roles.applied(kube_apiserver, name):
        found = roles.kubeconfig(kube_apiserver, name, rights.GATEWAY)
        before = roles.refusals(kube_apiserver.rest)
        yield found
        assert roles.refusals(kube_apiserver.rest) == before
    kube_apiserver.rest.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
async def raw(gateway: World) -> AsyncIterator[RawContainer]:
    """Adds the agent `shop/echo` to the gateway and yields its container, which keeps the bytes of each request."""
    container = RawContainer()
    async with raw_server(container.talk) as container.url:
        gateway.agent(url=container.url)
        yield container


@pytest.fixture(scope="module")
def watched_container() -> Iterator[PlainAgent]:
    """Yields the container of `watched`."""
    with plain_agent() as found:
        yield found


@pytest.fixture
def watched(watched_container: PlainAgent) -> Iterator[Watched]:
    """Yields a gateway in a thread of its own whose lag is measured; it has the agent `shop/echo`."""
    watched_container.respond = None
    with watched_gateway() as found:

        async def add(world: Any) -> None:
            a2a = {"enabled": True, "skills": [skill("say")]}
            world.add(manifest("echo", a2a=a2a, eventing={"enabled": True}), url=watched_container.url)
            world.broker.bind("shop/shared", "t")

        found.run(add)
        found.begin()
        yield found
