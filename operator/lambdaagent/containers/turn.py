"""One message to one container: the agent, the message and the timeout in seconds; and for whom it is."""

from dataclasses import dataclass

from lambdaagent.a2a import Json
from lambdaagent.a2a.params import Send
from lambdaagent.api.skills import Skill
from lambdaagent.containers.callee import Callee


@dataclass(frozen=True, slots=True)
class Origin:
    """What a request to a container carries of the request that caused it.

    Another replica that repeats the call knows the owner alone, which is stored with the task.
    """

    owner: str = "anonymous"  # the principal for whom the container works
    actors: tuple[str, ...] = ()  # on whose behalf the owner calls, the latest first
    traceparent: str | None = None
    headers: tuple[tuple[str, str], ...] = ()  # of the client, those that the agent's resource names


NOBODY = Origin()


@dataclass(frozen=True, slots=True)
class Turn:
    callee: Callee
    skill: Skill | None
    message: Json
    task_id: str
    context_id: str  # as the container knows it
    timeout: float
    origin: Origin = NOBODY
    task: Json | None = None  # as it is stored, with the message; None if it is not stored
    remote: str = ""  # the id of the task at a container that is an A2A server
    event_id: str = ""  # of the event that delivered this call; empty: a new id
    attempt: int = 0
    again: bool = False  # the caller repeats: a failure that a repetition may avoid raises NotTakenError
    shared: Json | None = None  # what agents share under the context id, if the skill asks for it
    request: Send | None = None  # the client's; None if an event or another replica makes the call
