"""The container that most tests of this folder call."""

from collections.abc import AsyncIterator

import pytest
from tests.parts.upstream import TalkingAgent, talking_agent


@pytest.fixture
async def talking() -> AsyncIterator[TalkingAgent]:
    async with talking_agent() as agent:
        yield agent
