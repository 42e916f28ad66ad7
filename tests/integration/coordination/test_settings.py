"""Each setting of agents that work together does what its name says, from the environment to the answer."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.integration.coordination.test_messages import call, envelope
from tests.parts.access import guarded, of
from tests.parts.gateway import world
from tests.parts.http_servers import serving
from tests.parts.issuer import Issuer
from tests.parts.polling import eventually

from lambdaagent import clock as clocks
from lambdaagent.cli.processes import read_settings
from lambdaagent.errors import UsageError
from lambdaagent.gateway.config import GatewayConfig, from_settings
from lambdaagent.settings import GatewaySettings, OperatorSettings

MANY = {"requestsPerMinute": 600}


def configured(monkeypatch: pytest.MonkeyPatch, **variables: str) -> dict[str, Any]:
    """Returns what a gateway takes of these variables, for `world`."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found: GatewayConfig = from_settings(read_settings(GatewaySettings), clocks.system())
    return {"coordination": found.coordination, "caller_rate": found.caller_rate}


async def test_contexts_have_a_size_and_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"LAMBDAAGENT_MAX_CONTEXT_SIZE": "200", "LAMBDAAGENT_CONTEXT_TTL": "77"}
    async with world(**configured(monkeypatch, **given)) as gateway:
        _, made = await call(gateway, "POST", "/a2a/context", {"id": "small", "data": {"x": "y" * 150}})
        assert made["ttl_seconds"] == 77
        status, problem = await call(gateway, "PATCH", "/a2a/context/small", {"z": "y" * 60})
        assert (status, "of at most 200" in problem["detail"]) == (413, True)


async def test_a_queue_has_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(**configured(monkeypatch, LAMBDAAGENT_MESSAGE_QUEUE_SIZE="4")) as gateway:
        for name in ("ann", "laptop"):
            await call(gateway, "POST", "/a2a/register", {"agent_id": name})
        sent = [(await call(gateway, "POST", "/a2a/message", envelope("laptop")))[0] for _ in range(3)]
        assert sent == [202, 202, 429]


async def test_a_receiver_has_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def respond(_: web.Request) -> web.Response:
        await asyncio.sleep(10)
        return web.Response()

    application = web.Application()
    application.router.add_route("*", "/{any:.*}", respond)
    async with world(**configured(monkeypatch, A2A_TRANSPORT_TIMEOUT="1000")) as gateway, serving(application) as url:
        await call(gateway, "POST", "/a2a/register", {"agent_id": "ann"})
        await call(gateway, "POST", "/a2a/register", {"agent_id": "slow", "endpoint_url": url, "protocol": "http"})
        _, receipt = await call(gateway, "POST", "/a2a/message", envelope("slow"))

        async def tried() -> bool:
            _, state = await call(gateway, "GET", f"/a2a/messages/{receipt['message_id']}")
            return "cannot be reached" in state["receivers"][0].get("error", "")

        await eventually(tried, what="the end of the first attempt", within=8)


async def test_a_card_is_fetched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def respond(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=404)

    application = web.Application()
    application.router.add_route("*", "/{any:.*}", respond)
    async with world(**configured(monkeypatch, A2A_DISCOVERY_INTERVAL="1000")) as gateway, serving(application) as url:
        await call(gateway, "POST", "/a2a/register", {"agent_id": "x", "endpoint_url": url, "protocol": "a2a"})
        first = len(asked)

        async def again() -> bool:
            return len(asked) > first

        await eventually(again, what="the next request for the card", within=15)


@pytest.mark.parametrize(("limits", "expected"), [({}, [200, 200, 429]), ({"perPrincipal": MANY}, [200, 200, 200])])
async def test_a_caller_has_a_rate_unless_the_access_file_says_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, issuer: Issuer, limits: Any, expected: list[int]
) -> None:
    file = {"issuers": [issuer.configured()], "limits": limits, "audit": {"sink": "none"}}
    given = configured(monkeypatch, LAMBDAAGENT_RATE_LIMIT="12")
    async with guarded(tmp_path / "access.yaml", file, **given) as gateway:
        alice, bob = of(issuer), of(issuer, "bob")
        statuses = [(await call(gateway, "GET", "/a2a/discover", **alice))[0] for _ in range(3)]
        assert statuses == expected
        assert (await call(gateway, "GET", "/a2a/discover", **bob))[0] == 200


@pytest.mark.parametrize("model", [GatewaySettings, OperatorSettings])
@pytest.mark.parametrize(
    ("given", "access"),
    [({"A2A_REQUIRE_AUTH": "true"}, "enforce"), ({"A2A_REQUIRE_AUTH": "false"}, "off"), ({}, "enforce")],
)
def test_access_may_be_set_by_its_other_name(
    monkeypatch: pytest.MonkeyPatch, model: type[GatewaySettings], given: dict[str, str], access: str
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    found = model()
    assert (found.access, "access" in found.model_fields_set) == (access, bool(given))
    monkeypatch.setenv("LAMBDAAGENT_ACCESS", "audit")
    assert model().access == "audit"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("A2A_REQUIRE_AUTH", "perhaps"),
        ("A2A_DISCOVERY_INTERVAL", "soon"),
        ("A2A_TRANSPORT_TIMEOUT", "60000"),
        ("LAMBDAAGENT_TRANSPORT_TIMEOUT", "0"),
        ("LAMBDAAGENT_MAX_CONTEXT_SIZE", "1"),
        ("LAMBDAAGENT_RATE_LIMIT", "-1"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_that_was_set(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=name):
        read_settings(GatewaySettings)


def test_a_gateway_without_them_has_the_documented_limits() -> None:
    found = from_settings(GatewaySettings(), clocks.system())
    assert (found.coordination, found.caller_rate) == (GatewayConfig().coordination, None)
