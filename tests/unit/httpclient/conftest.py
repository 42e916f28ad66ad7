"""The client under test: two connections, small headers."""

from collections.abc import AsyncIterator

import pytest

from lambdaagent.httpclient.client import HttpClient
from lambdaagent.httpclient.pool import PoolLimits


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    made = HttpClient(limits=PoolLimits(connections=2, header_bytes=2000, keep_idle=30))
    yield made
    await made.close()
