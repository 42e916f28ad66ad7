"""One message to one container: what is called, with what, and for how long."""

from dataclasses import dataclass

from lambdaagent.a2a import Json
from lambdaagent.a2a.params import Send
from lambdaagent.api.a2a import Skill
from lambdaagent.containers.callee import Callee


@dataclass(frozen=True, slots=True)
class Turn:
    callee: Callee
    skill: Skill | None
    message: Json
    task_id: str
    context_id: str
    timeout: float
    traceparent: str | None = None
    remote: str = ""  # the id of the task at a container that is an A2A server itself
    event_id: str = ""  # of the event that this call is; empty: a new one
    attempt: int = 0
    again: bool = False  # whoever asks will ask again: what may be better next time raises NotTakenError
    request: Send | None = None  # the client's; None where an event or another replica makes the call
