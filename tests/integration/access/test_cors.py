"""Pages of other sites: only origins of the access file get CORS headers, and a preflight tells nothing of agents."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.parts.access import guarded, of, write
from tests.parts.gateway import Answer, World, skill, world
from tests.parts.issuer import Issuer
from tests.parts.polling import eventually

from lambdaagent.gateway.access import loading

PAGE, OTHER = "https://app.example", "https://evil.example"
CORS = {"origins": [PAGE, "http://localhost:3000"], "headers": ["X-Tenant"], "maxAge": 60}


@pytest.fixture
async def gateway(tmp_path: Path, issuer: Issuer) -> AsyncIterator[World]:
    file = {"issuers": [issuer.configured()], "audit": {"sink": "none"}, "cors": CORS}
    async with guarded(tmp_path / "access.yaml", file) as made:
        made.agent(url=None, access={"grants": [{"principals": ["corp:alice"]}]})
        yield made


def cors_of(answer: Answer) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.headers.items() if name.lower().startswith("access-control")}


async def preflight(gateway: World, path: str, *, origin: str = PAGE, method: str = "POST", **headers: str) -> Answer:
    asked = {"Origin": origin, "Access-Control-Request-Method": method, **headers}
    return await gateway.request("OPTIONS", path, headers=asked)


async def test_a_preflight_is_answered_without_a_credential(gateway: World) -> None:
    answer = await preflight(gateway, "/agents/shop/echo/api/a2a")
    found = cors_of(answer)
    assert (answer.status, answer.body) == (204, b"")
    assert found["access-control-allow-origin"] == PAGE
    assert found["access-control-allow-methods"] == "POST"
    assert found["access-control-max-age"] == "60"
    allowed = found["access-control-allow-headers"].split(", ")
    assert {"Authorization", "Content-Type", "A2A-Version", "X-API-Key", "X-Tenant"} <= set(allowed)
    assert "access-control-allow-credentials" not in found
    assert "Origin" in answer.headers["Vary"]


async def test_it_tells_nothing_of_agents(gateway: World) -> None:
    gateway.agent("hidden", url=None)
    answers = [
        await preflight(gateway, f"/agents/shop/{name}/api/a2a", method=method)
        for name in ("echo", "hidden", "absent")
        for method in ("GET", "POST", "DELETE")
    ]
    assert {answer.status for answer in answers} == {204}
    by_method = {cors_of(answer)["access-control-allow-methods"] for answer in answers}
    assert by_method == {"GET", "POST", "DELETE"}
    heads = {
        tuple(sorted((k, v) for k, v in a.headers.items() if k.lower() not in ("date", "x-request-id")))
        for a in answers
    }
    assert len(heads) == 3  # one for each method


@pytest.mark.parametrize(
    ("path", "method", "served"),
    [
        ("/agents", "GET", True),
        ("/events/shop", "POST", True),
        ("/events/shop", "GET", False),
        ("/agents", "DELETE", False),
        ("/agents", "PUT", False),
        ("/agents/shop/echo/api/a2a", "PATCH", False),
        ("/nowhere", "GET", False),
        ("/", "POST", False),
    ],
)
async def test_only_what_is_served_has_one(gateway: World, path: str, method: str, served: bool) -> None:
    answer = await preflight(gateway, path, method=method)
    assert (answer.status == 204) is served
    assert ("access-control-allow-methods" in cors_of(answer)) is served


async def test_the_host_of_an_agent_has_one_whether_it_exists_or_not(gateway: World) -> None:
    for host in ("echo-a2a.shop", "absent-a2a.shop"):
        assert (await preflight(gateway, "/api/a2a", Host=host)).status == 204


@pytest.mark.parametrize(
    "origin",
    [
        OTHER, "null", "", "https://app.example.evil", "http://app.example", "https://app.example:8443",
        "HTTPS://APP.EXAMPLE", "https://app.example/", "http://localhost", "*",
    ],
)  # fmt: skip
async def test_another_origin_gets_no_header(gateway: World, issuer: Issuer, origin: str) -> None:
    asked = await preflight(gateway, "/agents/shop/echo/api/a2a", origin=origin)
    assert asked.status in (401, 404, 405)
    served = await gateway.request("GET", "/agents", headers={"Origin": origin, **of(issuer)})
    assert served.status == 200
    for answer in (asked, served):
        assert cors_of(answer) == {}
        assert "Origin" in answer.headers["Vary"]


async def test_every_answer_to_a_page_can_be_read(gateway: World, issuer: Issuer) -> None:
    path = "/agents/shop/echo/.well-known/agent-card.json"
    for headers, status in ((of(issuer), 200), ({}, 401), (of(issuer, "eve"), 404)):
        answer = await gateway.request("GET", path, headers={"Origin": PAGE, **headers})
        assert answer.status == status
        assert cors_of(answer)["access-control-allow-origin"] == PAGE
        shown = cors_of(answer)["access-control-expose-headers"].split(", ")
        assert {"WWW-Authenticate", "Retry-After", "RateLimit", "LambdaAgent-Routed"} <= set(shown)
    card = await gateway.request("GET", path, headers={"Origin": PAGE, **of(issuer)})
    assert [part.strip() for part in card.headers["Vary"].split(",")].count("Origin") == 1
    assert "Authorization" in card.headers["Vary"]


async def test_a_stream_can_be_read_too(gateway: World, issuer: Issuer) -> None:
    sent = {"Origin": PAGE, "Accept": "text/event-stream", **of(issuer)}
    async with gateway.session.get(f"{gateway.url}/agents", headers=sent) as response:
        assert response.content_type == "text/event-stream"
        assert response.headers["Access-Control-Allow-Origin"] == PAGE


async def test_an_origin_opens_nothing(gateway: World) -> None:
    answer = await gateway.request("POST", "/agents/shop/echo/api/a2a", json={}, headers={"Origin": PAGE})
    assert answer.status == 401


async def test_options_that_is_no_preflight_is_none(gateway: World) -> None:
    for headers in ({"Origin": PAGE}, {"Access-Control-Request-Method": "GET"}):
        answer = await gateway.request("OPTIONS", "/agents", headers=headers)
        assert answer.status == 405


async def test_preflights_count_as_requests_of_their_address(tmp_path: Path) -> None:
    file = {"cors": CORS, "audit": {"sink": "none"}, "limits": {"perPeer": {"requestsPerMinute": 1, "burst": 2}}}
    async with guarded(tmp_path / "access.yaml", file) as gateway:
        statuses = [(await preflight(gateway, "/agents", method="GET")).status for _ in range(3)]
        assert statuses == [204, 204, 429]


async def test_without_origins_there_is_no_header(tmp_path: Path) -> None:
    async with guarded(tmp_path / "access.yaml", {"audit": {"sink": "none"}}) as gateway:
        answer = await gateway.request("GET", "/openapi.json", headers={"Origin": PAGE})
        assert cors_of(answer) == {}
        assert "Vary" not in answer.headers


async def test_a_changed_file_counts_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "EVERY", 0.02)
    file, off = tmp_path / "access.yaml", {"audit": {"sink": "none"}}
    async with guarded(file, {**off, "cors": CORS}) as gateway:
        assert (await preflight(gateway, "/agents", method="GET")).status == 204
        write(file, off)
        await eventually(lambda: not gateway.guard.cors.allowed)
        assert (await preflight(gateway, "/agents", method="GET")).status != 204


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1:5173", "http://[::1]:80"])
async def test_a_gateway_for_its_own_machine_serves_its_pages(origin: str) -> None:
    async with world(local_only=True) as gateway:
        gateway.agent(url=None, skills=[skill("say")])
        assert (await preflight(gateway, "/agents/shop/echo/api/a2a", origin=origin)).status == 204
        answer = await gateway.request("GET", "/agents", headers={"Origin": origin})
        assert cors_of(answer)["access-control-allow-origin"] == origin


@pytest.mark.parametrize("origin", [OTHER, "null", "http://echo-a2a.shop", "file://localhost"])
async def test_and_those_of_no_other(origin: str) -> None:
    async with world(local_only=True) as gateway:
        for answer in (
            await preflight(gateway, "/agents", origin=origin, method="GET"),
            await gateway.request("GET", "/agents", headers={"Origin": origin}),
        ):
            assert "access-control-allow-origin" not in cors_of(answer)


async def test_dev_serves_the_origins_of_an_access_file_too(tmp_path: Path) -> None:
    file: dict[str, Any] = {"cors": {"origins": [PAGE]}, "audit": {"sink": "none"}}
    async with guarded(tmp_path / "access.yaml", file, local_only=True) as gateway:
        answer = await gateway.request("GET", "/openapi.json", headers={"Origin": PAGE})
        assert cors_of(answer)["access-control-allow-origin"] == PAGE
        assert (await gateway.request("GET", "/openapi.json", headers={"Origin": OTHER})).status == 403
