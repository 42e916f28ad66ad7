"""The public SDKs' clients get their credential into each call by the card: they know only the name of its scheme."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from a2a.client import A2ACardResolver, Client, ClientCallContext, ClientConfig, ClientFactory
from a2a.client.auth import AuthInterceptor, CredentialService
from a2a.client.errors import AgentCardResolutionError
from a2a.types import a2a_pb2 as pb
from tests.integration.clients import environments
from tests.parts.access import bearer, guarded
from tests.parts.gateway import World, skill
from tests.parts.issuer import Issuer, ec_key
from tests.parts.keys import pem
from tests.parts.upstream import PlainAgent

from lambdaagent.a2a.signing import Signer
from lambdaagent.identity import api_keys

KEY = api_keys.create("ci")
GRANTS = [{"principals": ["corp:alice", "key:ci"]}]


class Held(CredentialService):
    """The credentials of a client, by the names of schemes."""

    def __init__(self, **held: str) -> None:
        self.held = held

    async def get_credentials(self, security_scheme_name: str, context: ClientCallContext | None) -> str | None:
        return self.held.get(security_scheme_name)


@pytest.fixture
async def gateway(tmp_path: Path, issuer: Issuer, container: PlainAgent) -> AsyncIterator[World]:
    file = {
        "issuers": [issuer.configured()],
        "apiKeys": [{"id": "ci", "sha256": api_keys.hash_of(KEY)}],
        "audit": {"sink": "none"},
    }
    signer = Signer.from_pem(pem(ec_key(7)))
    async with guarded(tmp_path / "access.yaml", file, signer=signer) as world:
        skills = [skill("say"), skill("hidden")]
        world.agent(url=container.url, access={"grants": GRANTS}, skills=skills, privateSkills=["hidden"])
        yield world


async def resolved(gateway: World, http: httpx.AsyncClient, credential: dict[str, str]) -> pb.AgentCard:
    resolver = A2ACardResolver(http, f"{gateway.url}/agents/shop/echo")
    return await resolver.get_agent_card(http_kwargs={"headers": credential})


def client(http: httpx.AsyncClient, card: pb.AgentCard, **held: str) -> Client:
    factory = ClientFactory(ClientConfig(httpx_client=http, streaming=False))
    return factory.create(card, interceptors=[AuthInterceptor(Held(**held))])


def request() -> pb.SendMessageRequest:
    message = pb.Message(message_id=str(uuid4()), role=pb.Role.ROLE_USER, parts=[pb.Part(text="hello")])
    return pb.SendMessageRequest(message=message)


@pytest.mark.parametrize("scheme", ["corp", "apiKey"])
@pytest.mark.parametrize("version", ["1.0", "hybrid"])
async def test_a_client_authenticates_by_the_card(
    gateway: World, issuer: Issuer, container: PlainAgent, scheme: str, version: str
) -> None:
    credential = {"corp": issuer.token(), "apiKey": KEY}[scheme]
    said = {"A2A-Version": "1.0"} if version == "1.0" else {}
    async with httpx.AsyncClient() as http:
        card = await resolved(gateway, http, bearer(credential) | said)
        assert set(card.security_schemes) == {"corp", "apiKey"}
        using = client(http, card, **{scheme: credential})
        (answer,) = [each async for each in using.send_message(request())]
        assert answer.task.status.state == pb.TaskState.TASK_STATE_COMPLETED
        assert await using.get_task(pb.GetTaskRequest(id=answer.task.id)) == answer.task
        stored = await gateway.store.get(answer.task.id)
        assert stored is not None
        assert stored.owner == {"corp": "corp:alice", "apiKey": "key:ci"}[scheme]
        assert not {"authorization", "x-api-key"} & container.seen[0].headers.keys()


async def test_the_card_shows_how_to_get_in_and_the_extended_card_what_is_private(
    gateway: World, issuer: Issuer
) -> None:
    token = issuer.token()
    async with httpx.AsyncClient() as http:
        card = await resolved(gateway, http, bearer(token))
        found = card.security_schemes["corp"].open_id_connect_security_scheme.open_id_connect_url
        assert found == f"{issuer.url}/.well-known/openid-configuration"
        assert (await http.get(found)).json()["issuer"] == issuer.url
        assert card.capabilities.extended_agent_card
        assert [each.id for each in card.skills] == ["say"]
        extended = await client(http, card, corp=token).get_extended_agent_card(pb.GetExtendedAgentCardRequest())
        assert [each.id for each in extended.skills] == ["say", "hidden"]


async def test_without_a_credential_there_is_neither_a_card_nor_an_answer(gateway: World, issuer: Issuer) -> None:
    async with httpx.AsyncClient() as http:
        with pytest.raises(AgentCardResolutionError):
            await resolved(gateway, http, {})
        card = await resolved(gateway, http, bearer(issuer.token()))
        with pytest.raises(Exception, match="401"):
            _ = [each async for each in client(http, card).send_message(request())]


@pytest.mark.parametrize("scheme", ["corp", "apiKey"])
@pytest.mark.parametrize("language", [environments.python03, environments.javascript], ids=["python 0.3", "javascript"])
async def test_other_sdks_authenticate_by_the_card(
    gateway: World, issuer: Issuer, language: Callable[[str], list[str]], scheme: str
) -> None:
    credential = {"corp": issuer.token(), "apiKey": KEY}[scheme]
    script = "authenticated.js" if language is environments.javascript else "authenticated.py"
    command = await asyncio.to_thread(language, script)
    process = await asyncio.create_subprocess_exec(
        *command, f"{gateway.url}/agents/shop/echo", scheme, credential, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        out, _ = await process.communicate()
    found = json.loads(out)
    assert (found["schemes"], found["state"]) == (["apiKey", "corp"], "completed")
    stored = await gateway.store.get(found["task"])
    assert stored is not None
    assert stored.owner == {"corp": "corp:alice", "apiKey": "key:ci"}[scheme]
