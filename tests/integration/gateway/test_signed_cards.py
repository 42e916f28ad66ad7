"""Signed cards as clients get them: the public SDK fetches one and verifies it with the keys that the gateway shows."""

import httpx
import jwt
import pytest
from a2a.client.card_resolver import A2ACardResolver
from a2a.utils.signing import create_signature_verifier
from cryptography.hazmat.primitives.asymmetric import ed25519
from tests.parts.a2a_schemas import check_v1
from tests.parts.gateway import World, world
from tests.parts.keys import pem
from tests.parts.upstream import PlainAgent

from lambdaagent.a2a.signing import Signer
from lambdaagent.errors import UsageError
from lambdaagent.gateway import signing
from lambdaagent.settings import GatewaySettings

KEY = pem(ed25519.Ed25519PrivateKey.generate())
ECHO = "/agents/shop/echo"
CARD = "/.well-known/agent-card.json"


@pytest.mark.parametrize("version", ["1.0", ""])
@pytest.mark.parametrize("host", ["", "echo-a2a.shop.svc.cluster.local"])
async def test_the_public_sdk_verifies_what_it_fetched(container: PlainAgent, version: str, host: str) -> None:
    async with world(card_signer=Signer.from_pem(KEY)) as gateway, httpx.AsyncClient() as http:
        gateway.agent(url=container.url)
        headers = {"A2A-Version": version} if version else {}
        headers |= {"Host": host} if host else {}
        keys = (await http.get(f"{gateway.url}/.well-known/jwks.json", headers=headers)).json()["keys"]
        asked = []

        def key(kid: str | None, jku: str | None) -> jwt.PyJWK:
            asked.append(jku)
            return next(jwt.PyJWK.from_dict(each) for each in keys if each["kid"] == kid)

        resolver = A2ACardResolver(http, gateway.url if host else f"{gateway.url}{ECHO}")
        verify = create_signature_verifier(key, ["EdDSA"])
        card = await resolver.get_agent_card(http_kwargs={"headers": headers}, signature_verifier=verify)
        assert card.name == "echo"
        base = f"http://{host}" if host else gateway.url
        assert set(asked) == {f"{base}/.well-known/jwks.json"}


async def test_replicas_sign_differently_and_tag_alike(container: PlainAgent) -> None:
    cards = []
    for _ in range(2):
        async with world(card_signer=Signer.from_pem(KEY), public_url="https://gw.example.com") as gateway:
            gateway.agent(url=container.url)
            cards.append(await gateway.request("GET", ECHO + CARD, headers={"A2A-Version": "1.0"}))
            check_v1("AgentCard", await cards[-1].json())
            tag = cards[-1].headers["ETag"]
            again = await gateway.request("GET", ECHO + CARD, headers={"A2A-Version": "1.0", "If-None-Match": tag})
            assert again.status == 304
    assert cards[0].headers["ETag"] == cards[1].headers["ETag"]
    assert cards[0].headers["ETag"].startswith('W/"')


async def test_without_a_key_there_are_no_signatures_and_no_keys(echo: World) -> None:
    assert "signatures" not in await (await echo.request("GET", ECHO + CARD)).json()
    keys = await echo.request("GET", "/.well-known/jwks.json")
    assert (keys.status, await keys.json()) == (200, {"keys": []})


def test_a_key_that_cannot_sign_ends_the_start_and_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMBDAAGENT_CARD_SIGNING_KEY", "hush hush")
    with pytest.raises(UsageError, match="LAMBDAAGENT_CARD_SIGNING_KEY") as raised:
        signing.card_signer(GatewaySettings())
    assert "hush" not in str(raised.value)
