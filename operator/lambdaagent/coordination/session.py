"""Sessions in which agents work together: who takes part, and whether it goes on.

A session is active or paused until it is completed or terminated, for good. Its shared context has the session's id.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from lambdaagent.a2a import Json
from lambdaagent.coordination.bodies import Body, Id, Metadata
from lambdaagent.coordination.context import ContextId
from lambdaagent.coordination.message import Name

SessionStatus = Literal["active", "paused", "completed", "terminated"]
FINAL = ("completed", "terminated")
Participants = Annotated[list[Id | Name], Field(max_length=1000)]


class NewSession(Body):
    session_id: ContextId | None = None
    from_: Annotated[Name | None, Field(alias="from")] = None
    initiator_agent_id: Name | None = None
    participants: Participants = []
    session_type: Annotated[str, Field(min_length=1, max_length=50)] = "standard"
    context: Json = {}
    metadata: Metadata = {}


class SessionChange(Body):
    status: SessionStatus | None = None
    participants: Participants | None = None
    metadata: Metadata | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    session_id: str
    initiator_agent_id: str
    participant_agent_ids: Sequence[str]
    session_type: str
    status: str
    metadata: Json
    started_at: float
    ended_at: float | None
    last_activity_at: float
    created_by: str

    def has(self, agent_id: str) -> bool:
        return agent_id in (self.initiator_agent_id, self.created_by, *self.participant_agent_ids)
