"""The topology of an agent on plain RabbitMQ or the in-process broker: one queue, bound to its Broker's exchange."""

from dataclasses import dataclass

from lambdaagent.api import naming
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.api.workload import DEFAULT_TIMEOUT_SECONDS
from lambdaagent.children.async_calls import Calls, calls
from lambdaagent.children.base import Observed
from lambdaagent.children.brokers import broker_of, retries
from lambdaagent.children.forwards import ForwardVerdict, decide
from lambdaagent.children.triggers import attributes, exact
from lambdaagent.events.cloudevents import Event
from lambdaagent.events.filters import Interest, interest, is_pattern
from lambdaagent.events.retry import Policy, seconds
from lambdaagent.settings import Installation


@dataclass(frozen=True, slots=True)
class Topology:
    exchange: str
    queue: str
    bindings: tuple[dict[str, str], ...]
    parallelism: int
    policy: Policy
    dead_letters: str
    interest: Interest
    calls: Calls
    keep_dead: bool
    """False if the agent's dlq.enabled is false: events that cannot be delivered are dropped."""

    def wants(self, event: Event) -> bool:
        return not self.interest.filtered or self.calls.addressed(event) or self.interest.wants(event)


def topology(agent: LambdaAgent, installation: Installation) -> Topology | None:
    """Return the agent's topology; None if the agent takes no events."""
    identity, eventing = broker_of(agent, installation), agent.spec.eventing
    if identity is None or eventing is None:
        return None
    own = eventing.event_source if eventing.skip_own else None
    wanted = interest([(each.event_type, each.source) for each in eventing.subscriptions], own=own)
    called = calls(agent)
    bindings = [attributes(subscription) for subscription in exact(eventing)]
    if wanted.patterns:
        bindings = [{}]  # all events, because bindings match exactly; the consumer filters them
    return Topology(
        exchange=naming.exchange(agent.namespace, identity.name),
        queue=naming.queue(agent.namespace, agent.name),
        bindings=(*bindings, *called.filters()),
        parallelism=eventing.parallelism,
        policy=policy(agent, installation),
        dead_letters=naming.dead_letters(agent.namespace),
        interest=wanted,
        calls=called,
        keep_dead=not eventing.dlq or eventing.dlq.enabled,
    )


def forwarded(agent: LambdaAgent, installation: Installation, observed: Observed) -> dict[str, list[str]]:
    """Return the event types to forward from the agent's exchange, by target exchange, in order and each once."""
    if not agent.spec.eventing or not agent.spec.eventing.forwards:
        return {}
    found: dict[str, dict[str, None]] = {}
    for decision in decide(agent, installation, observed):
        if decision.target is not None and decision.verdict in (ForwardVerdict.RESOLVED, ForwardVerdict.CYCLE):
            types = found.setdefault(naming.exchange(decision.target.namespace, decision.target.name), {})
            types |= dict.fromkeys(kind for kind in decision.forward.event_types if not is_pattern(kind))
    return {exchange: list(types) for exchange, types in found.items()}


def policy(agent: LambdaAgent, installation: Installation) -> Policy:
    """Return the agent's delivery with the installation's defaults filled in."""
    eventing = agent.spec.eventing
    delivery = eventing.delivery if eventing else None
    delay = (delivery and delivery.backoff_delay) or installation.delivery_backoff_delay
    timeout = (agent.spec.serving and agent.spec.serving.timeout_seconds) or DEFAULT_TIMEOUT_SECONDS
    return Policy(
        retry=retries(agent, installation),
        backoff=(delivery and delivery.backoff_policy) or "exponential",
        delay=seconds(delay),
        timeout=seconds(delivery.timeout) if delivery and delivery.timeout else float(timeout),
    )
