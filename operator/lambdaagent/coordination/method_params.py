"""The parameters of the JSON-RPC methods and MCP tools by which agents work together.

They are the bodies of the HTTP endpoints, and besides what is in those endpoints' paths and headers.
"""

from typing import Annotated

from pydantic import Field

from lambdaagent.a2a import Json
from lambdaagent.coordination import proposal, registration
from lambdaagent.coordination.bodies import Body
from lambdaagent.coordination.context import ContextId


class Beat(registration.Heartbeat):
    agent_id: registration.AgentId


class ContextRead(Body):
    context_id: ContextId


class ContextPatch(ContextRead):
    patch: Json
    version: Annotated[int, Field(ge=0, lt=10**9)] | None = None
    """The version that the change is for, as `If-Match`; without it, the change is merged."""


class Vote(proposal.NewVote):
    proposal_id: Annotated[str, Field(min_length=1, max_length=255)]
