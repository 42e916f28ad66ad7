"""Triggers from the agent's Broker to the agent.

The RabbitMQ broker matches exact attributes only, ignores `filters` and takes an empty value literally. A Trigger's own
`delivery` replaces that of the Broker as a whole, so it is either absent or complete.
"""

from lambdaagent.api import naming
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.api.eventing import Eventing, Subscription
from lambdaagent.children import gateway, sidecar
from lambdaagent.children.async_calls import calls, invoke_seconds
from lambdaagent.children.base import Object, child
from lambdaagent.children.brokers import BrokerIdentity, retries
from lambdaagent.children.brokers import delivery as default_delivery
from lambdaagent.events.filters import is_pattern
from lambdaagent.settings import Installation

TRIGGER = ("eventing.knative.dev/v1", "Trigger")
_GRACE_SECONDS = 5
PARALLELISM = "rabbitmq.eventing.knative.dev/parallelism"


def bare(event_type: str) -> str:
    """Return the type without a prefix that lists of emitted types often leave out, while other fields have it."""
    return event_type.removeprefix("io.homelab.")


def exact(eventing: Eventing) -> list[Subscription]:
    """Return the subscriptions that can be matched exactly, each (type, source) once."""
    unique = {
        (subscription.event_type, subscription.source or ""): subscription
        for subscription in eventing.subscriptions
        if not is_pattern(subscription.event_type) and not is_pattern(subscription.source)
    }
    return list(unique.values())


def attributes(subscription: Subscription) -> dict[str, str]:
    """Return the attributes that an event must have to be delivered; none has an empty value."""
    source = {"source": subscription.source} if subscription.source else {}
    return {"type": subscription.event_type} | source


def subscription_triggers(
    agent: LambdaAgent,
    identity: BrokerIdentity,
    installation: Installation,
    *,
    subscriber: tuple[str, str],
    delivery: Object | None,
) -> list[Object]:
    """Return the Triggers of subscriptions; `delivery` is the result of `own_delivery`."""
    eventing = agent.spec.eventing
    if eventing is None:
        return []
    api_version, kind = subscriber
    reference = {"apiVersion": api_version, "kind": kind, "name": agent.name, "namespace": agent.namespace}
    path = sidecar.delivery_path(agent, installation.keys) if sidecar.wanted(agent, installation) else "/"
    at_agent = {"ref": reference} | ({"uri": path} if path != "/" else {})
    called, at_gateway = calls(agent), gateway.events_to(agent, installation)
    parallelism = {PARALLELISM: str(eventing.parallelism)} if eventing.parallelism > 1 else {}
    out = []
    for subscription in exact(eventing):
        name = naming.subscription_trigger(
            agent.name, event_type=subscription.event_type, source=subscription.source, broker=identity.name
        )
        spec: Object = {
            "broker": identity.name,
            "filter": {"attributes": attributes(subscription)},
            # An event that calls a skill opens a task, which the gateway keeps.
            "subscriber": {"uri": at_gateway} if at_gateway and called.opens(subscription.event_type) else at_agent,
        }
        if delivery:
            spec["delivery"] = delivery
        annotations = notes(subscription.event_type, subscription.description) | parallelism
        out.append(child(agent, *TRIGGER, name, "trigger", spec, annotations=annotations))
    return out


def call_triggers(
    agent: LambdaAgent, identity: BrokerIdentity, installation: Installation, *, delivery: Object | None
) -> list[Object]:
    """Return the Triggers of calls that travel as events: one per type, to the gateway, which keeps their tasks."""
    eventing, at_gateway = agent.spec.eventing, gateway.events_to(agent, installation)
    if eventing is None or at_gateway is None:
        return []
    called = calls(agent)
    out = []
    for attributes_ in called.filters():
        name = naming.call_trigger(agent.name, event_type=attributes_["type"], broker=identity.name)
        spec: Object = {
            "broker": identity.name,
            "filter": {"attributes": attributes_},
            "subscriber": {"uri": at_gateway},
        }
        if delivery:
            seconds = max(map(invoke_seconds, called.skills[attributes_["type"]])) + _GRACE_SECONDS
            # The gateway responds when the call has ended; an earlier retry would call the agent a second time.
            spec["delivery"] = delivery | ({"timeout": f"PT{seconds}S"} if "timeout" in delivery else {})
        # Calls do not wait for each other: the broker does not order tasks.
        annotations = notes(attributes_["type"], "calls over A2A") | {PARALLELISM: str(max(10, eventing.parallelism))}
        out.append(child(agent, *TRIGGER, name, "trigger-call", spec, annotations=annotations))
    return out


def notes(event_type: str, description: str | None) -> dict[str, str]:
    """Return annotations for readers of a Trigger, whose name contains a hash."""
    said = {naming.ANNOTATION_DESCRIPTION: description} if description else {}
    return {naming.ANNOTATION_EVENT_TYPE: event_type} | said


def own_delivery(agent: LambdaAgent, installation: Installation, *, broker: Object) -> Object | None:
    """Return the agent's delivery if it differs from that of its Broker, else None."""
    eventing = agent.spec.eventing
    if eventing is None:
        return None
    wanted = default_delivery(agent.namespace, installation, retry=retries(agent, installation))
    if eventing.dlq and not eventing.dlq.enabled:
        wanted.pop("deadLetterSink", None)
    if eventing.delivery:
        wanted |= eventing.delivery.model_dump(by_alias=True, exclude_none=True)
    return wanted if wanted != broker else None
