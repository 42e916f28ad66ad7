"""The shortest way through everything: card, direct skill call, message, event."""

from tests.parts.gateway import World, message
from tests.parts.upstream import PlainAgent

ECHO = "/agents/shop/echo"


async def test_a_card_names_the_endpoint_that_answers(echo: World) -> None:
    response = await echo.request("GET", f"{ECHO}/.well-known/agent-card.json", headers={"A2A-Version": "1.0"})
    card = await response.json()
    assert response.status == 200
    assert card["supportedInterfaces"][0]["url"] == f"{echo.url}{ECHO}/api/a2a"
    assert [skill["id"] for skill in card["skills"]] == ["say"]


async def test_a_direct_call_sends_the_body_and_brings_the_answer_back(echo: World, container: PlainAgent) -> None:
    response = await echo.request("POST", f"{ECHO}/api/a2a/skills/say", json={"text": "hi"})
    assert (response.status, (await response.json())["you_said"]) == (200, "hi")
    seen = container.seen[0]
    assert seen.path == "/"
    assert seen.headers["ce-type"] == "io.knative.lambda.invoke.sync"
    assert seen.headers["ce-source"] == "/a2a/shop/echo"
    assert seen.headers["ce-a2askillid"] == "say"
    # The id of the task that the call becomes if it is answered 202.
    assert await echo.store.get(seen.headers["ce-a2ataskid"]) is None
    assert seen.body == b'{"text": "hi"}'


async def test_a_message_becomes_a_task_with_the_containers_answer(echo: World, container: PlainAgent) -> None:
    task = (await echo.rpc("SendMessage", {"message": message("hello")}))["result"]["task"]
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"
    assert task["artifacts"][0]["parts"][0]["data"]["you_said"] == "hello"
    assert container.seen[0].headers["ce-a2ataskid"] == task["id"]
    again = (await echo.rpc("GetTask", {"id": task["id"]}))["result"]
    assert again == task


async def test_an_event_is_routed_before_it_is_accepted(gateway: World) -> None:
    queue = gateway.broker.bind("shop/shared", "parcel.created")
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "parcel.created"}
    response = await gateway.request("POST", "/events/shop", headers=headers, data=b"\x00\x01")
    assert (response.status, response.headers["LambdaAgent-Routed"]) == (202, "1")
    assert (queue[0].id, queue[0].data) == ("1", b"\x00\x01")
