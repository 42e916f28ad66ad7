"""`/.well-known/ai-catalog.json`: the agents that the caller may list, and the registries of this and other gateways.

The specification has no pages but nested catalogues: a catalogue with more agents than fit ends with an entry of the
one that continues it.
"""

import orjson
from aiohttp import web

from lambdaagent import page_token
from lambdaagent.a2a import Json, well_known
from lambdaagent.coordination import ai_catalog
from lambdaagent.coordination.catalog_names import BASE
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.discovery import catalog
from lambdaagent.gateway.http import caching, urls
from lambdaagent.gateway.services import SERVICES

PAGE = 500  # agents
_SEARCH = "Finds agents by a question, and refers to other registries (Agentic Resource Discovery)"


def entry_of(request: web.Request, entry: Entry) -> Json:
    """Return the catalogue's entry of an agent."""
    names = request.app[SERVICES].config.catalog
    card_url = urls.agent(request, entry) + well_known.AGENT_CARD
    return ai_catalog.agent(entry.public, identifier=names.agent(entry.key), card_url=card_url)


def registry_url(request: web.Request) -> str:
    """Return the base of the search interface, without a slash at its end."""
    return urls.base(request) + BASE


async def serve(request: web.Request) -> web.Response:
    services = request.app[SERVICES]
    services.directory.require_listed()
    config = services.config
    after = catalog.page_key(request.query.get("pageToken"))
    found, last = await catalog.page(request, lambda each: each.discoverable, size=PAGE, after=after)
    entries = [] if after is not None else _registries(request)
    entries += [entry_of(request, each) for each in found]
    if last is not None:
        url = f"{urls.base(request)}{well_known.AI_CATALOG}?pageToken={page_token.of_agent(last)}"
        entries.append(ai_catalog.rest(config.catalog.rest(last), url))
    body = orjson.dumps(ai_catalog.document(entries, publisher=config.catalog.publisher))
    return caching.validated(request, body, content_type=ai_catalog.MEDIA_TYPE)


def _registries(request: web.Request) -> list[Json]:
    config = request.app[SERVICES].config
    own = config.catalog.registry, registry_url(request) + "/"
    others = [
        ai_catalog.registry(config.catalog.peer(url), f"{url}/", name=url.partition("://")[2]) for url in config.peers
    ]
    return [ai_catalog.registry(*own, name="Agents of this gateway", description=_SEARCH), *others]
