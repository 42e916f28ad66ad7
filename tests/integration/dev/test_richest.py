"""The richest LambdaAgent, the one that the operator's tests apply: called in every way there is, under `dev`."""

import sys
from pathlib import Path

import httpx
from a2a.client import ClientConfig, ClientFactory
from a2a.client.card_resolver import A2ACardResolver
from a2a.types import a2a_pb2 as pb
from tests.parts.dev import Dev, dev
from tests.parts.dev_agents import AGENT
from tests.parts.documents import RICHEST


def test_one_file_answers_a_skill_call_the_public_sdk_and_an_event(tmp_path: Path) -> None:
    command = f"ai/richest={sys.executable} {AGENT}"
    with dev(RICHEST, "--command", command, data=tmp_path) as running:
        called = running.post("/agents/ai/richest/api/a2a/skills/order", content="soup")
        assert (called.status_code, called.text) == (200, "soup")
        running.wait_for("[ai/richest] got restaurant.order.ask")
        sent = running.send_event("restaurant.order.requested", event_id="o1", data=b"pasta", namespace="ai")
        assert (sent.status_code, sent.headers["lambdaagent-routed"]) == (202, "1")
        running.wait_for("[ai/richest] got restaurant.order.requested o1 pasta")
        ask_with_the_sdk(running)
        running.wait_for("TOKEN stays unset")


def ask_with_the_sdk(running: Dev) -> None:
    import asyncio

    async def ask() -> pb.Task:
        async with httpx.AsyncClient() as http:
            card = await A2ACardResolver(http, f"{running.url}/agents/ai/richest").get_agent_card()
            assert [skill.id for skill in card.skills] == ["order", "menu"]
            client = ClientFactory(ClientConfig(httpx_client=http, streaming=False)).create(card)
            message = pb.Message(message_id="m1", role=pb.Role.ROLE_USER, parts=[pb.Part(text="soup")])
            message.metadata.update({"skillId": "order"})
            answers = [answer async for answer in client.send_message(pb.SendMessageRequest(message=message))]
            return answers[-1].task

    task = asyncio.run(ask())
    assert task.status.state == pb.TaskState.TASK_STATE_COMPLETED
    assert '"question":"soup"' in task.artifacts[0].parts[0].text.replace(" ", "")
