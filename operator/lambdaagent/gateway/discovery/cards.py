"""Handlers for agent cards, the keys of their signatures and the API catalogue (RFC 9727). None starts a pod."""

import orjson
from aiohttp import web

from lambdaagent import media_types
from lambdaagent.a2a import Json, cards, versions, well_known
from lambdaagent.a2a.errors import A2AError, Problem
from lambdaagent.a2a.operations import Operation, unsupported
from lambdaagent.a2a.versions import Version
from lambdaagent.gateway.access import authorization
from lambdaagent.gateway.directory import Card, Entry
from lambdaagent.gateway.http import caching, urls
from lambdaagent.gateway.http.problems import ProblemError, require_method
from lambdaagent.gateway.services import SERVICES

CATALOG_PROFILE = "https://www.rfc-editor.org/info/rfc9727"
_MAX_AGE, _OWN_MAX_AGE = "public, max-age=60", "private, max-age=60"


def extended(request: web.Request, entry: Entry, version: Version) -> bytes:
    """Return the extended card (1.0 section 3.1.11). Raises A2AError if the agent has none."""
    if request.app[SERVICES].guard.off or not cards.offers_extended(entry.agent):
        # No card declares one, so in 1.0 the operation is unsupported and the card is not merely missing.
        raise A2AError(Problem.NO_EXTENDED_CARD) if version is Version.V03 else unsupported(Operation.EXTENDED_CARD)
    return _made(request, entry, cards.choose(version, offered=[]), extended=True).body


def _made(request: web.Request, entry: Entry, shape: cards.Shape, *, extended: bool = False) -> Card:
    return entry.card(
        shape,
        url=urls.endpoint(request, entry),
        signer=request.app[SERVICES].config.card_signer,
        jwks_url=urls.base(request) + well_known.JWKS,
        security=request.app[SERVICES].guard.schemes(entry.rules),
        extended=extended,
        alone=request.app[SERVICES].coordination is None,
    )


def latest(request: web.Request, entry: Entry) -> Json:
    """Return the public card in the form of 1.0, whichever versions the agent offers."""
    card: Json = orjson.loads(_made(request, entry, cards.Shape.V1).body)
    return card


def body(request: web.Request, entry: Entry) -> bytes:
    """Return the public card that a client gets which asks for no version."""
    return _made(request, entry, cards.choose(None, offered=list(entry.offered))).body


def card(request: web.Request, entry: Entry, *, shape: cards.Shape | None = None) -> web.Response:
    require_method(request, "GET", "HEAD")
    if not entry.discoverable:
        raise ProblemError(
            404, "not-discoverable", f"The agent {entry.agent.key} has no card: discoveryEnabled is false."
        )
    if shape is None:
        shape = cards.choose(_version(request), offered=list(entry.offered))
    found = _made(request, entry, shape)
    off = request.app[SERVICES].guard.off
    headers = {
        "ETag": found.etag,
        "Cache-Control": _MAX_AGE if off else _OWN_MAX_AGE,
        "Last-Modified": entry.last_modified,
        "Vary": versions.HEADER if off else f"{versions.HEADER}, {caching.CREDENTIALS}",
    }
    if caching.is_fresh(request, etag=found.etag, last_modified=entry.last_modified):
        return web.Response(status=304, headers=headers)
    return web.Response(body=found.body, content_type=media_types.JSON, headers=headers)


async def jwks(request: web.Request) -> web.Response:
    """Answer with the public key that the gateway signs with (RFC 7517); an empty set if it signs nothing."""
    signer = request.app[SERVICES].config.card_signer
    body = orjson.dumps({"keys": [signer.public] if signer is not None else []})
    return web.Response(body=body, content_type="application/jwk-set+json", headers={"Cache-Control": _MAX_AGE})


async def api_catalog(request: web.Request) -> web.Response:
    request.app[SERVICES].directory.require_listed()
    own = urls.base(request) + well_known.API_CATALOG
    linkset: list[Json] = [{"anchor": own, "item": []}]
    async for entry in authorization.listed(request, lambda each: each.discoverable):
        url, card_url = urls.endpoint(request, entry), urls.agent(request, entry) + well_known.AGENT_CARD
        linkset[0]["item"].append({"href": url})
        linkset.append({"anchor": url, "describedby": [{"href": card_url, "type": media_types.JSON}]})
    response = web.Response(body=orjson.dumps({"linkset": linkset}), headers=caching.of_caller(request))
    response.headers["Content-Type"] = f'application/linkset+json; profile="{CATALOG_PROFILE}"'
    # RFC 9727 section 2: the response to HEAD links to the catalogue.
    response.headers["Link"] = f'<{own}>; rel="api-catalog"'
    return response


def _version(request: web.Request) -> Version | None:
    """Return the requested version. An unknown one is no error, because a client learns the versions from the card."""
    try:
        return versions.parse(request.headers.get(versions.HEADER))
    except A2AError:
        return None
