from collections.abc import AsyncIterator, Iterator

import pytest
from tests.parts.issuer import Issuer, issuing
from tests.parts.upstream import PlainAgent, plain_agent


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with issuing() as found:
        yield found


@pytest.fixture
def container() -> Iterator[PlainAgent]:
    with plain_agent() as agent:
        yield agent
