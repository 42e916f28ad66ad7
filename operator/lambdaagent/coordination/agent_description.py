"""The card of an agent in the form of requirement 001, made from its 1.0 card, which it contains as `agentCard`."""

from lambdaagent.a2a import Json, extension_methods, jsonrpc
from lambdaagent.a2a.operations import Operation
from lambdaagent.coordination import negotiation


def describe(card: Json, *, agent_id: str, ready: bool) -> Json:
    """Return the description. `card` is the 1.0 card as the caller may see it."""
    offers = negotiation.offers(card)
    features = [name for name, value in card["capabilities"].items() if value is True]
    return {
        "name": card["name"],
        "description": card["description"],
        "version": card["version"],
        "capabilities": {
            "methods": [*_methods(card, {each.protocol for each in offers}), *extension_methods.declared(card)],
            "protocols": list(dict.fromkeys(each.protocol for each in offers)),
            "features": sorted(features),
        },
        "endpoint": offers[0].url,
        "metadata": {
            "agent_id": agent_id,
            "status": "active" if ready else "inactive",
            "skills": [skill["id"] for skill in card["skills"]],
            "tags": sorted({tag for skill in card["skills"] for tag in skill["tags"]}),
        },
        "agentCard": card,
    }


def _methods(card: Json, protocols: set[str]) -> list[str]:
    """Return A2A's methods that the agent answers with more than an error."""
    offered = card["capabilities"]
    return [
        name
        for name, (version, operation) in jsonrpc.METHODS.items()
        if f"a2a/{version}" in protocols
        and (offered.get("streaming") or not operation.streamed)
        and (offered.get("pushNotifications") or not operation.push)
        and (offered.get("extendedAgentCard") or operation is not Operation.EXTENDED_CARD)
    ]
