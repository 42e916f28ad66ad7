"""Calls an agent with the Python SDK 0.3 by what its card says: `authenticated.py CARD_BASE SCHEME CREDENTIAL`."""

import asyncio
import json
import sys
from uuid import uuid4

import httpx
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.client.auth import AuthInterceptor, CredentialService
from a2a.types import Message, Part, Role, TextPart


class Held(CredentialService):
    def __init__(self, scheme, credential):
        self.held = {scheme: credential}

    async def get_credentials(self, security_scheme_name, context):
        return self.held.get(security_scheme_name)


async def main(base, scheme, credential):
    async with httpx.AsyncClient(timeout=30) as http:
        headers = {"Authorization": f"Bearer {credential}"}
        card = await A2ACardResolver(http, base).get_agent_card(http_kwargs={"headers": headers})
        factory = ClientFactory(ClientConfig(httpx_client=http, streaming=False))
        client = factory.create(card, interceptors=[AuthInterceptor(Held(scheme, credential))])
        sent = Message(message_id=str(uuid4()), role=Role.user, parts=[Part(root=TextPart(text="hello"))])
        task, _ = [answer async for answer in client.send_message(sent)][-1]
        return {"schemes": sorted(card.security_schemes), "state": task.status.state.value, "task": task.id}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
