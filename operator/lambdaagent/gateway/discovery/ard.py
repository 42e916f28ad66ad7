"""The search interface of Agentic Resource Discovery (ARD 0.9) over the agents that the caller may list.

Federation is by referral: the gateway asks no other registry, so a search costs no call and cannot go round in a
circle. The client follows the referrals that it trusts, with credentials of its own for each.
"""

import asyncio
import heapq
from collections.abc import Iterator

import orjson
from aiohttp import web

from lambdaagent import bounded_json, media_types, page_token
from lambdaagent.a2a import Json, cards
from lambdaagent.coordination import ai_catalog, ard, ard_filter
from lambdaagent.coordination.ard import BadSearchError, Position, Search
from lambdaagent.coordination.ard_filter import BadFilterError
from lambdaagent.coordination.catalog_names import BASE, BadIdentifierError
from lambdaagent.gateway.access import authorization
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.discovery import catalog
from lambdaagent.gateway.discovery.ai_catalog import entry_of, registry_url
from lambdaagent.gateway.http import bodies, caching
from lambdaagent.gateway.http.problems import ProblemError
from lambdaagent.gateway.services import SERVICES
from lambdaagent.gateway.skills.candidate import candidate
from lambdaagent.mcp.selection import Candidate, Match, Question

_TURN = 50  # skills
_ORDER = "namespace, name"


def coded(problem: ProblemError, path: str) -> ProblemError:
    """Return the problem with the members of ARD's errors, if the path is one of ARD's."""
    if path.startswith(f"{BASE}/"):
        problem.members |= {"errorCode": ard.error_code(problem.status), "message": str(problem)}
    return problem


async def search(request: web.Request) -> web.Response:
    directory, config = request.app[SERVICES].directory, request.app[SERVICES].config
    try:
        query = ard.read(bounded_json.loads(await bodies.whole(request)))
    except (bounded_json.BoundError, orjson.JSONDecodeError) as error:
        raise ProblemError(400, "not-json", f"The body is not JSON: {str(error)[:200]}.") from None
    except (BadSearchError, BadFilterError) as error:
        raise ProblemError(400, "bad-search", f"The search is refused: {error}.") from None
    directory.require_listed()
    question = Question(query.text)
    ranked = await _ranked(request, query, question)
    shown, source = ranked[: query.size], registry_url(request)
    body: Json = {
        "results": [ard.result(entry_of(request, entry), question, match, source=source) for match, entry in shown]
    }
    if len(ranked) > query.size:
        body["pageToken"] = ard.token(shown[-1][0])
    if query.federation == "referrals":
        body["referrals"] = [
            ai_catalog.registry(config.catalog.peer(url), f"{url}/search", name=url.partition("://")[2])
            for url in config.peers
        ]
    return web.Response(
        body=orjson.dumps(body), content_type=media_types.JSON, headers={"Cache-Control": "private, no-cache"}
    )


async def _ranked(request: web.Request, query: Search, question: Question) -> list[tuple[Match, Entry]]:
    """Return the page's matches with their agents, the best first, and one more if there are more."""

    def takes(entry: Entry) -> bool:
        return entry.discoverable and (not query.filter.terms or query.filter.takes(entry_of(request, entry)))

    found: list[tuple[Position, Match, Entry]] = []
    number = 0
    async for entry in authorization.listed(request, takes):
        best: Match | None = None
        for each in _candidates(entry):
            number += 1
            if number % _TURN == 0:
                await asyncio.sleep(0)
            match = question.match(each)
            if match is not None and (best is None or match.score > best.score):
                best = match
        if best is not None and (query.after is None or ard.position(best) > query.after):
            found.append((ard.position(best), best, entry))
    return [(match, entry) for _, match, entry in heapq.nsmallest(query.size + 1, found, key=lambda each: each[0])]


def _candidates(entry: Entry) -> Iterator[Candidate]:
    """Yield each public skill of an agent and the agent as a whole, which counts if it fits better than its skills."""
    for skill in entry.public.spec.a2a.skills if entry.public.spec.a2a is not None else ():
        yield candidate(entry, skill)
    yield Candidate(*entry.key, skill="", description=cards.description(entry.public), ready=entry.ready)


async def agents(request: web.Request) -> web.Response:
    query = request.query
    try:
        filter_ = ard_filter.of_expression(query.get("filter", ""))
        size = ard.size(_number(query.get("pageSize")))
    except (BadSearchError, BadFilterError) as error:
        raise ProblemError(400, "bad-list", f"The list is refused: {error}.") from None
    if query.get("orderBy"):
        raise ProblemError(400, "bad-list", f"orderBy is not supported: the order is by {_ORDER}; leave it out.")
    request.app[SERVICES].directory.require_listed()
    after = catalog.page_key(query.get("pageToken"))

    def takes(entry: Entry) -> bool:
        return entry.discoverable and filter_.takes(entry_of(request, entry))

    found, last = await catalog.page(request, takes, size=size, after=after)
    body: Json = {"items": [entry_of(request, each) for each in found]}
    if last is not None:
        body["pageToken"] = page_token.of_agent(last)
    return caching.validated(request, orjson.dumps(body), content_type=media_types.JSON)


def _number(given: str | None) -> int:
    if given is None:
        return ard.LIST_SIZE
    return int(given) if given.isascii() and given.isdigit() and len(given) < 10 else 0


async def agent(request: web.Request) -> web.Response:
    """Answer with the entry of an identifier (0.91 section 5.3.4). What lists do not show is not there."""
    services, identifier = request.app[SERVICES], request.match_info["identifier"]
    try:
        key = services.config.catalog.agent_of(identifier)
    except BadIdentifierError as error:
        raise ProblemError(400, "bad-identifier", f"The look-up is refused: {error}.") from None
    entry = services.directory.find(*key) if key is not None else None
    if entry is None or not entry.discoverable or not await authorization.lists(request, entry):
        services.directory.require_listed(key[0] if key is not None else None)
        raise ProblemError(
            404,
            "unknown-entry",
            f"This registry has no entry {identifier!r} for you; GET {BASE}/agents lists the entries.",
            headers={"Cache-Control": "no-cache"},
        )
    return caching.validated(request, orjson.dumps(entry_of(request, entry)), content_type=media_types.JSON)
