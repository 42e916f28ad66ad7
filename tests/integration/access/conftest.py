from collections.abc import AsyncIterator

import pytest
from tests.parts.issuer import Issuer, issuing


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with issuing() as found:
        yield found
