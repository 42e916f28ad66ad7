"""The public SDK's client finds an agent by its card and talks to it, below a path prefix and on its own host."""

from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest
from a2a.client import ClientConfig, ClientFactory
from a2a.client.card_resolver import A2ACardResolver
from a2a.types import a2a_pb2 as pb
from tests.parts.gateway import World
from tests.parts.upstream import PlainAgent, Seen

ECHO = "/agents/shop/echo"


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as client:
        yield client


def request(text: str, **more: str) -> pb.SendMessageRequest:
    message = pb.Message(message_id=str(uuid4()), role=pb.Role.ROLE_USER, parts=[pb.Part(text=text)], **more)
    return pb.SendMessageRequest(message=message)


async def send(http: httpx.AsyncClient, card: pb.AgentCard, sent: pb.SendMessageRequest) -> pb.Task:
    client = ClientFactory(ClientConfig(httpx_client=http, streaming=False)).create(card)
    answers = [answer async for answer in client.send_message(sent)]
    assert len(answers) == 1
    return answers[0].task


async def test_resolve_send_and_get(echo: World, http: httpx.AsyncClient) -> None:
    card = await A2ACardResolver(http, f"{echo.url}{ECHO}").get_agent_card()
    assert (card.name, card.capabilities.streaming) == ("echo", True)
    task = await send(http, card, request("hello"))
    assert task.status.state == pb.TaskState.TASK_STATE_COMPLETED
    assert task.artifacts[0].parts[0].data.struct_value["you_said"] == "hello"
    client = ClientFactory(ClientConfig(httpx_client=http, streaming=False)).create(card)
    assert await client.get_task(pb.GetTaskRequest(id=task.id)) == task


async def test_a_conversation_of_two_turns(echo: World, container: PlainAgent, http: httpx.AsyncClient) -> None:
    def respond(seen: Seen) -> tuple[int, dict[str, str], bytes]:
        if b"apples" in seen.body:
            return 200, {"Content-Type": "text/plain"}, b"sold"
        body = (
            b'{"statusUpdate":{"status":{"state":"TASK_STATE_INPUT_REQUIRED","message":{"parts":[{"text":"which?"}]}}}}'
        )
        return 200, {"Content-Type": "application/a2a+json"}, body

    container.respond = respond
    card = await A2ACardResolver(http, f"{echo.url}{ECHO}").get_agent_card()
    asked = await send(http, card, request("buy"))
    assert asked.status.state == pb.TaskState.TASK_STATE_INPUT_REQUIRED
    assert asked.status.message.parts[0].text == "which?"
    done = await send(http, card, request("apples", task_id=asked.id))
    assert (done.id, done.status.state) == (asked.id, pb.TaskState.TASK_STATE_COMPLETED)
    assert [message.parts[0].text for message in done.history] == ["buy", "which?", "apples"]


async def test_the_agents_own_host_serves_the_same_without_the_prefix(echo: World, http: httpx.AsyncClient) -> None:
    port = echo.url.rpartition(":")[2]
    host = f"echo-a2a.shop.svc.cluster.local:{port}"
    answer = await http.get(f"{echo.url}/.well-known/agent-card.json", headers={"Host": host, "A2A-Version": "1.0"})
    assert answer.json()["supportedInterfaces"][0]["url"] == f"http://{host}/api/a2a"
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "SendMessage",
        "params": {"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "x"}]}},
    }
    answer = await http.post(f"{echo.url}/api/a2a/", headers={"Host": host}, json=body)
    assert answer.json()["result"]["task"]["status"]["state"] == "TASK_STATE_COMPLETED"
