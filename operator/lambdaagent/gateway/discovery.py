"""Finding agents: their cards, the list, and the API catalogue (RFC 9727). All from the directory; no pod is woken."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from email.utils import parsedate_to_datetime

import orjson
from aiohttp import web

from lambdaagent.a2a import Json, cards, versions
from lambdaagent.a2a.errors import A2AError
from lambdaagent.a2a.versions import Version
from lambdaagent.gateway import methods, urls
from lambdaagent.gateway.directory import Entry, Key
from lambdaagent.gateway.problems import ProblemError
from lambdaagent.gateway.services import ROUTE, SERVICES

CARD_PATH = "/.well-known/agent-card.json"
CATALOG_PROFILE = "https://www.rfc-editor.org/info/rfc9727"
_MAX_AGE = "public, max-age=60"
_PAGE, _MAX_PAGE = 100, 1000
_JSON = "application/json"


def card(request: web.Request, entry: Entry, *, shape: cards.Shape | None = None) -> web.Response:
    methods.require(request, "GET", "HEAD")
    if not entry.discoverable:
        raise ProblemError(
            404, "not-discoverable", f"The agent {entry.agent.key} has no card: discoveryEnabled is false."
        )
    if shape is None:
        shape = cards.choose(_version(request), offered=list(entry.offered))
    found = entry.card(shape, url=urls.endpoint(request, entry))
    headers = {
        "ETag": found.etag,
        "Cache-Control": _MAX_AGE,
        "Last-Modified": entry.last_modified,
        "Vary": versions.HEADER,
    }
    if _fresh(request, etag=found.etag, last_modified=entry.last_modified):
        return web.Response(status=304, headers=headers)
    return web.Response(body=found.body, content_type=_JSON, headers=headers)


async def list_agents(request: web.Request) -> web.Response:
    request[ROUTE] = "agents"
    query = request.query
    size = _page_size(query.get("pageSize"))
    after = _page_key(query.get("pageToken"))
    shown: list[Json] = []
    token = ""
    last: Key | None = None
    for entry in request.app[SERVICES].directory.after(after):
        if not entry.discoverable or not _matches(
            entry, query.get("namespace"), query.get("skill"), query.get("tag"), query.get("q")
        ):
            continue
        if len(shown) == size and last is not None:
            token = _token(last)
            break
        shown.append(_listed(request, entry))
        last = entry.key
    return web.Response(body=orjson.dumps({"agents": shown, "nextPageToken": token}), content_type=_JSON)


async def api_catalog(request: web.Request) -> web.Response:
    request[ROUTE] = "api-catalog"
    own = f"{urls.base(request)}/.well-known/api-catalog"
    linkset: list[Json] = [{"anchor": own, "item": []}]
    for entry in request.app[SERVICES].directory.after(None):
        if entry.discoverable:
            url, card_url = urls.endpoint(request, entry), urls.agent(request, entry) + CARD_PATH
            linkset[0]["item"].append({"href": url})
            linkset.append({"anchor": url, "describedby": [{"href": card_url, "type": _JSON}]})
    response = web.Response(body=orjson.dumps({"linkset": linkset}), content_type="application/linkset+json")
    response.headers["Content-Type"] = f'application/linkset+json; profile="{CATALOG_PROFILE}"'
    # RFC 9727 section 2: a HEAD tells where the catalogue is.
    response.headers["Link"] = f'<{own}>; rel="api-catalog"'
    return response


def _version(request: web.Request) -> Version | None:
    """A card is how a client learns the versions, so one that is unknown here is no error."""
    try:
        return versions.parse(request.headers.get(versions.HEADER))
    except A2AError:
        return None


def _fresh(request: web.Request, *, etag: str, last_modified: str) -> bool:
    """RFC 9110 13.1: If-None-Match compares weakly and beats If-Modified-Since."""
    given = request.headers.get("If-None-Match")
    if given is not None:
        return given.strip() == "*" or etag in [each.strip().removeprefix("W/") for each in given.split(",")]
    since = request.headers.get("If-Modified-Since")
    if since is None:
        return False
    try:
        return parsedate_to_datetime(since) >= parsedate_to_datetime(last_modified)
    except (ValueError, TypeError):
        return False


def _matches(entry: Entry, namespace: str | None, skill: str | None, tag: str | None, q: str | None) -> bool:
    skills = entry.callee.skills.values()
    if namespace and entry.agent.namespace != namespace:
        return False
    if skill and skill not in entry.callee.skills:
        return False
    if tag and not any(tag in each.tags for each in skills):
        return False
    if not q:
        return True
    texts = [entry.agent.name, cards.description(entry.agent)]
    texts += [text for each in skills for text in (each.id, each.name, each.description, *each.tags)]
    return any(q.casefold() in text.casefold() for text in texts)


def _listed(request: web.Request, entry: Entry) -> Json:
    skills = entry.callee.skills.values()
    return {
        "namespace": entry.agent.namespace,
        "name": entry.agent.name,
        "description": cards.description(entry.agent),
        "ready": entry.ready,
        "url": urls.endpoint(request, entry),
        "cardUrl": urls.agent(request, entry) + CARD_PATH,
        "skills": [{"id": skill.id, "name": skill.name, "description": skill.description} for skill in skills],
        "tags": sorted({tag for skill in skills for tag in skill.tags}),
    }


def _page_size(given: str | None) -> int:
    if given is None:
        return _PAGE
    if not (given.isascii() and given.isdigit() and 1 <= int(given[:9]) <= _MAX_PAGE):
        raise ProblemError(400, "bad-page", f"pageSize must be a number from 1 to {_MAX_PAGE}.")
    return int(given)


def _page_key(given: str | None) -> Key | None:
    if not given:
        return None
    try:
        namespace, name = urlsafe_b64decode(given + "=" * (-len(given) % 4)).decode().split("/")
    except ValueError:
        raise ProblemError(400, "bad-page", "pageToken is not one that this gateway gave.") from None
    return namespace, name


def _token(key: Key) -> str:
    return urlsafe_b64encode("/".join(key).encode()).decode().rstrip("=")
