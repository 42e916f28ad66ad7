"""The tasks of others: not by RBAC for whom the installation does not admit, and not by a reference in a message."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.gateway import remote
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


async def test_a_reference_to_a_task_of_another_is_left_out(
    tmp_path: Path, issuer: Issuer, container: PlainAgent
) -> None:
    """The container gets its own ids of the tasks that a message refers to: those of this caller and agent alone."""
    ids = iter(["of-alice", "elsewhere", "of-bob", "after"])
    server = remote.Remote(answers={"SendMessage": lambda _: {"task": remote.task("COMPLETED", id_=next(ids))}})
    file = {"issuers": [issuer.configured()], "audit": {"sink": "none"}}
    access = {"grants": [{"principals": ["corp:alice", "corp:bob"]}]}
    async with guarded(tmp_path / "access.yaml", file) as gateway:
        remote.serve(container, gateway, server, access=access)
        gateway.agent("other", url=container.url, protocol="a2a", skills=[{"id": "say", "name": "Say"}], access=access)

        async def sent(caller: str, agent: str = "relayed", **more: Any) -> str:
            path, headers = f"/agents/shop/{agent}/api/a2a", of(issuer, caller)
            found = await gateway.rpc("SendMessage", {"message": message("x", **more)}, path=path, **headers)
            return str(found["result"]["task"]["id"])

        known = [await sent("alice"), await sent("bob", "other"), await sent("bob")]
        await sent("bob", referenceTaskIds=known)
    assert server.asked("SendMessage")[-1]["message"]["referenceTaskIds"] == ["of-bob"]
