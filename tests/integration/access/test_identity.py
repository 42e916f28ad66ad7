"""What a container learns of its callers: a signed statement, and the headers that its resource names."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from tests.parts.access import bearer, guarded, of
from tests.parts.gateway import World, message
from tests.parts.issuer import Issuer, ec_key
from tests.parts.keys import pem
from tests.parts.upstream import PlainAgent

from lambdaagent.a2a.signing import Signer

SIGNER = Signer.from_pem(pem(ec_key(7)))
GRANTS = [{"principals": ["corp:alice", "agent:shop/echo"]}]
IDENTIFIED = {"grants": GRANTS, "identity": "assertion"}
HEADER = "lambdaagent-identity"


@pytest.fixture
async def gateway(tmp_path: Path, issuer: Issuer) -> AsyncIterator[World]:
    file = {"issuers": [issuer.configured()], "audit": {"sink": "none"}}
    async with guarded(tmp_path / "access.yaml", file, signer=SIGNER) as world:
        yield world


def stated(gateway: World, token: str, agent: str) -> dict[str, Any]:
    """Verifies a statement as the guide says, with the keys that the gateway serves."""
    keys = jwt.PyJWKClient(f"{gateway.url}/.well-known/jwks.json")
    claims: dict[str, Any] = jwt.decode(
        token,
        keys.get_signing_key_from_jwt(token).key,
        algorithms=["ES256"],
        issuer="lambdaagent-gateway",
        audience=f"agent:{agent}",
        leeway=30,
        options={"require": ["exp", "sub"]},
    )
    return claims


async def call(gateway: World, headers: dict[str, str], agent: str = "echo") -> int:
    path = f"/agents/shop/{agent}/api/a2a/skills/say"
    return (await gateway.request("POST", path, json={"text": "x"}, headers=headers)).status


async def test_messages_and_direct_calls_tell_who_asks(gateway: World, issuer: Issuer, container: PlainAgent) -> None:
    gateway.agent(url=container.url, access=IDENTIFIED)
    await gateway.rpc("SendMessage", {"message": message()}, **of(issuer))
    assert await call(gateway, of(issuer)) == 200
    for seen in container.seen:
        claims = await asyncio.to_thread(stated, gateway, seen.headers[HEADER], "shop/echo")
        assert (claims["sub"], claims["exp"] - claims["iat"], "act" in claims) == ("corp:alice", 60, False)
        assert "authorization" not in seen.headers
    assert len(container.seen) == 2


async def test_an_agent_presents_its_statement_to_call_another(
    gateway: World, issuer: Issuer, container: PlainAgent
) -> None:
    for name in ("echo", "next"):
        gateway.agent(name, url=container.url, access={"grants": GRANTS, "identity": "assertion"})
    assert await call(gateway, of(issuer)) == 200
    first = container.seen[-1].headers[HEADER]
    path = "/agents/shop/next/api/a2a"
    task = (await gateway.rpc("SendMessage", {"message": message()}, path=path, **bearer(first)))["result"]["task"]
    stored = await gateway.store.get(task["id"])
    assert stored is not None
    assert stored.owner == "agent:shop/echo"
    second = jwt.decode(container.seen[-1].headers[HEADER], options={"verify_signature": False})
    assert (second["aud"], second["sub"], second["act"]) == (
        "agent:shop/next",
        "corp:alice",
        {"sub": "agent:shop/echo"},
    )
    third = container.seen[-1].headers[HEADER]
    # `next` is no caller of `echo`: its grants name others.
    assert await call(gateway, bearer(third)) == 404


async def test_a_client_cannot_state_who_it_is(gateway: World, issuer: Issuer, container: PlainAgent) -> None:
    gateway.agent(url=container.url, access={"grants": GRANTS})
    forged = {**of(issuer), "LambdaAgent-Identity": "forged"}
    assert await call(gateway, forged) == 200
    await gateway.rpc("SendMessage", {"message": message()}, **forged)
    assert all(HEADER not in seen.headers for seen in container.seen)


async def test_without_a_key_nothing_is_called(tmp_path: Path, issuer: Issuer, container: PlainAgent) -> None:
    file = {"issuers": [issuer.configured()], "audit": {"sink": "none"}}
    async with guarded(tmp_path / "access.yaml", file) as world:
        world.agent(url=container.url, access=IDENTIFIED)
        assert await call(world, of(issuer)) == 503
        task = (await world.rpc("SendMessage", {"message": message()}, **of(issuer)))["result"]["task"]
        assert task["status"]["state"] == "TASK_STATE_FAILED"
        assert "LAMBDAAGENT_CARD_SIGNING_KEY" in task["status"]["message"]["parts"][0]["text"]
    assert not container.seen


async def test_only_the_headers_that_the_resource_names_are_passed_on(
    gateway: World, issuer: Issuer, container: PlainAgent
) -> None:
    gateway.agent(url=container.url, access={"grants": GRANTS}, forwardHeaders=["x-tenant", "accept"])
    headers = {**of(issuer), "X-Tenant": "blue", "X-Other": "red", "Cookie": "a=b", "Accept": "text/plain"}
    assert await call(gateway, headers) == 200
    await gateway.rpc("SendMessage", {"message": message()}, **headers)
    for seen in container.seen:
        assert seen.headers["x-tenant"] == "blue"
        assert not {"x-other", "cookie", "authorization"} & seen.headers.keys()
