"""The plan: all children of an agent, in the order in which they are applied."""

from dataclasses import dataclass

from lambdaagent.api.agent import FieldWarning, LambdaAgent
from lambdaagent.children import brokers, forwards, gateway, knative, kubernetes, monitoring, network_policy, triggers
from lambdaagent.children.base import Backends, Object, Observed
from lambdaagent.children.brokers import BrokerIdentity
from lambdaagent.children.warnings import warnings
from lambdaagent.settings import Installation


@dataclass(frozen=True, slots=True)
class Child:
    """`shared`: several agents own the object. `fixed`: its spec cannot be changed once it exists."""

    obj: Object
    shared: bool = False
    fixed: bool = False

    @property
    def kind(self) -> tuple[str, str]:
        return self.obj["apiVersion"], self.obj["kind"]

    @property
    def name(self) -> str:
        name: str = self.obj["metadata"]["name"]
        return name


@dataclass(frozen=True, slots=True)
class Plan:
    children: tuple[Child, ...]
    backends: Backends
    broker: BrokerIdentity | None
    forwards: tuple[forwards.Decision, ...]
    warnings: tuple[FieldWarning, ...]
    # The Broker whose address is needed to build the workload; meanwhile an existing workload is not changed.
    awaited: BrokerIdentity | None = None


def plan(agent: LambdaAgent, *, installation: Installation, backends: Backends, observed: Observed) -> Plan:
    identity = brokers.broker_of(agent, installation)
    on_knative = backends.eventing == "knative"
    decisions = forwards.decide(agent, installation, observed) if backends.eventing != "none" else []
    children: list[Child] = []
    if identity and on_knative:
        shared, said = not identity.dedicated, brokers.broker_delivery(agent, identity, installation, observed)
        children += [
            Child(brokers.broker_config(agent, identity), shared=shared, fixed=True),
            Child(brokers.broker(agent, identity, delivery=said), shared=shared, fixed=True),
        ]
    sink = gateway.events_from(agent, installation)
    awaited = None
    if sink is None and identity and on_knative:
        sink = observed.broker_urls.get(identity.key)
        awaited = identity if sink is None else None
    if policy := network_policy.network_policy(agent, installation, backends):
        children.append(Child(policy))  # before the pods that it closes
    if awaited is None and agent.external is None:
        children += [Child(obj) for obj in _workload(agent, installation, backends, sink)]
    if identity and on_knative:
        subscriber = knative.SERVICE if backends.serving == "knative" else ("v1", "Service")
        delivery = triggers.own_delivery(agent, installation, broker=said)
        subscribing = triggers.subscription_triggers(
            agent, identity, installation, subscriber=subscriber, delivery=delivery
        )
        children += map(Child, subscribing)
        children += map(Child, triggers.call_triggers(agent, identity, installation, delivery=delivery))
        children += map(Child, forwards.forward_triggers(agent, identity, decisions))
    if service := gateway.a2a_service(agent, installation):
        children.append(Child(service))
    if backends.monitoring and agent.external is None:
        children += map(Child, monitoring.monitoring(agent, backends.serving))
    return Plan(
        children=tuple(children),
        backends=backends,
        broker=identity,
        forwards=tuple(decisions),
        warnings=tuple(warnings(agent, installation, backends, observed)),
        awaited=awaited,
    )


def _workload(agent: LambdaAgent, installation: Installation, backends: Backends, sink: str | None) -> list[Object]:
    if backends.serving == "knative":
        return [knative.knative_service(agent, installation, sink=sink)]
    parts = [
        kubernetes.deployment(agent, installation, sink=sink),
        kubernetes.service(agent, installation),
        kubernetes.autoscaler(agent),
    ]
    return [part for part in parts if part]
