"""Calls to an agent that is starting, is up, or will not come up."""

import asyncio

import pytest

from lambdaagent.dev.start_gate import Gate, PatientClient
from lambdaagent.httpclient.errors import ConnectError, UpstreamTimeoutError
from lambdaagent.httpclient.pool import PoolLimits
from lambdaagent.httpclient.wire import Target

TARGET = Target.parse("http://127.0.0.1:1")


async def waiting(gate: Gate, *, within: float = 60.0) -> "asyncio.Task[None]":
    """Starts a call that waits at the gate."""
    task = asyncio.create_task(gate.passed(within=within))
    await asyncio.sleep(0)
    return task


async def test_a_call_waits_until_the_agent_takes_connections() -> None:
    gate = Gate()
    call = await waiting(gate)
    assert not call.done()
    gate.opened()
    await call
    await gate.passed(within=0.001)


async def test_calls_fail_with_the_cause_when_the_agent_does_not_come_up() -> None:
    gate = Gate()
    call = await waiting(gate)
    gate.broken("its process ended")
    with pytest.raises(ConnectError, match="its process ended"):
        await call
    with pytest.raises(ConnectError, match="its process ended"):
        await gate.passed(within=60.0)


async def test_an_agent_that_is_started_anew_is_waited_for_again() -> None:
    gate = Gate()
    for end in (gate.opened, lambda: gate.broken("x")):
        end()
        gate.starting()
        assert gate.problem == ""
        call = await waiting(gate)
        assert not call.done()
        gate.opened()
        await call


async def test_a_call_waits_no_longer_than_it_may() -> None:
    with pytest.raises(UpstreamTimeoutError, match=r"still starting after 0\.01 s"):
        await Gate().passed(within=0.01)


async def test_what_a_call_waited_is_taken_from_its_time() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    target = Target.parse(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    times = iter([100.0, 159.8])
    gate = Gate()
    client = PatientClient(limits=PoolLimits(), gates={target: gate}, monotonic=lambda: next(times))
    asyncio.get_running_loop().call_soon(gate.opened)
    with pytest.raises(UpstreamTimeoutError, match=r"0\.\d+ s"):
        await client.request(target, first_byte=60.0, total=60.0)
    await client.close()
    server.close()


async def test_another_target_is_called_without_a_gate() -> None:
    client = PatientClient(limits=PoolLimits(), gates={}, monotonic=lambda: pytest.fail("nothing was waited for"))
    with pytest.raises(ConnectError):
        await client.request(TARGET, first_byte=5.0, total=5.0)
    await client.close()
