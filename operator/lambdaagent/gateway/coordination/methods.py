"""The JSON-RPC methods by which agents register and work together: each calls the function of its HTTP endpoint.

At an agent's own endpoint that agent is the receiver, the elector or the one that beats, unless the parameters name
another. The functions check the rights; that the caller may know of the agent was checked before.
"""

from dataclasses import dataclass

import orjson
from aiohttp import web

from lambdaagent.a2a import Json
from lambdaagent.coordination import method_params, proposal, registration
from lambdaagent.gateway.coordination import agents, contexts, messages, proposals
from lambdaagent.gateway.coordination.requests import parameters, require_identity
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.http.problems import ProblemError


@dataclass(frozen=True, slots=True)
class ExtensionCall:
    request: web.Request
    entry: Entry | None  # None: the request names no agent
    params: Json

    @property
    def agent(self) -> Entry:
        """Raises ProblemError if the request names none."""
        if self.entry is None:
            detail = "The method needs the query parameter agent=namespace/name; GET /agents lists the agents."
            raise ProblemError(400, "no-agent", detail)
        return self.entry

    def usual(self, field: str, *others: str) -> Json:
        """Return the parameters, in which the agent fills a field that is missing under each of its names."""
        if self.entry is None or any(name in self.params for name in (field, *others)):
            return self.params
        return {**self.params, field: self.entry.agent_id}


async def register(call: ExtensionCall) -> Json:
    owner = await agents.require_registrar(call.request)
    given = parameters(registration.Registration, call.params)
    agent, _ = await agents.registered(call.request, given, owner=owner)
    return agents.record(call.request, agent)


async def heartbeat(call: ExtensionCall) -> Json:
    require_identity(call.request)
    given = parameters(method_params.Beat, call.usual("agent_id", "agentId"))
    return await agents.beaten(call.request, await agents.own(call.request, given.agent_id), given)


async def send(call: ExtensionCall) -> Json:
    form = "receiver_agent_id" if "message_type" in call.params else "to"
    message = messages.read(orjson.dumps(call.usual(form, "agent_id", "receiverAgentId", "agentId")))
    receipt, _ = await messages.accepted(call.request, message)
    del receipt["path"]
    return receipt


async def get_context(call: ExtensionCall) -> Json:
    require_identity(call.request)
    given = parameters(method_params.ContextRead, call.params)
    return contexts.shown(await contexts.find(call.request, given.context_id))


async def patch_context(call: ExtensionCall) -> Json:
    require_identity(call.request)
    given = parameters(method_params.ContextPatch, call.params)
    await contexts.find(call.request, given.context_id)
    changed = await contexts.patched(call.request, given.context_id, given.patch, expected=given.version)
    return contexts.shown(changed)


async def propose(call: ExtensionCall) -> Json:
    owner = require_identity(call.request)
    named = call.usual("electorate")
    if named is not call.params:
        named = {**named, "electorate": [named["electorate"]]}
    made = await proposals.opened(call.request, parameters(proposal.NewProposal, named), owner=owner)
    return proposal.shown(made, {})


async def vote(call: ExtensionCall) -> Json:
    require_identity(call.request)
    given = parameters(method_params.Vote, call.params)
    found, _ = await proposals.find(call.request, given.proposal_id)
    return await proposals.voted(call.request, found, given)
