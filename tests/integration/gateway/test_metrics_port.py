"""Probes and metrics on a port of their own, and on no other."""

import aiohttp
import pytest
from tests.parts.gateway import served
from tests.parts.process import free_port

from lambdaagent.errors import UsageError

OBSERVED = ("/healthz", "/readyz", "/metrics")


async def status(port: int | None, path: str, method: str = "GET") -> int:
    async with aiohttp.ClientSession() as session, session.request(method, f"http://127.0.0.1:{port}{path}") as found:
        return found.status


async def test_each_port_serves_its_own_rows() -> None:
    async with served(metrics_port=0) as gateway:
        assert gateway.ports.metrics not in (None, gateway.port)
        for path in OBSERVED:
            for method in ("GET", "HEAD"):
                assert await status(gateway.ports.metrics, path, method) == 200
                assert await status(gateway.port, path, method) == 404
        for path in ("/agents", "/openapi.json", "/.well-known/jwks.json", "/agents/shop/echo/api/a2a", "/events/shop"):
            assert await status(gateway.ports.metrics, path) == 404
        assert await status(gateway.port, "/agents") == 200


async def test_the_document_names_what_its_port_serves() -> None:
    for own, metrics_port in ((True, 0), (False, None)):
        async with (
            served(metrics_port=metrics_port) as gateway,
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{gateway.port}/openapi.json") as found,
        ):
            paths = (await found.json())["paths"]
            assert [path in paths for path in OBSERVED] == [not own] * 3
            assert "/agents" in paths


async def test_without_one_the_same_port_serves_them() -> None:
    async with served() as gateway:
        assert gateway.ports.metrics is None
        for path in OBSERVED:
            assert await status(gateway.port, path) == 200


async def test_a_gateway_that_is_not_ready_says_why_there() -> None:
    async with (
        served(metrics_port=0, ready=lambda: "the agents are not listed yet") as gateway,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{gateway.ports.metrics}/readyz") as found,
    ):
        assert found.status == 503
        assert "not listed yet" in (await found.json())["detail"]


async def test_requests_of_the_other_port_are_counted() -> None:
    async with served(metrics_port=0) as gateway:
        await status(gateway.port, "/agents")
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{gateway.ports.metrics}/metrics") as found,
        ):
            assert 'requests_total{code="200",route="agents"} 1.0' in await found.text()


async def test_a_port_that_is_taken_is_named_by_its_setting() -> None:
    taken = free_port()
    async with served(metrics_port=taken):
        with pytest.raises(UsageError, match=f"{taken}.*LAMBDAAGENT_METRICS_PORT"):
            async with served(metrics_port=taken):
                pass
