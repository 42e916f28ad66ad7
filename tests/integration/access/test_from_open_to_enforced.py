"""An installation that was open moves to access control by the mode `audit`, as the guide says."""

from pathlib import Path
from typing import Any

import orjson
from tests.parts.access import guarded, of
from tests.parts.gateway import World, message
from tests.parts.issuer import Issuer
from tests.parts.upstream import PlainAgent

from lambdaagent.access.rules import Mode

GRANTS = {"grants": [{"principals": ["corp:alice"]}]}
NOBODY: dict[str, str] = {}


async def sent(gateway: World, headers: dict[str, str]) -> str | int:
    """Sends a message and returns the task's id, or the status of a refusal."""
    body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message()}}
    path = "/agents/shop/echo/api/a2a"
    answer = await gateway.request("POST", path, json=body, headers={"A2A-Version": "1.0", **headers})
    if answer.status != 200:
        return answer.status
    return str((await answer.json())["result"]["task"]["id"])


async def listed(gateway: World, headers: dict[str, str]) -> set[str]:
    return {each["id"] for each in (await gateway.rpc("ListTasks", {}, **headers))["result"]["tasks"]}


def denials(audited: Path) -> list[dict[str, Any]]:
    lines = [orjson.loads(line) for line in audited.read_bytes().splitlines()]
    decisions = [line for line in lines if line["stage"] == "Decision"]
    return [line for line in decisions if line["annotations"]["decision"] == "forbid"]


async def test_nothing_stops_on_the_way_and_nothing_is_open_at_its_end(
    tmp_path: Path, issuer: Issuer, container: PlainAgent
) -> None:
    audited, database = tmp_path / "audit.log", tmp_path / "tasks.db"
    file = {
        "issuers": [issuer.configured()],
        "admins": ["corp:root"],
        "audit": {"sink": "file", "file": str(audited)},
    }
    alice, root = of(issuer), of(issuer, "root")

    async with guarded(tmp_path / "access.yaml", file, mode=Mode.OFF, database=database) as gateway:
        gateway.agent(url=container.url)
        before = await sent(gateway, NOBODY)
        assert isinstance(before, str)

    async with guarded(tmp_path / "access.yaml", file, mode=Mode.AUDIT, database=database) as gateway:
        gateway.agent(url=container.url)
        as_before, known = await sent(gateway, NOBODY), await sent(gateway, alice)
        assert isinstance(as_before, str)
        assert isinstance(known, str)
        assert await listed(gateway, NOBODY) == {before, as_before}
        assert await listed(gateway, alice) == {known}
    refused = denials(audited)
    assert {each["user"]["username"] for each in refused} == {"anonymous", "corp:alice"}
    assert all(each["annotations"]["mode"] == "audit" for each in refused)

    # What is missing is granted, until no line is left that should be served.
    audited.unlink()
    async with guarded(tmp_path / "access.yaml", file, mode=Mode.AUDIT, database=database) as gateway:
        gateway.agent(url=container.url, access=GRANTS)
        assert isinstance(await sent(gateway, alice), str)
    assert denials(audited) == []

    async with guarded(tmp_path / "access.yaml", file, database=database) as gateway:
        gateway.agent(url=container.url, access=GRANTS)
        assert await sent(gateway, NOBODY) == 401
        assert known in await listed(gateway, alice)
        assert before not in await listed(gateway, alice)
        assert {before, as_before, known} <= await listed(gateway, root)
        own = await gateway.rpc("GetTask", {"id": before}, **root)
        assert own["result"]["status"]["state"] == "TASK_STATE_COMPLETED"
        assert "error" in await gateway.rpc("GetTask", {"id": before}, **alice)
