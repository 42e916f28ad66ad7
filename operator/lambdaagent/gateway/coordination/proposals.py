"""`/a2a/proposals`: agents propose, vote and read what was decided.

A proposal is its proposer's and its electors': for others it is not there. Whoever proposes may only name electors that
it may call; a person is named by its principal, such as `corp:ann`, and asks for its messages itself.
"""

from urllib.parse import quote

from aiohttp import web

from lambdaagent.a2a import Json
from lambdaagent.access.actions import Action
from lambdaagent.access.rules import Mode
from lambdaagent.coordination import proposal as models
from lambdaagent.coordination.proposal import Proposal, shown
from lambdaagent.coordination.refusals import (
    ClosedError,
    IdInUseError,
    NotElectorError,
    TooManyError,
    UnknownChoiceError,
)
from lambdaagent.gateway.access.authentication import PRINCIPAL
from lambdaagent.gateway.coordination import acting
from lambdaagent.gateway.coordination.agent_ids import entry_of
from lambdaagent.gateway.coordination.requests import answer, body, coordination, require_identity
from lambdaagent.gateway.http import urls
from lambdaagent.gateway.http.problems import ProblemError
from lambdaagent.gateway.services import SERVICES

_STATUSES = ("open", "accepted", "rejected", "expired")


async def create(request: web.Request) -> web.Response:
    owner = require_identity(request)
    made = await opened(request, await body(request, models.NewProposal), owner=owner)
    location = f"{urls.base(request)}/a2a/proposals/{quote(made.proposal_id, safe='')}"
    return answer(request, shown(made, {}), status=201, headers={"Location": location})


async def opened(request: web.Request, given: models.NewProposal, *, owner: str) -> Proposal:
    """Return the proposal once it is open. Raises ProblemError."""
    acting.require(request, given.from_, field="from")
    await _require_electors(request, [each for each in given.electorate if each != given.from_])
    try:
        return await coordination(request).proposals.open(given, by=owner)
    except IdInUseError:
        raise ProblemError(409, "proposal-exists", f"There is a proposal {given.proposal_id!r} already.") from None
    except TooManyError:
        detail = "You have as many open proposals as one principal may have; close those that are not needed."
        raise ProblemError(403, "too-many-proposals", detail) from None


async def get(request: web.Request) -> web.Response:
    proposal, votes = await find(request, request.match_info["id"])
    return answer(request, shown(proposal, votes))


async def listing(request: web.Request) -> web.Response:
    """Return the newest proposals of the caller; an administrator sees all."""
    owner = require_identity(request)
    status = request.query.get("status")
    if status is not None and status not in _STATUSES:
        raise ProblemError(400, "bad-query", f"status must be one of {', '.join(_STATUSES)}.")
    everyone = request.app[SERVICES].guard.is_admin(request[PRINCIPAL])
    found = await coordination(request).proposals.listed(owner=None if everyone else owner, status=status)
    return answer(request, {"proposals": [shown(each) for each in found]})


async def vote(request: web.Request) -> web.Response:
    proposal, _ = await find(request, request.match_info["id"])
    given = await body(request, models.NewVote)
    return answer(request, await voted(request, proposal, given))


async def voted(request: web.Request, proposal: Proposal, given: models.NewVote) -> Json:
    """Return the proposal with the vote, of one who may see it. Raises ProblemError."""
    acting.require(request, given.from_, field="from")
    proposals = coordination(request).proposals
    try:
        await proposals.vote(proposal.proposal_id, given.from_, given.choice, reason=given.reason)
    except NotElectorError:
        detail = f"{given.from_[:64]} is none of the electors, who were fixed when the proposal opened."
        raise ProblemError(403, "no-elector", detail) from None
    except UnknownChoiceError as error:
        raise ProblemError(422, "unknown-choice", f"The choice must be one of {error}.") from None
    except ClosedError as error:
        raise ProblemError(409, "proposal-closed", f"The proposal takes no more votes: it is {error}.") from None
    return shown(*await find(request, proposal.proposal_id))


async def close(request: web.Request) -> web.Response:
    """Decide now, by the votes that are there."""
    proposal, _ = await find(request, request.match_info["id"])
    if not acting.is_own(request, proposal.proposer) and proposal.created_by != request[PRINCIPAL].name:
        raise ProblemError(403, "foreign-proposal", "Only its proposer closes a proposal before its deadline.")
    await coordination(request).proposals.close(proposal.proposal_id)
    return answer(request, shown(*await find(request, proposal.proposal_id)))


async def find(request: web.Request, proposal_id: str) -> tuple[Proposal, dict[str, str]]:
    """Return the proposal of this id and its votes. Raises ProblemError (404) for others than those concerned."""
    require_identity(request)
    found = await coordination(request).proposals.find(proposal_id)
    if found is not None:
        proposal = found[0]
        concerned = (proposal.created_by, proposal.proposer, *proposal.electorate)
        if request.app[SERVICES].guard.is_admin(request[PRINCIPAL]) or any(
            acting.is_own(request, each) for each in concerned
        ):
            return found
    raise ProblemError(404, "unknown-proposal", f"There is no proposal {proposal_id[:255]!r} of yours.")


async def _require_electors(request: web.Request, electorate: list[str]) -> None:
    """Raises ProblemError (404) for agents that the proposer may not call: it may not send them a message either."""
    services, principal = request.app[SERVICES], request[PRINCIPAL]
    unknown = []
    for elector in electorate:
        if ":" in elector:
            continue
        entry = entry_of(services.directory, elector, registry=services.config.registry_namespace)
        allowed = entry is not None and (
            services.guard.mode is not Mode.ENFORCE
            or (await services.guard.decision(principal, Action.INVOKE, entry.rules)).allowed
        )
        if not allowed:
            unknown.append(elector)
    if unknown:
        named = ", ".join(unknown[:10])
        raise ProblemError(404, "unknown-agent", f"These electors are no agents that you may call: {named}.")
