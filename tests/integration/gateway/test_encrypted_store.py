"""A gateway whose database is encrypted, and one that lacks a key of it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.integration.gateway.streaming import BASE
from tests.parts.gateway import World, message, world
from tests.parts.sealed import K2, PAYLOADS, Database
from tests.parts.upstream import PlainAgent, plain_agent

from lambdaagent.store.sealing import Sealing

PUSH = {"url": "http://127.0.0.1:9/marked-url", "token": "marked-token"}
PROBLEM = "urn:lambdaagent:problem:unreadable-data"


@pytest.fixture
def container() -> Any:
    with plain_agent() as agent:
        yield agent


@pytest.fixture
async def task_id(tmp_path: Path, container: PlainAgent) -> str:
    """Sends a message with a push configuration through a gateway with the keys, and returns the task's id."""
    async with world(database=tmp_path / "t.db", sealing=PAYLOADS) as gateway:
        gateway.agent(url=container.url)
        configuration = {"taskPushNotificationConfig": PUSH}
        sent = await gateway.rpc("SendMessage", {"message": message("marked-message"), "configuration": configuration})
        task = sent["result"]["task"]
        [config] = (await gateway.rpc("ListTaskPushNotificationConfigs", {"taskId": task["id"]}))["result"]["configs"]
        assert config["token"] == "marked-token"
        assert "marked-message" in str(await gateway.rpc("GetTask", {"id": task["id"]}))
    assert b"marked" not in Database(str(tmp_path / "t.db")).content()
    return str(task["id"])


@pytest.fixture(params=[{}, {"k2": K2}], ids=["no key", "another key"])
async def gateway(
    request: pytest.FixtureRequest, tmp_path: Path, container: PlainAgent, task_id: str
) -> AsyncIterator[World]:
    async with world(database=tmp_path / "t.db", sealing=Sealing(request.param, payloads=True)) as made:
        made.agent(url=container.url)
        yield made


async def test_a_task_without_its_key_is_503_of_its_own_kind_and_others_work(gateway: World, task_id: str) -> None:
    with capture_logs() as logs:
        answer = await gateway.request("GET", f"{BASE}/tasks/{task_id}")
        body = await answer.json()
        assert (answer.status, body["error"]["status"]) == (503, "UNAVAILABLE")
        assert body["error"]["details"][0]["metadata"]["problem"] == PROBLEM
        for method, params in (
            ("GetTask", {"id": task_id}),
            ("CancelTask", {"id": task_id}),
            ("SubscribeToTask", {"id": task_id}),
            ("SendMessage", {"message": message(taskId=task_id)}),
            ("ListTaskPushNotificationConfigs", {"taskId": task_id}),
        ):
            error = (await gateway.rpc(method, params))["error"]
            assert "the key k1, which LAMBDAAGENT_STORE_KEYS does not contain; add that key again" in error["message"]
            assert error["data"][0]["metadata"]["problem"] == PROBLEM
    assert "marked" not in str(logs)
    assert {each["event"] for each in logs} <= {"store.value_unreadable", "a2a_request.failed", "push.unreadable"}
    done = await gateway.rpc("SendMessage", {"message": message("other", messageId="m-2")})
    assert done["result"]["task"]["status"]["state"] == "TASK_STATE_COMPLETED"
    metrics = (await gateway.request("GET", "/metrics")).body.decode()
    assert 'lambdaagent_store_unreadable_values_total{cause="key-missing",kid="k1"}' in metrics


async def test_a_list_shows_that_there_is_a_task_that_cannot_be_decrypted(gateway: World, task_id: str) -> None:
    await gateway.rpc("SendMessage", {"message": message("other", messageId="m-2")})
    tasks = (await gateway.rpc("ListTasks", {}))["result"]["tasks"]
    assert len(tasks) == 2
    [hidden] = [task for task in tasks if task["id"] == task_id]
    assert hidden["status"]["state"] == "TASK_STATE_COMPLETED"
    assert "the key k1" in hidden["metadata"]["lambdaagent/unreadable"]
    assert "marked" not in str(hidden)


async def test_an_event_for_a_task_without_its_key_comes_again(gateway: World, task_id: str) -> None:
    assert await gateway.report(task_id) == 503
    answer = await gateway.request(
        "POST",
        "/events/shop/from/echo",
        json={"specversion": "1.0", "id": "1", "source": "/s", "type": "x", "a2ataskid": task_id},
        headers={"Content-Type": "application/cloudevents+json"},
    )
    assert (await answer.json())["type"] == PROBLEM
