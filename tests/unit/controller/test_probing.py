"""The prober against real HTTP servers on loopback."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import aiohttp
import pytest
from aiohttp import web
from tests.parts.http_servers import serving

from lambdaagent.controller import probing
from lambdaagent.controller.probing import Prober
from lambdaagent.status.ai import Answer

AGENT, OTHER = ("n", "a"), ("n", "b")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Handler], Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    async with AsyncExitStack() as stack:

        async def begin(handler: Handler) -> str:
            app = web.Application()
            app.add_routes([web.get("/{path:.*}", handler)])
            return await stack.enter_async_context(serving(app))

        yield begin


async def first(provider: str, url: str) -> Answer:
    woken = asyncio.Event()
    prober = Prober(60, lambda _: woken.set())
    async with prober.run():
        prober.put(AGENT, (provider, url))
        await asyncio.wait_for(woken.wait(), 10)
        found = prober.answer((provider, url))
        assert found
        return found


def answering(body: bytes, status: int = 200) -> Handler:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=body, status=status)

    return handler


async def test_models_are_read_from_what_each_provider_lists(serve: Serve) -> None:
    url = await serve(answering(json.dumps({"models": [{"name": "llama3.2:3b"}, {"odd": 1}, 7]}).encode()))
    assert await first("ollama", url) == Answer(200, frozenset({"llama3.2:3b"}))
    url = await serve(answering(json.dumps({"data": [{"id": "gpt"}]}).encode()))
    assert await first("openai", url) == Answer(200, frozenset({"gpt"}))


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"3", b'{"models": 3}', b'{"models": null}', b""])
async def test_an_answer_of_another_kind_is_an_answer(serve: Serve, body: bytes) -> None:
    assert await first("ollama", await serve(answering(body))) == Answer(200, None)


async def test_redirects_are_not_followed(serve: Serve) -> None:
    async def handler(_: web.Request) -> web.Response:
        raise web.HTTPFound("http://169.254.169.254/")

    assert await first("ollama", await serve(handler)) == Answer(302)


async def test_an_endless_answer_is_cut(serve: Serve) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)

    assert await first("ollama", await serve(handler)) == Answer(problem="answers with more than 1 MiB")


async def test_a_silent_endpoint_is_given_up(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "_DEADLINE", 0.2)

    async def handler(_: web.Request) -> web.Response:
        await asyncio.sleep(30)
        raise AssertionError

    assert (await first("ollama", await serve(handler))).problem.startswith("no response within")


async def test_nothing_there_and_no_such_host_say_so() -> None:
    assert (await first("ollama", "http://127.0.0.1:1/")).problem == "Connection refused"
    assert (await first("ollama", "http://nowhere.invalid/")).problem == "the host name does not resolve"


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "metadata.test"])
async def test_link_local_addresses_are_never_asked(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(*_: object) -> list[dict[str, object]]:
        entry = {"hostname": host, "host": "169.254.169.254", "port": 80, "family": 2, "proto": 0, "flags": 0}
        return [entry]

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", resolve)
    assert "is link-local" in (await first("ollama", f"http://{host}/")).problem


async def test_one_endpoint_is_asked_once_for_all_its_agents_and_no_more_when_none_is_left(serve: Serve) -> None:
    asked: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response({"models": []})

    woken: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    endpoint = ("ollama", await serve(handler) + "/api/tags")
    prober = Prober(60, woken.put_nowait)
    async with prober.run():
        prober.put(AGENT, endpoint)
        prober.put(OTHER, endpoint)
        assert {await woken.get(), await woken.get()} == {AGENT, OTHER}
        assert asked == ["/api/tags"]
        prober.put(AGENT, None)
        assert prober.answer(endpoint)
        prober.put(OTHER, None)
        assert prober.answer(endpoint) is None
        prober.put(AGENT, endpoint)
        assert await woken.get() == AGENT


async def test_an_agent_is_woken_when_the_answer_changes_and_only_then(serve: Serve) -> None:
    status, asked = 200, asyncio.Queue[int]()

    async def handler(_: web.Request) -> web.Response:
        asked.put_nowait(status)
        return web.json_response({"models": []}, status=status)

    woken: list[tuple[str, str]] = []
    prober = Prober(0.01, woken.append)
    async with prober.run():
        prober.put(AGENT, ("ollama", await serve(handler)))
        for _ in range(5):
            await asked.get()
        assert woken == [AGENT]
        status = 503
        while await asked.get() == 200:
            pass
        await asked.get()
        assert woken == [AGENT, AGENT]
