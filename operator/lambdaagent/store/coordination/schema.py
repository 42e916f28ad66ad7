"""All tables of coordination: `metadata` knows them once this module is imported."""

from lambdaagent.store.coordination.agents import agents
from lambdaagent.store.coordination.contexts import contexts, deltas
from lambdaagent.store.coordination.jobs import jobs, tasks, turns
from lambdaagent.store.coordination.messages import deliveries, messages, subscriptions
from lambdaagent.store.coordination.proposals import proposals, votes
from lambdaagent.store.coordination.sessions import sessions
from lambdaagent.store.coordination.tables import metadata
from lambdaagent.store.coordination.workflows import runs, steps, workflows

TABLES = (
    *(agents, messages, deliveries, subscriptions, contexts, deltas, proposals, votes, tasks, jobs, turns),
    *(sessions, workflows, runs, steps),
)

__all__ = ["TABLES", "metadata"]
