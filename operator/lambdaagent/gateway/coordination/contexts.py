"""`/a2a/context`: contexts that agents share.

A context is its creator's and its participants': they read and change it, and for others it is not there. `ETag` is its
version; a change with `If-Match` is for that version alone, one without merges (`coordination.context`).
"""

import re
from collections.abc import Awaitable, Callable
from urllib.parse import quote

from aiohttp import web

from lambdaagent.a2a import Json
from lambdaagent.clock import rfc3339
from lambdaagent.coordination import context as models
from lambdaagent.coordination.bodies import BadBodyError
from lambdaagent.coordination.context import KEPT, Context, UnfitChangeError
from lambdaagent.coordination.refusals import IdInUseError, TooLargeError, TooManyError, VersionError
from lambdaagent.gateway.access.authentication import PRINCIPAL
from lambdaagent.gateway.coordination import acting
from lambdaagent.gateway.coordination.requests import answer, body, coordination, loaded, require_identity
from lambdaagent.gateway.http import bodies, urls
from lambdaagent.gateway.http.problems import ProblemError

_ETAG = re.compile(r'(?:W/)?"(\d{1,9})"')


async def create(request: web.Request) -> web.Response:
    owner = require_identity(request)
    given = await body(request, models.NewContext)
    try:
        made = await coordination(request).contexts.create(given, by=owner)
    except IdInUseError:
        taken = given.id or given.context_id
        detail = f"There is a context {taken!r} already; change it with PATCH, or choose another id."
        raise ProblemError(409, "context-exists", detail) from None
    except TooManyError:
        raise ProblemError(403, "too-many-contexts", "You have as many contexts as one principal may have.") from None
    except TooLargeError as error:
        raise _too_large(error) from None
    location = f"{urls.base(request)}/a2a/context/{quote(made.context_id, safe='')}"
    return answer(request, shown(made), status=201, headers=_etag(made) | {"Location": location})


async def listing(request: web.Request) -> web.Response:
    """Return the contexts that the caller created, those that were changed last first."""
    found = await coordination(request).contexts.listed(owner=require_identity(request))
    return answer(request, {"contexts": [shown(each) for each in found]})


async def get(request: web.Request) -> web.Response:
    found = await find(request, request.match_info["id"])
    if request.headers.get("If-None-Match") == f'"{found.version}"':
        return web.Response(status=304, headers=_etag(found))
    return answer(request, shown(found), headers=_etag(found))


async def patch(request: web.Request) -> web.Response:
    """Take a JSON Merge Patch (RFC 7396)."""
    context_id = request.match_info["id"]
    await find(request, context_id)
    try:
        change = loaded(await bodies.whole(request))
    except BadBodyError as error:
        raise ProblemError(400, "bad-body", f"The body is refused: {error}.") from None
    if not isinstance(change, dict):
        raise ProblemError(400, "bad-body", "The body is refused: a context is an object, and so is a change of it.")
    changed = await patched(request, context_id, change, expected=_expected(request))
    return answer(request, shown(changed), headers=_etag(changed))


async def patched(request: web.Request, context_id: str, change: Json, *, expected: int | None) -> Context:
    """Return the context after a JSON Merge Patch, by one who takes part. Raises ProblemError.

    `expected` is the version that the change is for; None: it is merged into whatever is there.
    """
    contexts = coordination(request).contexts
    return await _changed(
        context_id,
        lambda id_: contexts.patch(
            id_, change, by=request[PRINCIPAL].name, may=lambda found: _takes_part(request, found), expected=expected
        ),
    )


async def merge(request: web.Request) -> web.Response:
    context_id = request.match_info["id"]
    await find(request, context_id)
    given = await body(request, models.Merge)
    contexts = coordination(request).contexts
    if (given.data is None) == (given.context_id is None):
        raise ProblemError(400, "bad-body", "The body is refused: it needs data, or the context_id of another context.")
    other = given.data
    if given.context_id is not None:
        source = await contexts.find(given.context_id)
        if source is None or not _takes_part(request, source):
            raise _unknown(given.context_id)
        other = source.data
    changed = await _changed(
        context_id,
        lambda id_: contexts.merge(
            id_, given, other or {}, by=request[PRINCIPAL].name, may=lambda found: _takes_part(request, found)
        ),
    )
    return answer(request, shown(changed), headers=_etag(changed))


async def settle(request: web.Request) -> web.Response:
    """Change who takes part, how keys are merged and how long the context lasts."""
    found = await find(request, request.match_info["id"])
    given = await body(request, models.Settings)
    if not _owns(request, found):
        detail = "Only its creator says who takes part in a context, how it is merged and how long it lasts."
        raise ProblemError(403, "foreign-context", detail)
    changed = await coordination(request).contexts.settle(found.context_id, given)
    if changed is None:
        raise _unknown(found.context_id)
    return answer(request, shown(changed), headers=_etag(changed))


async def deltas(request: web.Request) -> web.Response:
    """Return the changes after the version `since`, as JSON Patches (RFC 6902)."""
    found = await find(request, request.match_info["id"])
    since = request.query.get("since", "0")
    if not (since.isascii() and since.isdigit() and len(since) < 10):
        raise ProblemError(400, "bad-query", "since must be a version, which is a number.")
    if int(since) < found.version - KEPT:
        detail = f"The changes before version {found.version - KEPT} are no longer kept; read the context instead."
        raise ProblemError(410, "deltas-gone", detail)
    entries = await coordination(request).contexts.log(found.context_id, since=int(since))
    listed = [
        {"version": each.version, "at": rfc3339(each.created_at), "by": each.created_by, "patch": each.patch}
        for each in entries
    ]
    return answer(request, {"context_id": found.context_id, "version": found.version, "deltas": listed})


async def delete(request: web.Request) -> web.Response:
    found = await find(request, request.match_info["id"])
    if not _owns(request, found):
        raise ProblemError(403, "foreign-context", "Only its creator deletes a context.")
    await coordination(request).contexts.drop(found.context_id)
    return web.Response(status=204)


def _takes_part(request: web.Request, context: Context) -> bool:
    return _owns(request, context) or any(acting.is_own(request, each) for each in context.participants)


def _owns(request: web.Request, context: Context) -> bool:
    return acting.is_own(request, context.created_by)


async def find(request: web.Request, context_id: str) -> Context:
    """Return the context of this id. Raises ProblemError (404) for others than those who take part."""
    require_identity(request)
    found = await coordination(request).contexts.find(context_id)
    if found is None or not _takes_part(request, found):
        raise _unknown(context_id)
    return found


async def _changed(context_id: str, change: Callable[[str], Awaitable[Context | None]]) -> Context:
    try:
        found = await change(context_id)
    except VersionError as error:
        detail = f"The context is at version {error.version}; read it and decide again."
        headers = {"ETag": f'"{error.version}"'}
        raise ProblemError(412, "version-changed", detail, headers=headers) from None
    except UnfitChangeError as error:
        raise ProblemError(422, "unfit-change", f"The change is refused: {error}.") from None
    except TooLargeError as error:
        raise _too_large(error) from None
    if found is None:
        raise _unknown(context_id)
    return found


def _expected(request: web.Request) -> int | None:
    given = request.headers.get("If-Match")
    if given is None or given.strip() == "*":
        return None
    found = _ETAG.fullmatch(given.strip())
    if found is None:
        raise ProblemError(412, "version-changed", "If-Match is no ETag that this gateway gave for a context.")
    return int(found[1])


def _etag(context: Context) -> dict[str, str]:
    return {"ETag": f'"{context.version}"'}


def shown(context: Context) -> Json:
    """Return the context as those read it who take part."""
    return {
        "context_id": context.context_id,
        "data": context.data,
        "version": context.version,
        "owner": context.created_by,
        "participants": context.participants,
        "strategies": context.strategies,
        "ttl_seconds": context.ttl_seconds,
        "expires_at": rfc3339(context.expires_at),
        "created_at": rfc3339(context.created_at),
        "modified_at": rfc3339(context.modified_at),
        "modified_by": context.modified_by,
    }


def _too_large(error: TooLargeError) -> ProblemError:
    return ProblemError(
        413, "context-too-large", f"The context would be too large: {error}; keep large data elsewhere."
    )


def _unknown(context_id: str) -> ProblemError:
    return ProblemError(404, "unknown-context", f"There is no context {context_id[:255]!r} of yours.")
