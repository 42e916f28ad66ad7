"""Forwards: a Trigger from this agent's Broker to the target agent's Broker, by reference and never by a guessed URL.

A forward needs an existing target and consent on both sides. If both agents use the same Broker, nothing is built: the
target's own subscription delivers the events, and a Trigger would duplicate each of them.
"""

from dataclasses import dataclass
from enum import StrEnum

from lambdaagent.api import naming
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.api.eventing import Forward
from lambdaagent.children.base import AgentKey, Object, Observed, child
from lambdaagent.children.brokers import BROKER, BrokerIdentity, broker_of
from lambdaagent.children.triggers import TRIGGER, notes
from lambdaagent.events.filters import is_pattern
from lambdaagent.settings import Installation


class ForwardVerdict(StrEnum):
    RESOLVED = "Resolved"
    SAME_BROKER = "SameBroker"
    TARGET_NOT_FOUND = "TargetNotFound"
    TARGET_WITHOUT_EVENTING = "TargetWithoutEventing"
    NOT_ALLOWED = "TargetNamespaceNotAllowed"
    NOT_ACCEPTED = "NotAcceptedByTarget"
    CYCLE = "ForwardCycle"


# Verdicts without a problem; the others are reported in the condition ForwardsResolved.
FINE = frozenset({ForwardVerdict.RESOLVED, ForwardVerdict.SAME_BROKER})


@dataclass(frozen=True, slots=True)
class Decision:
    forward: Forward
    verdict: ForwardVerdict
    message: str
    target: BrokerIdentity | None = None


def decide(agent: LambdaAgent, installation: Installation, observed: Observed) -> list[Decision]:
    own = broker_of(agent, installation)
    if own is None or agent.spec.eventing is None:
        return []
    return [_decide(agent, own, forward, installation, observed) for forward in agent.spec.eventing.forwards]


def _decide(
    agent: LambdaAgent, own: BrokerIdentity, forward: Forward, installation: Installation, observed: Observed
) -> Decision:
    key = forward.target_namespace, forward.target_agent
    title = f"{forward.target_namespace}/{forward.target_agent}"
    target = observed.agents.get(key)
    if not _allowed(agent, forward):
        message = f"{title}: its namespace is not in permissions.allowedTargetNamespaces; add it there"
        return Decision(forward, ForwardVerdict.NOT_ALLOWED, message)
    if target is None:
        message = f"{title}: there is no such LambdaAgent; correct the forward or create it"
        if installation.namespaces and forward.target_namespace not in installation.namespaces:
            message = f"{title}: its namespace is not in LAMBDAAGENT_NAMESPACES, so it is ignored; add it there"
        return Decision(forward, ForwardVerdict.TARGET_NOT_FOUND, message)
    broker = broker_of(target, installation)
    if broker is None:
        return Decision(
            forward, ForwardVerdict.TARGET_WITHOUT_EVENTING, f"{title}: it has no eventing; add an eventing block to it"
        )
    accepted = target.spec.eventing.accept_forwards_from if target.spec.eventing else None
    if accepted is not None and agent.namespace not in accepted and "*" not in accepted:
        message = f"{title}: it accepts no forwards from {agent.namespace}; add that to its eventing.acceptForwardsFrom"
        return Decision(forward, ForwardVerdict.NOT_ACCEPTED, message)
    if broker.key == own.key:
        message = f"{title}: it has the same Broker {own.name}, so its own subscriptions deliver the events"
        return Decision(forward, ForwardVerdict.SAME_BROKER, message, broker)
    if cycle := next(
        filter(None, (_cycle(own, broker, kind, installation, observed) for kind in forward.event_types)), None
    ):
        message = f"{title}: events would circulate: {cycle}; remove one of the forwards"
        return Decision(forward, ForwardVerdict.CYCLE, message, broker)
    return Decision(forward, ForwardVerdict.RESOLVED, f"{title}: Broker {broker.name}", broker)


def _allowed(agent: LambdaAgent, forward: Forward) -> bool:
    if forward.target_namespace == agent.namespace:
        return True
    allowed = agent.spec.permissions.allowed_target_namespaces if agent.spec.permissions else []
    return forward.target_namespace in allowed or "*" in allowed


def _cycle(
    start: BrokerIdentity, first: BrokerIdentity, kind: str, installation: Installation, observed: Observed
) -> str | None:
    """Return the path of an event type from Broker to Broker back to its start, as text; None if there is none."""
    edges: dict[AgentKey, set[AgentKey]] = {}
    for agent in observed.agents.values():
        own = broker_of(agent, installation)
        if own is None or agent.spec.eventing is None:
            continue
        for forward in agent.spec.eventing.forwards:
            target = observed.agents.get((forward.target_namespace, forward.target_agent))
            broker = broker_of(target, installation) if target else None
            if broker and kind in forward.event_types and broker.key != own.key:
                edges.setdefault(own.key, set()).add(broker.key)
    waiting: list[tuple[AgentKey, tuple[AgentKey, ...]]] = [(first.key, (start.key, first.key))]
    seen = {first.key}
    while waiting:
        here, way = waiting.pop()
        if here == start.key:
            return " -> ".join("/".join(key) for key in way) + f" ({kind})"
        for following in sorted(edges.get(here, ())):
            if following not in seen:
                seen.add(following)
                waiting.append((following, (*way, following)))
    return None


def forward_triggers(agent: LambdaAgent, own: BrokerIdentity, decisions: list[Decision]) -> list[Object]:
    """Return the Triggers of forwards. A cycle is reported and built nevertheless: a filter that is unknown here may
    end it."""
    api_version, kind = BROKER
    out: dict[str, Object] = {}
    for decision in decisions:
        if decision.target is None or decision.verdict not in (ForwardVerdict.RESOLVED, ForwardVerdict.CYCLE):
            continue
        target, forward = decision.target, decision.forward
        reference = {"apiVersion": api_version, "kind": kind, "name": target.name, "namespace": target.namespace}
        for event_type in forward.event_types:
            if is_pattern(event_type):
                continue
            name = naming.forward_trigger(
                agent.name,
                event_type=event_type,
                target=target.name,
                target_namespace=target.namespace,
                broker=own.name,
            )
            spec: Object = {
                "broker": own.name,
                "filter": {"attributes": {"type": event_type}},
                "subscriber": {"ref": reference},
            }
            annotations = notes(event_type, forward.description)
            out[name] = child(agent, *TRIGGER, name, "trigger-forward", spec, annotations=annotations)
    return list(out.values())
