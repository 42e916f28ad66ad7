"""RBAC gives the tasks of others to nobody whom the installation does not admit."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.parts.access import guarded, of
from tests.parts.gateway import message
from tests.parts.issuer import Issuer, issuing
from tests.parts.upstream import PlainAgent


class Api:
    """An API server that allows everything."""

    async def request(self, *_: Any, **__: Any) -> Any:
        return {"status": {"allowed": True}}


@pytest.fixture
async def partner() -> AsyncIterator[Issuer]:
    async with issuing() as found:
        yield found


async def test_a_caller_above_the_ceiling_has_its_own_tasks_of_a_public_agent_only(
    tmp_path: Path, issuer: Issuer, partner: Issuer, container: PlainAgent
) -> None:
    file = {
        "issuers": [issuer.configured(), partner.configured("partner")],
        "ceiling": {"allowPublic": True, "issuers": ["corp"]},
        "audit": {"sink": "none"},
    }
    async with guarded(tmp_path / "access.yaml", file, api=Api()) as gateway:  # type: ignore[arg-type]
        gateway.agent(url=container.url, access={"public": True})
        await gateway.rpc("SendMessage", {"message": message()}, **of(issuer))
        seen = [
            len((await gateway.rpc("ListTasks", {}, **headers))["result"]["tasks"])
            for headers in (of(issuer, "bob"), of(partner, "bob"))
        ]
        assert seen == [1, 0]
