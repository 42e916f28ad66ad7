import gc
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.parts import upstream
from tests.parts.gateway import World, world


@pytest.fixture(scope="module", autouse=True)
def unfrozen() -> Iterator[None]:
    """What watched gateways kept from the garbage collector, for as long as a module has others to watch."""
    yield
    gc.unfreeze()


@pytest.fixture
def container() -> Iterator[upstream.PlainAgent]:
    with upstream.plain_agent() as agent:
        yield agent


@pytest.fixture
async def gateway() -> AsyncIterator[World]:
    async with world() as made:
        yield made


@pytest.fixture
async def echo(gateway: World, container: upstream.PlainAgent) -> World:
    """The gateway with one agent `shop/echo`, answered by the plain container."""
    gateway.agent(url=container.url)
    return gateway
