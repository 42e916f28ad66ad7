"""The routes under `/a2a`, at which agents of all kinds register, are found and work together."""

from functools import partial

from lambdaagent.access.actions import Action, Credential
from lambdaagent.gateway.coordination import (
    agents,
    contexts,
    health,
    hooks,
    jobs,
    messages,
    proposals,
    sessions,
    unified,
    websocket,
    workflows,
)
from lambdaagent.gateway.routes.route_types import Route

_SEEN = partial(Route, action=Action.DISCOVER, credential=Credential.CALLER)
_REGISTERED = partial(Route, action=Action.REGISTER, credential=Credential.CALLER)
_SENT = partial(Route, action=Action.INVOKE, credential=Credential.CALLER)
_OWN = partial(Route, action=Action.COORDINATE, credential=Credential.CALLER)
_CONTEXT, _PROPOSALS = "/a2a/context/{id}", "/a2a/proposals"
_HOOK = partial(Route, action=Action.TRIGGER, credential=Credential.SIGNATURE)
_SESSIONS = "/a2a/sessions"
_TASKS, _JOBS = "/a2a/tasks", "/a2a/jobs"
_WORKFLOWS, _RUN = "/a2a/workflows", "/a2a/runs/{id}"
_MESSAGE, _SUBSCRIPTIONS = "/a2a/messages/{id}", "/a2a/subscriptions"
_AGENT = r"/a2a/agents/{id:[^/]+(?:/[^/]+)?}"


def routes() -> list[Route]:
    any_protocol = "MCP, A2A, CloudEvents or a message to an agent; each is answered in its own form and decides itself"
    registered = "Register an agent elsewhere, or the same one again"
    found = "Agents by capability, skill, tag, text and status"
    changed, beaten = "Change an agent that the caller registered", "Say that an agent is alive, and how busy it is"
    sent = "Send a message to an agent, several, a topic or all; 202 once it is durable"
    fetched, acknowledged = "What is in an agent's mailbox, by long poll", "Say that an agent has a message"
    connected = "Messages of an agent without an inbound port, as CloudEvents on a WebSocket"
    hooked = "Start a job by a signed webhook of GitHub, Slack or another sender"
    subscribed, counted = "Subscribe an agent to a topic", "Whether coordination works; for administrators, its numbers"
    return [
        _SEEN(name="a2a-unified", method="POST", path="/a2a", handler=unified.serve, summary=any_protocol),
        _REGISTERED(
            name="a2a-register", method="POST", path="/a2a/register", handler=agents.register, summary=registered
        ),
        _SEEN(name="a2a-discover", method="GET", path="/a2a/discover", handler=agents.discover, summary=found),
        _SEEN(name="a2a-discover-by-body", method="POST", path="/a2a/discover", handler=agents.discover, summary=found),
        _REGISTERED(
            name="a2a-heartbeat",
            method="POST",
            path="/a2a/agents/{id}/heartbeat",
            handler=agents.heartbeat,
            summary=beaten,
        ),
        _SEEN(name="a2a-agent", method="GET", path=_AGENT, handler=agents.get, summary="One agent"),
        _REGISTERED(name="a2a-agent-change", method="PATCH", path=_AGENT, handler=agents.change, summary=changed),
        _REGISTERED(
            name="a2a-agent-delete",
            method="DELETE",
            path=_AGENT,
            handler=agents.delete,
            summary="Remove a registered agent",
        ),
        _SENT(name="a2a-message-send", method="POST", path="/a2a/message", handler=messages.send, summary=sent),
        _OWN(name="a2a-messages", method="GET", path="/a2a/messages", handler=messages.mailbox, summary=fetched),
        _OWN(name="a2a-websocket", method="GET", path="/a2a/ws", handler=websocket.serve, summary=connected),
        _OWN(
            name="a2a-message-state",
            method="GET",
            path=_MESSAGE,
            handler=messages.get,
            summary="A message and what became of it",
        ),
        _OWN(
            name="a2a-message-ack",
            method="POST",
            path=f"{_MESSAGE}/ack",
            handler=messages.acknowledge,
            summary=acknowledged,
        ),
        _OWN(name="a2a-subscribe", method="POST", path=_SUBSCRIPTIONS, handler=messages.subscribe, summary=subscribed),
        _OWN(
            name="a2a-subscriptions",
            method="GET",
            path=_SUBSCRIPTIONS,
            handler=messages.subscriptions,
            summary="The subscriptions of an agent",
        ),
        _OWN(
            name="a2a-unsubscribe",
            method="DELETE",
            path=f"{_SUBSCRIPTIONS}/{{id}}",
            handler=messages.unsubscribe,
            summary="End a subscription",
        ),
        *_contexts(),
        *_proposals(),
        *_jobs(),
        *_sessions(),
        _HOOK(name="hook", method="POST", path="/hooks/{id}", handler=hooks.serve, summary=hooked),
        _SEEN(name="a2a-health", method="GET", path="/a2a/health", handler=health.health, summary=counted),
        *_workflows(),
    ]


def _contexts() -> list[Route]:
    made, changed = "Create a shared context", "Change a shared context by a JSON Merge Patch"
    return [
        _OWN(name="a2a-context-create", method="POST", path="/a2a/context", handler=contexts.create, summary=made),
        _OWN(
            name="a2a-contexts",
            method="GET",
            path="/a2a/context",
            handler=contexts.listing,
            summary="The contexts that the caller created",
        ),
        _OWN(name="a2a-context", method="GET", path=_CONTEXT, handler=contexts.get, summary="A shared context"),
        _OWN(name="a2a-context-patch", method="PATCH", path=_CONTEXT, handler=contexts.patch, summary=changed),
        _OWN(
            name="a2a-context-delete",
            method="DELETE",
            path=_CONTEXT,
            handler=contexts.delete,
            summary="Delete a shared context",
        ),
        _OWN(
            name="a2a-context-deltas",
            method="GET",
            path=f"{_CONTEXT}/deltas",
            handler=contexts.deltas,
            summary="The changes of a shared context, as JSON Patches",
        ),
        _OWN(
            name="a2a-context-merge",
            method="POST",
            path=f"{_CONTEXT}/merge",
            handler=contexts.merge,
            summary="Merge data, or another context, into a shared context",
        ),
        _OWN(
            name="a2a-context-settings",
            method="PATCH",
            path=f"{_CONTEXT}/settings",
            handler=contexts.settle,
            summary="Who takes part in a shared context, how its keys are merged and how long it lasts",
        ),
    ]


def _proposals() -> list[Route]:
    opened, listed = "Open a proposal on which agents vote", "The newest proposals of the caller"
    return [
        _OWN(name="a2a-proposal-create", method="POST", path=_PROPOSALS, handler=proposals.create, summary=opened),
        _OWN(name="a2a-proposals", method="GET", path=_PROPOSALS, handler=proposals.listing, summary=listed),
        _OWN(
            name="a2a-proposal",
            method="GET",
            path=f"{_PROPOSALS}/{{id}}",
            handler=proposals.get,
            summary="A proposal and its votes",
        ),
        _OWN(
            name="a2a-vote",
            method="POST",
            path=f"{_PROPOSALS}/{{id}}/votes",
            handler=proposals.vote,
            summary="Vote, or change a vote",
        ),
        _OWN(
            name="a2a-proposal-close",
            method="POST",
            path=f"{_PROPOSALS}/{{id}}/close",
            handler=proposals.close,
            summary="Decide a proposal before its deadline",
        ),
    ]


def _jobs() -> list[Route]:
    given, canceled = "Have a task done by an agent; 202 once the job is durable", "Cancel a job"
    task, job = f"{_TASKS}/{{id}}", f"{_JOBS}/{{id}}"
    return [
        _OWN(name="a2a-task-create", method="POST", path=_TASKS, handler=jobs.define, summary="Define a task"),
        _OWN(name="a2a-tasks", method="GET", path=_TASKS, handler=jobs.definitions, summary="The caller's tasks"),
        _OWN(name="a2a-task", method="GET", path=task, handler=jobs.definition, summary="A defined task"),
        _OWN(name="a2a-task-delete", method="DELETE", path=task, handler=jobs.undefine, summary="Delete a task"),
        _OWN(name="a2a-job-create", method="POST", path=_JOBS, handler=jobs.submit, summary=given),
        _OWN(name="a2a-jobs", method="GET", path=_JOBS, handler=jobs.jobs, summary="The caller's jobs"),
        _OWN(name="a2a-job", method="GET", path=job, handler=jobs.job, summary="A job and its result"),
        _OWN(name="a2a-job-cancel", method="POST", path=f"{job}/cancel", handler=jobs.cancel, summary=canceled),
    ]


def _sessions() -> list[Route]:
    one, started = f"{_SESSIONS}/{{id}}", "Start a session in which agents work together"
    changed = "Pause, complete or terminate a session, or change who takes part"
    return [
        _OWN(name="a2a-session-create", method="POST", path=_SESSIONS, handler=sessions.start, summary=started),
        _OWN(
            name="a2a-sessions", method="GET", path=_SESSIONS, handler=sessions.listing, summary="The caller's sessions"
        ),
        _OWN(name="a2a-session", method="GET", path=one, handler=sessions.get, summary="A session"),
        _OWN(name="a2a-session-change", method="PATCH", path=one, handler=sessions.change, summary=changed),
    ]


def _workflows() -> list[Route]:
    one, runs = f"{_WORKFLOWS}/{{name}}", f"{_WORKFLOWS}/{{name}}/runs"
    put, begun = (
        "Create a workflow, or its next version, from YAML or JSON",
        "Run a workflow; 202 once the run is durable",
    )
    shown, gone = "A workflow that the caller may run", "Delete a workflow; its runs go on"
    listed, mine, ended = "Workflows that the caller may run", "The caller's runs of a workflow", "Cancel a run"
    put_, list_, one_ = "a2a-workflow-create", "a2a-workflows", "a2a-workflow"
    return [
        _OWN(name=put_, method="POST", path=_WORKFLOWS, handler=workflows.define, summary=put),
        _SEEN(name=list_, method="GET", path=_WORKFLOWS, handler=workflows.workflows, summary=listed),
        _SEEN(name=one_, method="GET", path=one, handler=workflows.workflow, summary=shown),
        _OWN(name="a2a-workflow-delete", method="DELETE", path=one, handler=workflows.undefine, summary=gone),
        _SENT(name="a2a-run-create", method="POST", path=runs, handler=workflows.start, summary=begun),
        _OWN(name="a2a-runs", method="GET", path=runs, handler=workflows.runs, summary=mine),
        _OWN(name="a2a-run", method="GET", path=_RUN, handler=workflows.run, summary="A run and its output"),
        _OWN(name="a2a-run-cancel", method="DELETE", path=_RUN, handler=workflows.cancel, summary=ended),
    ]
