"""The context of log lines: the request, its trace and the task."""

import asyncio
from typing import Any

import pytest

from lambdaagent import log_context

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


async def line(**said: Any) -> dict[str, Any]:
    return dict(log_context.add(None, "info", said))


async def of_request(id_: str, traceparent: str | None, **said: Any) -> dict[str, Any]:
    log_context.request(id_, traceparent=traceparent)
    return await line(**said)


@pytest.mark.parametrize(
    ("traceparent", "trace"),
    [
        pytest.param(PARENT, {"trace": TRACE}, id="a trace"),
        pytest.param(None, {}, id="none"),
        pytest.param("00-made-up", {}, id="malformed"),
        pytest.param(PARENT.upper(), {}, id="upper case, which is malformed"),
    ],
)
async def test_a_line_has_the_requests_id_and_trace(traceparent: str | None, trace: dict[str, str]) -> None:
    assert await asyncio.create_task(of_request("r-1", traceparent)) == {"request": "r-1", **trace}


async def test_requests_side_by_side_do_not_mix() -> None:
    async def one(id_: str) -> str:
        log_context.request(id_, traceparent=None)
        await asyncio.sleep(0)
        return str((await line())["request"])

    assert await asyncio.gather(*map(one, "abc")) == ["a", "b", "c"]
    assert await line() == {}


async def test_what_a_request_began_keeps_its_id_when_it_is_over() -> None:
    async def request() -> "asyncio.Task[dict[str, Any]]":
        log_context.request("r-1", traceparent=PARENT)
        log_context.task("t-1")
        return asyncio.create_task(line())

    begun = await asyncio.create_task(request())
    assert await begun == {"request": "r-1", "trace": TRACE, "task": "t-1"}


async def test_of_several_tasks_each_is_named_while_it_lasts() -> None:
    for id_ in ("t-1", "t-2"):
        with log_context.one_task(id_):
            assert await line() == {"task": id_}
        assert await line() == {}


async def test_what_a_line_says_itself_counts() -> None:
    assert await asyncio.create_task(of_request("r-1", None, request="other")) == {"request": "other"}
