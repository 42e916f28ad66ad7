"""Calls that travel as events: which events call a skill of `invoke.mode: async`, and how they reach their agent.

Such an event goes to the gateway (`/events/{ns}/to/{agent}`), which calls the container, so that the response of a
container without knowledge of tasks is assigned to its task. There are two kinds: an event that the
gateway addressed to this agent (`a2aagent`), and an event of the skill's own `eventType` from another producer, which
opens a task.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from lambdaagent.api.agent import LambdaAgent
from lambdaagent.api.skills import Skill
from lambdaagent.events import types
from lambdaagent.events.cloudevents import Event

AGENT = "a2aagent"
CORRELATION = ("a2ataskid", "a2acontextid")
"""Attributes that assign a response to its task."""


@dataclass(frozen=True, slots=True)
class Calls:
    """`skills` by the type of the event that calls them; `a2askillid` selects among several with one type."""

    agent: str
    skills: Mapping[str, tuple[Skill, ...]]

    def filters(self) -> list[dict[str, str]]:
        """Return the attributes of events that call this agent."""
        return [{"type": kind, AGENT: self.agent} for kind in sorted(self.skills)]

    def addressed(self, event: Event) -> bool:
        return event.type in self.skills and event.extensions.get(AGENT) == self.agent

    def opens(self, kind: str) -> bool:
        """Whether an event of this type without an addressee is a call; one of the common type is not."""
        return kind in self.skills and kind != types.INVOKE_ASYNC

    def skill(self, event: Event) -> Skill | None:
        """Return the skill that the event calls; None if it calls none."""
        said = event.extensions.get(AGENT)
        if said not in (None, self.agent) or (said is None and not self.opens(event.type)):
            return None
        known = self.skills.get(event.type, ())
        wanted = event.extensions.get("a2askillid")
        return next((skill for skill in known if skill.id == wanted), known[0] if known and wanted is None else None)


def calls(agent: LambdaAgent) -> Calls:
    a2a = agent.spec.a2a
    found: dict[str, tuple[Skill, ...]] = {}
    # A sidecar keeps its tasks itself, and the gateway does not know them.
    for skill in a2a.skills if a2a and a2a.enabled and a2a.mode == "gateway" else ():
        if skill.is_async:
            kind = event_type(skill)
            found[kind] = (*found.get(kind, ()), skill)
    return Calls(agent.name, found)


def event_type(skill: Skill) -> str:
    """Return the type of the event that calls an async skill."""
    return skill.invocation.event_type or types.INVOKE_ASYNC


def invoke_seconds(skill: Skill) -> int:
    """Return the seconds that the response may take."""
    return skill.invocation.timeout_seconds


def correlated(reply: Event, asked: Event) -> Event:
    """Return the reply with the task ids of its request, because an unchanged container does not know of tasks."""
    ids = {name: asked.extensions[name] for name in CORRELATION if name in asked.extensions}
    return replace(reply, extensions={**ids, **reply.extensions}) if ids else reply


def undelivered(event: Event, reason: str) -> Event | None:
    """Return the error event for the task whose call could not be delivered; None if the event is no task's call."""
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
