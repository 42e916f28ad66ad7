"""`/a2a/sessions`: sessions in which agents work together.

A session is its participants': for others it is not there. Its initiator says who takes part; each participant may
pause, complete or terminate it. Its context is at `/a2a/context/{session_id}`.
"""

from urllib.parse import quote

from aiohttp import web

from lambdaagent.a2a import Json
from lambdaagent.clock import rfc3339
from lambdaagent.coordination import session as models
from lambdaagent.coordination.message import Message
from lambdaagent.coordination.refusals import ClosedError, IdInUseError, TooLargeError, TooManyError
from lambdaagent.coordination.session import Session
from lambdaagent.gateway.access.authentication import PRINCIPAL
from lambdaagent.gateway.coordination import acting
from lambdaagent.gateway.coordination.requests import answer, body, coordination, require_identity
from lambdaagent.gateway.http import urls
from lambdaagent.gateway.http.problems import ProblemError
from lambdaagent.gateway.services import SERVICES


async def start(request: web.Request) -> web.Response:
    owner = require_identity(request)
    given = await body(request, models.NewSession)
    initiator = given.from_ or given.initiator_agent_id or acting.own_id(request)
    acting.require(request, initiator, field="from")
    try:
        made = await coordination(request).sessions.start(given, initiator=initiator, by=owner)
    except IdInUseError:
        detail = f"The id {given.session_id!r} is that of another session or context; choose another."
        raise ProblemError(409, "session-exists", detail) from None
    except TooManyError:
        raise ProblemError(403, "too-many-sessions", "You have as many sessions as one principal may have.") from None
    except TooLargeError as error:
        raise ProblemError(413, "context-too-large", f"The context would be too large: {error}.") from None
    location = f"{urls.base(request)}/a2a/sessions/{quote(made.session_id, safe='')}"
    return answer(request, _shown(made), status=201, headers={"Location": location})


async def listing(request: web.Request) -> web.Response:
    """Return the newest sessions that the caller started; an administrator sees all."""
    owner = require_identity(request)
    everyone = request.app[SERVICES].guard.is_admin(request[PRINCIPAL])
    found = await coordination(request).sessions.listed(owner=None if everyone else owner)
    return answer(request, {"sessions": [_shown(each) for each in found]})


async def get(request: web.Request) -> web.Response:
    return answer(request, _shown(await _own(request)))


async def change(request: web.Request) -> web.Response:
    found = await _own(request)
    given = await body(request, models.SessionChange)
    starts = acting.is_own(request, found.initiator_agent_id) or acting.is_own(request, found.created_by)
    if given.participants is not None and not starts:
        raise ProblemError(403, "foreign-session", "Only its initiator says who takes part in a session.")
    try:
        changed = await coordination(request).sessions.change(found.session_id, given)
    except ClosedError as error:
        raise ProblemError(409, "session-ended", f"The session is {error}, for good; start another.") from None
    if changed is None:
        raise _unknown(found.session_id)
    return answer(request, _shown(changed))


async def require_part(request: web.Request, message: Message) -> bool:
    """Return whether the message is of a session. Raises ProblemError if its sender may not send in it now."""
    if not message.session:
        return False
    session = await coordination(request).sessions.find(message.session)
    if session is None:
        return False  # an id of the sender's own
    if not session.has(message.sender):
        raise ProblemError(403, "no-participant", f"{message.sender[:64]} takes no part in this session.")
    if session.status != "active":
        detail = f"The session is {session.status}; messages are sent in active sessions."
        raise ProblemError(409, "session-not-active", detail)
    return True


async def _own(request: web.Request) -> Session:
    require_identity(request)
    session_id = request.match_info["id"]
    found = await coordination(request).sessions.find(session_id)
    if found is not None:
        concerned = (found.created_by, found.initiator_agent_id, *found.participant_agent_ids)
        admin = request.app[SERVICES].guard.is_admin(request[PRINCIPAL])
        if admin or any(acting.is_own(request, each) for each in concerned):
            return found
    raise _unknown(session_id)


def _shown(session: Session) -> Json:
    return {
        "session_id": session.session_id,
        "initiator_agent_id": session.initiator_agent_id,
        "participant_agent_ids": list(session.participant_agent_ids),
        "session_type": session.session_type,
        "status": session.status,
        "context_id": session.session_id,
        "metadata": session.metadata,
        "started_at": rfc3339(session.started_at),
        "ended_at": rfc3339(session.ended_at) if session.ended_at is not None else None,
        "last_activity_at": rfc3339(session.last_activity_at),
        "created_by": session.created_by,
    }


def _unknown(session_id: str) -> ProblemError:
    return ProblemError(404, "unknown-session", f"There is no session {session_id[:255]!r} of yours.")
