"""Every operation in both versions over both bindings, on one task, with what the schemas say of the answers."""

import orjson
import pytest
from tests.integration.gateway.streaming import WAYS, Way
from tests.parts.a2a_schemas import check_v03, check_v1
from tests.parts.gateway import World
from tests.parts.polling import eventually
from tests.parts.upstream import PlainAgent, talking_agent

URL = "http://127.0.0.1:9/x"
pytestmark = pytest.mark.parametrize("way", WAYS, ids=[way.name for way in WAYS])


def state(task: dict[str, object]) -> str:
    status = task["status"]
    assert isinstance(status, dict)
    return str(status["state"]).removeprefix("TASK_STATE_").lower()


async def test_send_and_get(echo: World, way: Way) -> None:
    sent = await way.answer(echo, "send")
    way.check("SendMessageResponse", "Task", sent)
    task = way.task(sent)
    assert state(task) == "completed"
    again = await way.answer(echo, "get", task=task["id"])
    way.check("Task", "Task", again)
    assert again == task


async def test_cancel_reaches_the_container(gateway: World, way: Way) -> None:
    async with talking_agent() as container:
        gateway.agent(url=container.url)
        async with way.ask(gateway, "stream") as stream:
            await stream.content.readline()
            found = await gateway.rpc("ListTasks", {})
            task_id = found["result"]["tasks"][0]["id"]
            canceled = await way.answer(gateway, "cancel", task=task_id)
            way.check("Task", "Task", canceled)
            assert state(canceled) in ("canceled", "cancelled")
            await container.closed.wait()


async def test_push_configurations_live_with_their_task(echo: World, way: Way) -> None:
    task_id = way.task(await way.answer(echo, "send"))["id"]
    made = await way.answer(echo, "push", task=task_id, push="p", url=URL)
    way.check("TaskPushNotificationConfig", "TaskPushNotificationConfig", made)
    assert await way.answer(echo, "pushed", task=task_id, push="p") == made
    listed = await way.answer(echo, "pushes", task=task_id)
    assert (listed if isinstance(listed, list) else listed["configs"]) == [made]
    assert await way.answer(echo, "drop", task=task_id, push="p") in (None, {})
    assert await way.answer(echo, "drop", task=task_id, push="p") in (None, {})
    async with way.ask(echo, "pushed", task=task_id, push="p") as gone:
        assert gone.status == (404 if way.rest else 200)
        assert (await gone.json())["error"]["code"] == (404 if way.rest else -32001)


async def test_a_push_receiver_hears_of_the_task_in_its_own_version(
    gateway: World, container: PlainAgent, way: Way
) -> None:
    async with talking_agent() as agent:
        gateway.agent(url=agent.url)
        async with way.ask(gateway, "stream") as stream:
            await stream.content.readline()
            task_id = (await gateway.rpc("ListTasks", {}))["result"]["tasks"][0]["id"]
            config = {"taskId": task_id, "url": container.url}
            if way.version == "1.0":
                await gateway.rpc("CreateTaskPushNotificationConfig", config)
            else:
                old = {"taskId": task_id, "pushNotificationConfig": {"url": container.url}}
                await gateway.rpc("tasks/pushNotificationConfig/set", old, version="0.3")
            agent.say({"statusUpdate": {"status": {"state": "TASK_STATE_COMPLETED"}}}, None)
            await eventually(lambda: container.seen)
    body = orjson.loads(container.seen[0].body)
    if way.version == "1.0":
        check_v1("StreamResponse", body)
        assert "statusUpdate" in body
    else:
        check_v03("TaskStatusUpdateEvent", body)
        assert body["final"] is True


async def test_unknown_tasks_are_not_found(echo: World, way: Way) -> None:
    for operation in ("get", "cancel", "subscribe", "pushed", "pushes", "push", "drop"):
        async with way.ask(echo, operation, task="nobody", push="p", url=URL) as response:
            body = await response.json()
            assert response.status == (404 if way.rest else 200), operation
            assert body["error"]["code"] == (404 if way.rest else -32001), operation


async def test_lists_are_pages(echo: World, way: Way) -> None:
    if way.name == "0.3 JSON-RPC":
        return  # it has no such method
    ids = [way.task(await way.answer(echo, "send"))["id"] for _ in range(3)]
    listed = await way.answer(echo, "list")
    way.check("ListTasksResponse", "", listed)
    assert [task["id"] for task in listed["tasks"]] == ids[::-1]
    assert (listed["pageSize"], listed["totalSize"], listed["nextPageToken"]) == (50, 3, "")
    assert all("artifacts" not in task for task in listed["tasks"])
