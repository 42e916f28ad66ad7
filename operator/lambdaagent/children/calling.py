"""Calls that travel as events: which events call a skill of `invoke.mode: async`, and how they reach their agent.

Such an event goes to the gateway (`/events/{ns}/to/{agent}`), which calls the container, so that the answer of a
container that knows nothing of tasks finds its task (design section 4). Two kinds: one that the gateway addressed to
this agent (`a2aagent`), and one of the skill's own `eventType` that somebody else sent and that opens a task.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from lambdaagent.api.a2a import Invoke, Skill
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.events import types
from lambdaagent.events.cloudevents import Event

AGENT = "a2aagent"
CORRELATION = ("a2ataskid", "a2acontextid")
"""What an answer must carry to find its task."""


@dataclass(frozen=True, slots=True)
class Calls:
    """`skills` by the type of the event that calls each; of several with one type, `a2askillid` tells."""

    agent: str
    skills: Mapping[str, tuple[Skill, ...]]

    def filters(self) -> list[dict[str, str]]:
        """What an event must carry to be a call of this agent."""
        return [{"type": kind, AGENT: self.agent} for kind in sorted(self.skills)]

    def addressed(self, event: Event) -> bool:
        return event.type in self.skills and event.extensions.get(AGENT) == self.agent

    def opens(self, kind: str) -> bool:
        """Whether an event of this type that is addressed to nobody is a call: not of the common type."""
        return kind in self.skills and kind != types.INVOKE_ASYNC

    def skill(self, event: Event) -> Skill | None:
        """None: the event calls none of them."""
        said = event.extensions.get(AGENT)
        if said not in (None, self.agent) or (said is None and not self.opens(event.type)):
            return None
        known = self.skills.get(event.type, ())
        wanted = event.extensions.get("a2askillid")
        return next((skill for skill in known if skill.id == wanted), known[0] if known and wanted is None else None)


def calls(agent: LambdaAgent) -> Calls:
    a2a = agent.spec.a2a
    found: dict[str, tuple[Skill, ...]] = {}
    # A sidecar keeps its tasks itself, and no gateway knows them.
    for skill in a2a.skills if a2a and a2a.enabled and a2a.mode == "gateway" else ():
        if skill.invoke is not None and skill.invoke.mode == "async":
            kind = event_type(skill)
            found[kind] = (*found.get(kind, ()), skill)
    return Calls(agent.name, found)


def event_type(skill: Skill) -> str:
    """Of the event that calls an async skill."""
    return (skill.invoke and skill.invoke.event_type) or types.INVOKE_ASYNC


def invoke_seconds(skill: Skill) -> int:
    """Time for the answer."""
    return skill.invoke.timeout_seconds if skill.invoke else Invoke().timeout_seconds


def correlated(reply: Event, asked: Event) -> Event:
    """An unchanged container does not know of tasks, so its reply gets the ids of what it replies to."""
    ids = {name: asked.extensions[name] for name in CORRELATION if name in asked.extensions}
    return replace(reply, extensions={**ids, **reply.extensions}) if ids else reply


def undelivered(event: Event, reason: str) -> Event | None:
    """What the task is told whose call could not be delivered; None for an event that is no task's call."""
    if AGENT not in event.extensions or "a2ataskid" not in event.extensions:
        return None
    kept = {name: event.extensions[name] for name in (*CORRELATION, AGENT) if name in event.extensions}
    return Event(
        id=f"{event.id}-undelivered",
        source=event.source,
        type=types.RESPONSE_ERROR,
        data=f"The call could not be delivered: {reason}.".encode(),
        datacontenttype="text/plain",
        extensions=kept,
    )
