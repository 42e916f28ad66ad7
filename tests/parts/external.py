"""Agent cards and agents for tests of external agents."""

from typing import Any

from tests.parts.gateway import manifest

from lambdaagent.api.external import External
from lambdaagent.external import card_reader
from lambdaagent.webhooks.address_check import not_metadata

HEADER = {"name": "X-Key", "secretKeyRef": {"name": "partner", "key": "token"}}


def external_agent(url: str, name: str = "partner", *, headers: bool = False, **a2a: Any) -> dict[str, Any]:
    """Returns the resource; with `headers`, requests have the secret header X-Key."""
    obj = manifest(name, a2a={"enabled": True, "protocol": "a2a", **a2a})
    del obj["spec"]["image"]
    obj["spec"]["external"] = {"url": url} | ({"headersFrom": [HEADER]} if headers else {})
    return obj


async def read_card(url: str) -> dict[str, Any]:
    """Returns what status keeps of the card of the server at a URL of this machine."""
    found = await card_reader.read(External(url=url), seconds=10, check=lambda _: not_metadata)
    return found.card.kept


async def known_agent(url: str, name: str = "partner", *, headers: bool = False, **a2a: Any) -> dict[str, Any]:
    """Returns the resource with the card that the operator would have read."""
    obj = external_agent(url, name, headers=headers, **a2a)
    return {**obj, "status": {"a2aStatus": {"containerCard": await read_card(url)}}}
