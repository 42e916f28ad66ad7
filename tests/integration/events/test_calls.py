"""Calls that travel as events through RabbitMQ: asked at one gateway, delivered through whichever dispatcher."""

import json
from typing import Any

import httpx
from pydantic import SecretStr
from tests.parts.agents import Container, Got
from tests.parts.http_servers import Response
from tests.parts.polling import eventually
from tests.parts.system import KEYS, System

from lambdaagent.events import capability
from lambdaagent.settings import parse_keys

SKILL = {"id": "work", "name": "Work", "invoke": {"mode": "async", "timeoutSeconds": 60}}
VERSION = {"A2A-Version": "1.0", "Content-Type": "application/json"}


def base(system: System, name: str, *, gateway: int = 0) -> str:
    return f"{system.gateways[gateway].url}/agents/{system.agents.namespace}/{name}/api/a2a"


async def asked(system: System, name: str, method: str, params: dict[str, Any], *, gateway: int = 0) -> Any:
    async with httpx.AsyncClient(timeout=60) as client:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = await client.post(base(system, name, gateway=gateway), json=body, headers=VERSION)
    return answer.json()


def message(text: str) -> dict[str, Any]:
    return {"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": text}]}}


def sent_to(got: Got) -> Response:
    return 200, {"content-type": "text/plain"}, b"done: " + json.loads(got.body)["text"].encode()


async def test_an_unchanged_container_s_answer_finds_its_task(system: System, container: Container) -> None:
    container.answer = sent_to
    system.agents.make("works", url=container.url, a2a={"skills": [SKILL]}, enabled=True)
    await system.agents.eventing_ready("works")
    answer = await asked(system, "works", "SendMessage", message("hello"))
    task = answer["result"]["task"]
    assert task["status"]["state"] == "TASK_STATE_COMPLETED", task
    assert task["artifacts"][0]["parts"][0]["text"] == "done: hello"
    got = container.got[0]
    assert (got.headers["ce-type"], got.headers["ce-a2ataskid"]) == ("io.knative.lambda.invoke.async", task["id"])
    assert (got.headers["ce-id"], got.headers["ce-attempt"]) == (f"{task['id']}-1", "1")
    elsewhere = await asked(system, "works", "GetTask", {"id": task["id"]}, gateway=1)
    assert elsewhere["result"]["artifacts"] == task["artifacts"]


async def test_a_direct_call_of_an_async_skill_is_a_task_to_look_at(system: System, container: Container) -> None:
    container.answer = lambda got: (200, {"content-type": "text/plain"}, b"got " + got.body)
    system.agents.make("direct", url=container.url, a2a={"skills": [SKILL]}, enabled=True)
    await system.agents.eventing_ready("direct")
    async with httpx.AsyncClient(timeout=30) as client:
        url = f"{base(system, 'direct')}/skills/work"
        answer = await client.post(url, content=b"plain", headers={"content-type": "text/plain"})
        assert answer.status_code == 202
        where = answer.headers["location"]

        async def completed() -> Any:
            task = (await client.get(where, headers=VERSION)).json()
            state = task["status"]["state"].removeprefix("TASK_STATE_")
            assert state in ("SUBMITTED", "WORKING", "COMPLETED"), task
            return task if state == "COMPLETED" else None

        task = await eventually(completed)
    assert task["artifacts"][0]["parts"][0]["text"] == "got plain"
    assert (container.got[0].body, container.got[0].headers["content-type"]) == (b"plain", "text/plain")


async def test_an_answer_that_comes_later_by_event_ends_the_task_and_its_stream(
    system: System, container: Container
) -> None:
    """The container takes the call with 202, and another event of its own, through K_SINK, is the answer."""
    system.agents.make("later", url=container.url, a2a={"skills": [SKILL]}, enabled=True)
    await system.agents.eventing_ready("later")
    seen: list[str] = []
    async with httpx.AsyncClient(timeout=60) as client:
        body = {"jsonrpc": "2.0", "id": 1, "method": "SendStreamingMessage", "params": message("hi")}
        async with client.stream("POST", base(system, "later", gateway=1), json=body, headers=VERSION) as stream:
            async for line in stream.aiter_lines():
                if not line.startswith("data:"):
                    continue
                event = json.loads(line[5:])["result"]
                seen.append(next(iter(event)))
                if len(seen) == 1:
                    task_id = event["task"]["id"]
                    await eventually(lambda: container.got)
                    for kind, id_ in (("io.test.progress", "p"), ("io.knative.lambda.response.success", "e")):
                        headers = {
                            "ce-specversion": "1.0",
                            "ce-id": id_,
                            "ce-type": kind,
                            "ce-source": "/later",
                            "ce-a2ataskid": task_id,
                            "content-type": "text/plain",
                        }
                        told = await client.post(sink(system, "later"), content=kind.encode(), headers=headers)
                        assert told.status_code == 202
    assert seen[0] == "task"
    assert seen.count("artifactUpdate") == 2


def sink(system: System, name: str) -> str:
    """Returns the K_SINK of the agent."""
    namespace = system.agents.namespace
    segment = capability.sign(parse_keys(SecretStr(KEYS)), namespace=namespace, use="from", agent=name)
    return f"{system.gateways[0].url}/events/{namespace}/from/{name}/{segment}"


async def test_an_event_opens_a_task_that_a2a_clients_can_watch(system: System, container: Container) -> None:
    container.answer = lambda got: (200, {"content-type": "application/json"}, b'{"checked": true}')
    skill = {"id": "check", "name": "Check", "invoke": {"mode": "async", "eventType": "parcel.created"}}
    system.agents.make(
        "opens", url=container.url, a2a={"skills": [skill]}, subscriptions=[{"eventType": "parcel.created"}]
    )
    await system.agents.eventing_ready("opens")
    headers = {"ce-specversion": "1.0", "ce-id": "77", "ce-type": "parcel.created", "ce-source": "/shop"}
    async with httpx.AsyncClient(timeout=30) as client:
        url = f"{system.gateways[0].url}/events/{system.agents.namespace}"
        for _ in range(2):
            sent = await client.post(url, json={"parcel": 7}, headers=headers)
            assert (sent.status_code, sent.headers["lambdaagent-routed"]) == (202, "1")

    async def listed() -> list[Any]:
        return (await asked(system, "opens", "ListTasks", {"includeArtifacts": True}, gateway=1))["result"]["tasks"]

    for _ in range(200):
        tasks = await listed()
        if tasks and tasks[0]["status"]["state"] == "TASK_STATE_COMPLETED":
            break
    assert len(tasks) == 1
    assert tasks[0]["artifacts"][0]["parts"] == [{"data": {"checked": True}}]
    assert json.loads(container.got[0].body) == {"parcel": 7}


async def test_an_agent_that_refuses_to_the_end_fails_the_task_and_leaves_a_letter(
    system: System, container: Container
) -> None:
    container.answer = lambda _: (503, {}, b"")
    system.agents.make("refuses", url=container.url, a2a={"skills": [SKILL]}, enabled=True, delivery={"retry": 2})
    await system.agents.eventing_ready("refuses")
    answer = await asked(system, "refuses", "SendMessage", message("hello"))
    task = answer["result"]["task"]
    assert task["status"]["state"] == "TASK_STATE_FAILED", task
    assert "could not be delivered" in task["status"]["message"]["parts"][0]["text"]
    assert [got.headers["ce-attempt"] for got in container.got] == ["1", "2", "3"]
    assert system.metric('lambdaagent_dispatcher_deliveries_total{outcome="dead-lettered"}') == 1


async def test_tasks_lives_are_told_on_the_broker_where_that_is_wanted(system: System, container: Container) -> None:
    container.answer = sent_to
    system.agents.make("tells", url=container.url, a2a={"skills": [SKILL]}, enabled=True)
    kinds = [f"io.knative.lambda.lifecycle.task.{state}" for state in ("submitted", "working", "completed")]
    listener = Container()
    system.agents.make("listens", url=listener.url, subscriptions=[{"eventType": kind} for kind in kinds])
    await system.agents.eventing_ready("tells")
    await system.agents.eventing_ready("listens")
    answer = await asked(system, "tells", "SendMessage", message("hello"))
    task_id = answer["result"]["task"]["id"]
    await eventually(lambda: len(listener.got) == 3)
    assert [got.headers["ce-type"] for got in listener.got] == kinds
    last = listener.got[-1]
    assert (last.headers["ce-subject"], json.loads(last.body)["state"]) == (task_id, "TASK_STATE_COMPLETED")
    assert "ce-a2ataskid" not in last.headers
    listener.close()
