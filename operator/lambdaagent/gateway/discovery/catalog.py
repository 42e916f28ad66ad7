"""`/agents`: the list of agents, as pages or as a stream that continues with changes.

The stream starts with all matching agents (`snapshot` events in batches, the last one with `"last": true`), followed by
an event for each agent that is added, changed or removed (`upsert`, `remove`). Several changes of one agent between two
reads are one event, so a slow reader costs no more memory than the list of agents. A client cannot resume a stream; it
starts a new one.
"""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

import orjson
import structlog
from aiohttp import web

from lambdaagent import media_types, page_token
from lambdaagent.a2a import Json, cards, well_known
from lambdaagent.api.skills import Skill
from lambdaagent.gateway.access import authorization
from lambdaagent.gateway.access.authentication import PRINCIPAL
from lambdaagent.gateway.directory import Entry, Key
from lambdaagent.gateway.http import caching, sse, urls
from lambdaagent.gateway.http.problems import ProblemError
from lambdaagent.gateway.services import ROUTE, SERVICES

log = structlog.get_logger(__name__)
_PAGE, _MAX_PAGE = 100, 1000


@dataclass(frozen=True, slots=True)
class Filter:
    namespace: str | None
    skill: str | None
    tag: str | None
    q: str  # casefolded once, because it may be as long as a request line

    @classmethod
    def of(cls, request: web.Request) -> "Filter":
        query = request.query
        return cls(query.get("namespace"), query.get("skill"), query.get("tag"), query.get("q", "").casefold())

    def takes(self, entry: Entry) -> bool:
        skills = _skills(entry)
        if not entry.discoverable or (self.namespace and entry.agent.namespace != self.namespace):
            return False
        if self.skill and self.skill not in (each.id for each in skills):
            return False
        if self.tag and not any(self.tag in each.tags for each in skills):
            return False
        if not self.q:
            return True
        texts = [entry.agent.name, cards.description(entry.public)]
        texts += [text for each in skills for text in (each.id, each.name, each.description, *each.tags)]
        return any(self.q in text.casefold() for text in texts)


async def agents(request: web.Request) -> web.StreamResponse:
    request.app[SERVICES].directory.require_listed(request.query.get("namespace"))
    if media_types.EVENT_STREAM in request.headers.get("Accept", ""):
        request[ROUTE] = "agents-stream"
        return await _follow(request)
    return await _page(request)


async def _page(request: web.Request) -> web.Response:
    size = _page_size(request.query.get("pageSize"))
    after = page_key(request.query.get("pageToken"))
    found, last = await page(request, Filter.of(request).takes, size=size, after=after)
    shown = [_listed(request, entry) for entry in found]
    body = orjson.dumps({"agents": shown, "nextPageToken": page_token.of_agent(last) if last is not None else ""})
    return web.Response(body=body, content_type=media_types.JSON, headers=caching.of_caller(request))


async def page(
    request: web.Request, wanted: Callable[[Entry], bool], *, size: int, after: Key | None
) -> tuple[list[Entry], Key | None]:
    """Return the wanted agents that lists show to the caller, and the last one's key if there are more of them."""
    found: list[Entry] = []
    async for entry in authorization.listed(request, wanted, after=after):
        if len(found) == size:
            return found, found[-1].key
        found.append(entry)
    return found, None


async def _follow(request: web.Request) -> web.StreamResponse:
    def broken(error: Exception) -> bytes:
        if isinstance(error, sse.RevokedError):
            return sse.frame(b"{}", event="revoked")
        request.app[SERVICES].metrics.error("agents-stream")
        log.error("agents_stream.crashed", exc_info=error)
        return sse.frame(b"{}", event="error")

    owner, allowed = request[PRINCIPAL].name, authorization.known(request)
    return await sse.write(request, _changes(request), owner=owner, broken=broken, allowed=allowed)


async def _changes(request: web.Request) -> AsyncGenerator[bytes, None]:
    directory, wanted = request.app[SERVICES].directory, Filter.of(request)
    told: dict[Key, int] = {}
    with directory.watch() as changes:
        batch: list[Json] = []
        async for entry in authorization.listed(request, wanted.takes):
            batch.append(_listed(request, entry))
            told[entry.key] = hash(orjson.dumps(batch[-1]))
            if len(batch) == _PAGE:
                yield sse.frame(orjson.dumps({"agents": batch, "last": False}), event="snapshot")
                batch = []
        yield sse.frame(orjson.dumps({"agents": batch, "last": True}), event="snapshot")
        while True:
            for key in await changes.next():
                found = directory.get(*key)
                if found is not None and wanted.takes(found) and await authorization.lists(request, found):
                    body = orjson.dumps(_listed(request, found))
                    # Many changes of a resource do not change its entry in the list.
                    if told.get(key) != hash(body):
                        told[key] = hash(body)
                        yield sse.frame(body, event="upsert")
                elif told.pop(key, None) is not None:
                    yield sse.frame(orjson.dumps({"namespace": key[0], "name": key[1]}), event="remove")


def _skills(entry: Entry) -> list[Skill]:
    return entry.public.spec.a2a.skills if entry.public.spec.a2a is not None else []


def _listed(request: web.Request, entry: Entry) -> Json:
    skills = _skills(entry)
    return {
        "namespace": entry.agent.namespace,
        "name": entry.agent.name,
        "description": cards.description(entry.public),
        "ready": entry.ready,
        "url": urls.endpoint(request, entry),
        "cardUrl": urls.agent(request, entry) + well_known.AGENT_CARD,
        "skills": [{"id": skill.id, "name": skill.name, "description": skill.description} for skill in skills],
        "tags": sorted({tag for skill in skills for tag in skill.tags}),
    }


def _page_size(given: str | None) -> int:
    if given is None:
        return _PAGE
    if not (given.isascii() and given.isdigit() and len(given) < 10 and 1 <= int(given) <= _MAX_PAGE):
        raise ProblemError(400, "bad-page", f"pageSize must be a number from 1 to {_MAX_PAGE}.")
    return int(given)


def page_key(given: str | None) -> Key | None:
    if not given:
        return None
    try:
        return page_token.agent_of(given)
    except ValueError:
        raise ProblemError(400, "bad-page", "pageToken is not a token that this gateway issued.") from None
