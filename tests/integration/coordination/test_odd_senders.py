"""What callers and agents send that no polite one would: stray fields, names of others, answers in pieces."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from tests.integration.coordination.test_messages import call, envelope, mailbox, registered
from tests.parts.gateway import World, world
from tests.parts.http_servers import serving


@pytest.fixture
async def gateway() -> AsyncIterator[World]:
    async with world() as found:
        yield found


async def test_an_answer_that_arrives_in_pieces_is_an_answer(gateway: World) -> None:
    async def slowly(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for piece in (b'{"choice":', b'"yes"}'):
            await response.write(piece)
            await asyncio.sleep(0.1)
        return response

    app = web.Application()
    app.router.add_post("/", slowly)
    async with serving(app) as url:
        body = {"agent_id": "slow", "endpoint_url": url, "protocol": "http"}
        assert (await call(gateway, "POST", "/a2a/register", body))[0] == 201
        await registered(gateway, "ann")
        await call(gateway, "POST", "/a2a/message", envelope("slow", "Go?"))
        [answer] = await mailbox(gateway, "ann", wait=20)
    assert "yes" in str(answer["content"])


@pytest.mark.parametrize("agent_id", ["run_12345678", "wf-review"])
async def test_nobody_registers_the_id_of_a_run_or_a_workflow(gateway: World, agent_id: str) -> None:
    status, problem = await call(gateway, "POST", "/a2a/register", {"agent_id": agent_id})
    assert (status, problem["type"]) == (409, "urn:lambdaagent:problem:agent-id-taken")


async def test_a_body_of_stray_fields_is_refused_at_once(gateway: World) -> None:
    body = envelope() | {f"f{number}": 1 for number in range(10_000)}
    status, problem = await call(gateway, "POST", "/a2a/message", body)
    assert (status, "fields; known are" in problem["detail"]) == (400, True)
