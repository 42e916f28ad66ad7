"""No shared cache may keep what one caller alone may see."""

from pathlib import Path

from tests.parts.access import guarded, of
from tests.parts.gateway import message, skill
from tests.parts.issuer import Issuer
from tests.parts.upstream import PlainAgent


async def test_answers_to_get_are_private(tmp_path: Path, issuer: Issuer, container: PlainAgent) -> None:
    file = {"issuers": [issuer.configured()], "audit": {"sink": "none"}}
    async with guarded(tmp_path / "access.yaml", file) as gateway:
        grants = [{"principals": ["corp:alice"]}]
        skills = [skill("say"), skill("hidden")]
        gateway.agent(url=container.url, access={"grants": grants}, skills=skills, privateSkills=["hidden"])
        alice = of(issuer)
        task = (await gateway.rpc("SendMessage", {"message": message()}, **alice))["result"]["task"]
        agent, a2a = "/agents/shop/echo", "/agents/shop/echo/api/a2a"
        for path, status in {
            "/agents": 200,
            "/.well-known/api-catalog": 200,
            "/.well-known/ai-catalog.json": 200,
            "/ard/agents": 200,
            "/ard/agents/urn:lambdaagent:local:shop:echo": 200,
            f"{agent}/.well-known/agent-card.json": 200,
            f"{a2a}/tasks": 200,
            f"{a2a}/tasks/{task['id']}": 200,
            f"{a2a}/tasks/none": 404,
            f"{a2a}/v1/tasks/{task['id']}": 200,
            f"{a2a}/extendedAgentCard": 200,
        }.items():
            answer = await gateway.request("GET", path, headers=alice)
            assert answer.status == status, path
            assert answer.headers["Cache-Control"].startswith("private"), path
            assert {"Authorization", "X-API-Key"} <= set(answer.headers["Vary"].split(", ")), path
