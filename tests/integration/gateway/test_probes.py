from typing import Any

import pytest
from aiohttp import web
from tests.parts.gateway import World, message, world

from lambdaagent.errors import PermanentError
from lambdaagent.gateway.routes.agent_routes import AgentPaths


async def test_probes_and_metrics(echo: World) -> None:
    assert (await echo.request("GET", "/healthz")).status == 200
    assert (await echo.request("GET", "/readyz")).status == 200
    await echo.rpc("SendMessage", {"message": message()})
    text = (await (await echo.request("GET", "/metrics")).read()).decode()
    assert 'lambdaagent_gateway_requests_total{code="200",route="a2a"} 1.0' in text
    assert 'lambdaagent_tasks_settled_total{state="completed"} 1.0' in text


async def test_a_gateway_that_is_not_ready_says_why() -> None:
    async with world(ready=lambda: "the agents are not listed yet") as gateway:
        response = await gateway.request("GET", "/readyz")
        assert response.status == 503
        assert "not listed yet" in (await response.json())["detail"]


async def test_paths_never_become_labels(gateway: World) -> None:
    for n in range(50):
        assert (await gateway.request("GET", f"/random/{n}")).status == 404
        assert (await gateway.request("GET", f"/agents/shop/a{n}/x")).status == 404
    text = (await (await gateway.request("GET", "/metrics")).read()).decode()
    assert len([line for line in text.splitlines() if line.startswith("lambdaagent_gateway_requests_total")]) < 5


async def test_a_crash_is_a_500_with_an_id_and_no_traceback_and_the_gateway_goes_on(
    echo: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*args: Any) -> None:
        raise RuntimeError("secret inside")

    monkeypatch.setattr(echo.directory, "after", crash)
    response = await echo.request("GET", "/agents", headers={"X-Request-Id": "find-me"})
    problem = await response.json()
    assert (response.status, problem["requestId"]) == (500, "find-me")
    assert "secret" not in str(problem)
    assert (await echo.request("GET", "/healthz")).status == 200


async def test_errors_of_ours_are_told_by_their_kind(echo: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> None:
        raise PermanentError("there is no such exchange")

    monkeypatch.setattr(echo.directory, "after", fail)
    response = await echo.request("GET", "/agents")
    assert (response.status, (await response.json())["detail"]) == (
        500,
        "The request cannot be served: there is no such exchange.",
    )


def test_the_agents_paths_are_a_resource_like_the_frameworks_own() -> None:
    async def handler(request: web.Request) -> web.Response:
        raise AssertionError

    paths = AgentPaths(handler)
    assert str(paths.url_for(namespace="shop", name="echo")) == "/agents/shop/echo/"
    assert (len(paths), len(list(paths)), paths.get_info()["path"]) == (1, 1, "/agents")
    assert paths.raw_match("/agents/*")
    with pytest.raises(NotImplementedError):
        paths.add_prefix("/x")
