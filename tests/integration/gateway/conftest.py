import gc
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.integration.gateway import upstream, world


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
async def gateway() -> AsyncIterator[world.World]:
    async with world.world() as made:
        yield made


@pytest.fixture
async def echo(gateway: world.World, container: upstream.PlainAgent) -> world.World:
    """The gateway with one agent `shop/echo`, answered by the plain container."""
    gateway.agent(url=container.url)
    return gateway
