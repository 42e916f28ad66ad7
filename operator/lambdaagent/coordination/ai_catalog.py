"""The AI Catalog of a gateway (specification 1.0): its agents, its search interface and those of other gateways.

An entry is an ARD entry too (ARD 0.9), so it has `displayName`, which the AI Catalog leaves optional. It refers to the
agent's card instead of containing it.
"""

from collections.abc import Sequence

from lambdaagent.a2a import Json, cards
from lambdaagent.api.agent import LambdaAgent

MEDIA_TYPE = "application/ai-catalog+json"
REGISTRY_TYPE = "application/ai-registry+json"
CARD_TYPE = "application/a2a-agent-card+json"
_VERSION = "1.0"
_DESCRIPTION = 1_000  # characters
_FEWEST_QUERIES, _MOST_QUERIES, _QUERY = 2, 5, 200  # of the specification; characters of one


def agent(public: LambdaAgent, *, identifier: str, card_url: str) -> Json:
    """Return the entry of an agent. `public` is the agent without its private skills."""
    skills = public.spec.a2a.skills if public.spec.a2a is not None else []
    examples = (example for skill in skills for example in skill.examples if len(example) <= _QUERY)
    queries = list(dict.fromkeys(examples))[:_MOST_QUERIES]
    found: Json = {
        "identifier": identifier,
        "displayName": public.name,
        "type": CARD_TYPE,
        "url": card_url,
        "description": cards.description(public)[:_DESCRIPTION],
        "tags": sorted({tag for skill in skills for tag in skill.tags}),
        "capabilities": [skill.id for skill in skills],
    }
    # The schema refuses a list with less than two.
    return found | ({"representativeQueries": queries} if len(queries) >= _FEWEST_QUERIES else {})


def registry(identifier: str, url: str, *, name: str, description: str = "") -> Json:
    """Return the entry of a registry, with its base as `url`, or a referral to one, with the route of its search."""
    found: Json = {"identifier": identifier, "displayName": name, "type": REGISTRY_TYPE, "url": url}
    return found | ({"description": description} if description else {})


def rest(identifier: str, url: str) -> Json:
    """Return the entry of the catalogue that continues this one."""
    return {"identifier": identifier, "displayName": "More agents", "type": MEDIA_TYPE, "url": url}


def document(entries: Sequence[Json], *, publisher: str) -> Json:
    host: Json = {"displayName": publisher or "LambdaAgent gateway"}
    if publisher:
        host["identifier"] = publisher
    return {"specVersion": _VERSION, "host": host, "entries": list(entries)}
