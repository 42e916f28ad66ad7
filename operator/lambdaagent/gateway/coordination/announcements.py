"""Publishes CloudEvents about coordination (`io.knative.lambda.a2a.*`) to the shared Broker of the registry's
namespace.

No request waits for them. An event that cannot be published after a few attempts is lost, logged and counted; where the
namespace has no Broker nobody can subscribe, and nothing is published.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from uuid import NAMESPACE_URL, uuid4, uuid5

import orjson
import structlog

from lambdaagent import media_types
from lambdaagent.a2a import Json
from lambdaagent.backoff import Backoff
from lambdaagent.clock import rfc3339
from lambdaagent.coordination.context import Context
from lambdaagent.coordination.job import Job
from lambdaagent.coordination.message import Message
from lambdaagent.coordination.proposal import Proposal, shown
from lambdaagent.coordination.registered_agent import RegisteredAgent
from lambdaagent.coordination.session import Session
from lambdaagent.coordination.workflow import Run
from lambdaagent.errors import LambdaAgentError, PermanentError
from lambdaagent.events.cloudevents import Event
from lambdaagent.gateway.services import EventPublisher, Exchanges
from lambdaagent.outbox import Outbox

log = structlog.get_logger(__name__)

TYPE = "io.knative.lambda.a2a."
LIFECYCLE = "io.serverlessworkflow."
# The name of requirement 001 for each event that has one, as the attribute `a2aevent`.
NAMES: Mapping[str, str] = {
    "agent.registered": "A2A_AGENT_REGISTERED",
    "task.created": "A2A_TASK_CREATED",
    "task.assigned": "A2A_TASK_ASSIGNED",
    "task.completed": "A2A_TASK_COMPLETED",
    "task.failed": "A2A_TASK_FAILED",
    "message.sent": "A2A_MESSAGE_SENT",
    "message.received": "A2A_MESSAGE_RECEIVED",
    "session.started": "A2A_SESSION_STARTED",
    "session.ended": "A2A_SESSION_ENDED",
}
_ATTEMPTS = 5


@dataclass(kw_only=True)
class Announcements:
    namespace: str
    publisher: EventPublisher
    exchanges: Exchanges
    count: Callable[[str], None]
    now: Callable[[], float]
    backoff: Backoff = field(default_factory=lambda: Backoff(first=0.2, cap=5.0))
    _outbox: Outbox[Event] = field(default_factory=lambda: Outbox("coordination events"), init=False)

    def running(self) -> AbstractAsyncContextManager[None]:
        return self._outbox.run(self._publish, failed=lambda _: self.count("coordination-event-lost"))

    def of_agent(self, event: str, agent: RegisteredAgent) -> None:
        data = {"agent_id": agent.agent_id, "name": agent.name, "status": agent.status, "owner": agent.created_by}
        self.tell(event, agent.agent_id, data)

    def of_message(self, event: str, message: Message, receiver: str) -> None:
        data = {
            "message_id": message.id,
            "session_id": message.session,
            "sender_agent_id": message.sender,
            "receiver_agent_id": receiver,
            "message_type": message.kind,
        }
        self.tell(event, message.id, data)

    def of_context(self, event: str, context: Context) -> None:
        data = {"context_id": context.context_id, "version": context.version, "by": context.modified_by}
        self.tell(event, context.context_id, data)

    def of_job(self, event: str, job: Job) -> None:
        data = {"job_id": job.job_id, "task_id": job.task_id, "task_type": job.task_type, "owner": job.created_by}
        self.tell(event, job.job_id, data)

    def of_session(self, event: str, session: Session) -> None:
        data = {
            "session_id": session.session_id,
            "status": session.status,
            "initiator_agent_id": session.initiator_agent_id,
            "participant_agent_ids": list(session.participant_agent_ids),
        }
        self.tell(event, session.session_id, data)

    def of_proposal(self, event: str, proposal: Proposal) -> None:
        self.tell(event, proposal.proposal_id, shown(proposal))

    def of_run(self, event: str, run: Run, task: str, key: str, data: Json) -> None:
        """Queue a lifecycle event of Serverless Workflow. Its id follows from what it is about: a replica that goes on
        with a run may repeat one.
        """
        about: Json = {"workflow": run.qualified_name, "task": task} if task else {"name": run.qualified_name}
        self._put(
            f"{LIFECYCLE}{event}.v1",
            f"{run.run_id}{key}",
            about | data,
            id_=str(uuid5(NAMESPACE_URL, f"urn:lambdaagent:{run.run_id}:{key}:{event}")),
            source=f"/a2a/workflows/{run.workflow}",
            extensions={},
        )

    def tell(self, event: str, subject: str, data: Json) -> None:
        """Queue an event, if somebody can subscribe to it. If the queue is full, it is lost, logged and counted."""
        extensions = {"a2aevent": NAMES[event]} if event in NAMES else {}
        self._put(TYPE + event, subject, data, id_=uuid4().hex, source="/a2a", extensions=extensions)

    def _put(self, type_: str, subject: str, data: Json, *, id_: str, source: str, extensions: dict[str, str]) -> None:
        if not self._has_broker():
            return
        made = Event(
            id=id_,
            source=source,
            type=type_,
            subject=subject,
            time=rfc3339(self.now(), digits="milliseconds"),
            datacontenttype=media_types.JSON,
            data=orjson.dumps(data),
            extensions=dict(extensions),
        )
        if not self._outbox.put(made):
            self._lost(made, "the queue is full")

    def _has_broker(self) -> bool:
        try:
            self.exchanges.shared(self.namespace)
        except LambdaAgentError:
            return False
        return True

    async def _publish(self, event: Event) -> None:
        problem = ""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await self.publisher.publish(event, exchange=self.exchanges.shared(self.namespace))
            except PermanentError:
                return  # there is no such Broker
            except LambdaAgentError as error:
                problem = str(error)
            else:
                self.count("coordination-event")
                return
            await asyncio.sleep(self.backoff.delay(attempt))
        self._lost(event, problem)

    def _lost(self, event: Event, problem: str) -> None:
        log.warning("coordination_event.lost", type=event.type, subject=event.subject, error=problem)
        self.count("coordination-event-lost")
