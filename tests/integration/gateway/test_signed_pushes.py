"""Signed push notifications as a receiver checks them: PyJWT, and the keys that the gateway shows."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from tests.parts.gateway import World, message, world
from tests.parts.http_servers import serving
from tests.parts.keys import pem
from tests.parts.upstream import PlainAgent

from lambdaagent import clock as clocks
from lambdaagent.a2a.signing import Signer
from lambdaagent.errors import UsageError
from lambdaagent.gateway.signing import push_signer
from lambdaagent.settings import GatewaySettings
from lambdaagent.webhooks.push_signature import PushSigner

PUBLIC = "https://gateway.example.com"
KEYS = [
    pytest.param(pem(ec.generate_private_key(ec.SECP256R1())), id="ES256"),
    pytest.param(pem(ed25519.Ed25519PrivateKey.generate()), id="EdDSA"),
    pytest.param(pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)), id="RS256"),
]


@dataclass
class Receiver:
    url: str = ""
    refuse: int = 0  # so many posts, to begin with
    got: asyncio.Queue[tuple[Any, bytes]] = field(default_factory=asyncio.Queue)

    async def hook(self, request: web.Request) -> web.Response:
        self.got.put_nowait((request.headers.copy(), await request.read()))
        self.refuse -= 1
        return web.Response(status=503 if self.refuse >= 0 else 204)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver, app = Receiver(), web.Application()
    app.router.add_post("/hook", receiver.hook)
    async with serving(app) as url:
        receiver.url = f"{url}/hook"
        yield receiver


@asynccontextmanager
async def signing(key: str, container: PlainAgent) -> AsyncIterator[World]:
    signer = Signer.from_pem(key)
    async with world(card_signer=signer, push_signer=PushSigner(signer, PUBLIC, clocks.system())) as gateway:
        gateway.agent(url=container.url)
        yield gateway


async def verified(gateway: World, token: str, *, audience: str) -> Any:
    keys = (await (await gateway.request("GET", "/.well-known/jwks.json")).json())["keys"]
    head = jwt.get_unverified_header(token)
    key = next(jwt.PyJWK.from_dict(each) for each in keys if each["kid"] == head["kid"])
    required = ["iss", "aud", "iat", "exp", "jti"]
    return jwt.decode(
        token, key, algorithms=[head["alg"]], audience=audience, issuer=PUBLIC, options={"require": required}
    )


async def send(gateway: World, config: dict[str, Any]) -> str:
    params = {"message": message(), "configuration": {"taskPushNotificationConfig": config}}
    answer = await gateway.rpc("SendMessage", params)
    return str(answer["result"]["task"]["id"])


@pytest.mark.parametrize("key", KEYS)
async def test_a_receiver_verifies_sender_target_task_and_body(key: str, container: PlainAgent) -> None:
    async with signing(key, container) as gateway, receiving() as receiver:
        task = await send(gateway, {"url": receiver.url})
        async with asyncio.timeout(10):
            headers, body = await receiver.got.get()
        token = headers["X-A2A-Notification-Signature"]
        assert headers["Authorization"] == f"Bearer {token}"
        claims = await verified(gateway, token, audience=receiver.url)
        assert claims["taskId"] == task
        assert claims["request_body_sha256"] == hashlib.sha256(body).hexdigest()
        with pytest.raises(jwt.InvalidAudienceError):
            await verified(gateway, token, audience="https://elsewhere.example")


async def test_the_clients_own_credentials_stay_where_they_belong(container: PlainAgent) -> None:
    async with signing(pem(ed25519.Ed25519PrivateKey.generate()), container) as gateway, receiving() as receiver:
        await send(gateway, {"url": receiver.url, "authentication": {"scheme": "Basic", "credentials": "YTpi"}})
        async with asyncio.timeout(10):
            headers, _ = await receiver.got.get()
        assert headers["Authorization"] == "Basic YTpi"
        await verified(gateway, headers["X-A2A-Notification-Signature"], audience=receiver.url)


async def test_what_is_posted_again_has_an_id_of_its_own(container: PlainAgent) -> None:
    async with signing(pem(ed25519.Ed25519PrivateKey.generate()), container) as gateway, receiving() as receiver:
        receiver.refuse = 1
        await send(gateway, {"url": receiver.url})
        async with asyncio.timeout(20):
            posts = [await receiver.got.get() for _ in range(2)]
        assert posts[0][1] == posts[1][1]
        claims = [
            await verified(gateway, headers["X-A2A-Notification-Signature"], audience=receiver.url)
            for headers, _ in posts
        ]
        assert claims[0]["jti"] != claims[1]["jti"]


async def test_without_the_setting_nothing_is_signed(echo: World) -> None:
    async with receiving() as receiver:
        await send(echo, {"url": receiver.url})
        async with asyncio.timeout(10):
            headers, _ = await receiver.got.get()
        assert not {"Authorization", "X-A2A-Notification-Signature"} & set(headers)


@pytest.mark.parametrize("given", [{}, {"LAMBDAAGENT_PUBLIC_URL": PUBLIC}])
def test_signing_needs_a_key_and_a_public_url(given: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LAMBDAAGENT_SIGN_PUSHES": "true", **given}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match="LAMBDAAGENT_SIGN_PUSHES needs"):
        push_signer(GatewaySettings(), None, clocks.system())
