"""MCP in front of agents whose containers are A2A servers: the public SDK's, of both versions."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from tests.integration.gateway.remote import relayed
from tests.parts.gateway import World, world
from tests.parts.mcp_host import FORMS, TASKS, Host, said
from tests.parts.polling import eventually
from tests.parts.sdk_agents import sdk_agent

TOOL = "shop__relayed__say"


@pytest.fixture(scope="module", params=["1.0", "0.3"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with sdk_agent(request.param) as (found, _):
        yield found


@pytest.fixture
async def gateway(url: str) -> AsyncIterator[World]:
    async with world() as found:
        relayed(found, url)
        yield found


def host(gateway: World, version: str = "2026-07-28", **capabilities: Any) -> Host:
    return Host(gateway.session, gateway.url + "/mcp", version, capabilities)


@pytest.mark.parametrize("version", ["2026-07-28", "2025-11-25"])
async def test_a_tool_calls_an_a2a_agent(gateway: World, version: str) -> None:
    result = await host(gateway, version).call(TOOL, "one two")
    assert said(result) == "onetwo"


async def test_its_failure_is_an_error_that_the_model_reads(gateway: World) -> None:
    result = await host(gateway).call(TOOL, "fail")
    assert (result["isError"], said(result)) == (True, "broken")


async def test_its_question_is_a_form_and_the_answer_reaches_the_same_task(gateway: World) -> None:
    asked = host(gateway, **FORMS)
    first = await asked.call(TOOL, "ask")
    assert first["inputRequests"]["answer"]["params"]["message"] == "which one?"
    answers = {"answer": {"action": "accept", "content": {"answer": "this one"}}}
    second = await asked.call(TOOL, "ask", inputResponses=answers, requestState=first["requestState"])
    assert said(second) == "thisone"


async def test_its_long_task_is_a_task_that_can_be_cancelled(gateway: World) -> None:
    knows = host(gateway, **TASKS)
    made = await knows.call(TOOL, "wait")
    assert made["status"] == "working"
    await knows.result("tasks/cancel", taskId=made["taskId"])

    async def ended() -> Any:
        return (await knows.result("tasks/get", taskId=made["taskId"]))["status"] != "working"

    await eventually(ended, what="the end of the task")
    assert (await knows.result("tasks/get", taskId=made["taskId"]))["status"] == "cancelled"
