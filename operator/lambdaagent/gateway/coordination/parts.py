"""The parts of the gateway that serve agents together: what its handlers use, and how it starts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from lambdaagent.a2a import Json
from lambdaagent.access.rules import Mode
from lambdaagent.clock import Clock
from lambdaagent.containers.who_asks import WhoAsks
from lambdaagent.contexts.contexts import ContextLimits, Contexts
from lambdaagent.contexts.sessions import Sessions
from lambdaagent.coordination.registered_agent import RegisteredAgent
from lambdaagent.coordination.workflow import PREFIX, Workflow
from lambdaagent.expressions.evaluator import Evaluator
from lambdaagent.gateway.access.guard import Guard
from lambdaagent.gateway.config import GatewayConfig
from lambdaagent.gateway.coordination import registered_entries, workflow_entries
from lambdaagent.gateway.coordination.announcements import Announcements
from lambdaagent.gateway.coordination.carriers import AgentCarrier
from lambdaagent.gateway.coordination.http_calls import HttpCalls
from lambdaagent.gateway.coordination.outside_cards import OutsideCards
from lambdaagent.gateway.coordination.topic_receivers import TopicReceivers
from lambdaagent.gateway.coordination.workers import AgentWorkers
from lambdaagent.gateway.coordination.workflow_caller import WorkflowCaller
from lambdaagent.gateway.coordination.workflow_host import WorkflowHost
from lambdaagent.gateway.coordination.workflow_starts import WorkflowStarts
from lambdaagent.gateway.directory import Directory
from lambdaagent.gateway.metrics import GatewayMetrics
from lambdaagent.gateway.services import EventPublisher, Exchanges
from lambdaagent.httpclient.client import HttpClient
from lambdaagent.jobs.jobs import Jobs
from lambdaagent.messaging.messages import MessageLimits, Messages
from lambdaagent.registry.registry import Registry, RegistryLimits
from lambdaagent.store.coordination.database import Database
from lambdaagent.tasks.engine import Engine
from lambdaagent.voting.proposals import Proposals
from lambdaagent.webhooks.address_check import CheckOf
from lambdaagent.workflows.workflows import Workflows


@dataclass(frozen=True, slots=True, kw_only=True)
class Coordination:
    database: Database
    registry: Registry
    messages: Messages
    contexts: Contexts
    sessions: Sessions
    proposals: Proposals
    jobs: Jobs
    workflows: Workflows
    starts: WorkflowStarts
    receivers: TopicReceivers
    announcements: Announcements
    guard: Guard

    async def shared_context(self, owner: str, context_id: str) -> Json | None:
        """Return the data of a context in which the principal takes part, itself or by an agent that it registered."""
        found = await self.contexts.find(context_id)
        if found is None:
            return None
        own = {owner, owner.removeprefix("agent:"), *self.registry.of_owner(owner)}
        concerned = {found.created_by, *found.participants}
        return found.data if self.guard.mode is not Mode.ENFORCE or own & concerned else None


@asynccontextmanager
async def running(
    database: Database,
    config: GatewayConfig,
    *,
    directory: Directory,
    publisher: EventPublisher,
    exchanges: Exchanges,
    metrics: GatewayMetrics,
    check: CheckOf,
    tasks: Engine,
    client: HttpClient,
    clock: Clock,
    told: WhoAsks,
    guard: Guard,
    caller: WorkflowCaller,
) -> AsyncIterator[Coordination]:
    """Keep the registered agents in the directory, and deliver messages, until the end of the context."""
    namespace = config.registry_namespace
    announcements = Announcements(
        namespace=namespace, publisher=publisher, exchanges=exchanges, count=metrics.ingress, now=database.now
    )

    def changed(agent: RegisteredAgent) -> None:
        directory.upsert(
            registered_entries.lambda_agent(agent, namespace),
            url=None,
            ready=agent.status == "active" and registered_entries.callable_(agent),
            problem=registered_entries.why_not(agent),
            last_modified=datetime.fromtimestamp(agent.modified_at, UTC),
            registered=agent,
        )

    registry = Registry(
        database=database,
        cards=OutsideCards(check, config.trust),
        changed=changed,
        removed=lambda agent: directory.remove(namespace, agent.label),
        told=announcements.of_agent,
        limits=RegistryLimits(card_seconds=config.coordination.card_seconds),
    )
    messages = Messages(
        database=database,
        carrier=AgentCarrier(
            directory=directory,
            namespace=namespace,
            tasks=tasks,
            client=client,
            clock=clock,
            told=told,
            check=check,
            trust=config.trust,
            seconds=config.coordination.transport_seconds,
        ),
        told=announcements.of_message,
        limits=MessageLimits(queue=config.coordination.queue),
    )
    contexts = Contexts(
        database=database,
        told=announcements.of_context,
        limits=ContextLimits(largest=config.coordination.context_size, ttl=config.coordination.context_ttl),
    )
    proposals = Proposals(database=database, messages=messages, told=announcements.of_proposal)
    workers = AgentWorkers(
        directory=directory,
        namespace=namespace,
        guard=guard,
        tasks=tasks,
        messages=messages,
        registry=registry,
        definition=lambda task_id: jobs.definition(task_id),
    )
    jobs = Jobs(database=database, workers=workers, replica=config.replica or "gateway", told=announcements.of_job)
    messages.on_answer(jobs.answered)
    receivers = TopicReceivers(
        directory=directory,
        namespace=namespace,
        guard=guard,
        messages=messages,
        run=lambda run_id: workflows.run(run_id),
        listeners=lambda run_ids: workflows.listeners(run_ids),
    )

    def defined(workflow: Workflow) -> None:
        directory.upsert(
            workflow_entries.lambda_agent(workflow, namespace),
            url=None,
            ready=True,
            last_modified=datetime.fromtimestamp(workflow.modified_at, UTC),
            registered=workflow_entries.registered(workflow),
        )

    workflows = Workflows(
        database=database,
        host=WorkflowHost(
            directory=directory,
            namespace=namespace,
            guard=guard,
            tasks=tasks,
            messages=messages,
            receivers=receivers,
            http=HttpCalls(check=check, trust=config.trust),
            publisher=publisher,
            exchanges=exchanges,
        ),
        evaluator=Evaluator(),
        messages=messages,
        replica=config.replica or "gateway",
        told=announcements.of_run,
        changed=defined,
        removed=lambda name: directory.remove(namespace, PREFIX + name),
    )
    starts = WorkflowStarts(workflows=workflows)
    async with (
        announcements.running(),
        registry.running(),
        messages.running(),
        contexts.running(),
        proposals.running(),
        jobs.running(),
        workflows.running(),
        caller.running(starts),
    ):
        yield Coordination(
            database=database,
            registry=registry,
            messages=messages,
            contexts=contexts,
            sessions=Sessions(database=database, contexts=contexts, told=announcements.of_session),
            proposals=proposals,
            jobs=jobs,
            workflows=workflows,
            starts=starts,
            receivers=receivers,
            announcements=announcements,
            guard=guard,
        )
