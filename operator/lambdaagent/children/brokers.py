"""Decides which Broker an agent uses, and builds that Broker's objects.

There is one shared Broker per namespace and RabbitMQ cluster: agents that exchange events must share a Broker, and each
Broker costs pods. It carries one owner reference per agent, so garbage collection counts the references. Its whole spec
is immutable upstream, so it must be complete at creation and the same whichever agent creates it.

A Trigger with a delivery of its own costs a pod, so a new Broker gets the number of attempts that most of its agents
want. Agents whose Triggers have their own delivery in any case, and agents without Triggers, do not count. Once the
Broker exists, agents are compared with its delivery, even if the majority has changed.
"""

from collections import Counter
from dataclasses import dataclass

from lambdaagent.api import naming
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.children import gateway
from lambdaagent.children.async_calls import calls
from lambdaagent.children.base import Object, Observed, labels, owner_reference
from lambdaagent.settings import Installation

BROKER = ("eventing.knative.dev/v1", "Broker")
BROKER_CONFIG = ("eventing.knative.dev/v1alpha1", "RabbitmqBrokerConfig")
BROKER_CLASS = "RabbitMQBroker"


@dataclass(frozen=True, slots=True)
class BrokerIdentity:
    namespace: str
    name: str
    cluster: str
    cluster_namespace: str
    dedicated: bool
    by_secret: bool = False
    """`cluster` is the name of a Secret with the address of a RabbitMQ that no cluster operator runs."""

    @property
    def key(self) -> tuple[str, str]:
        return self.namespace, self.name


def broker_of(agent: LambdaAgent, installation: Installation) -> BrokerIdentity | None:
    """Return the agent's Broker; None if the agent has no eventing, or is an external one, which takes no events."""
    eventing = agent.spec.eventing
    if not eventing or not eventing.enabled or agent.external is not None:
        return None
    default = (installation.rabbitmq_cluster, installation.rabbitmq_namespace)
    chosen = eventing.rabbitmq
    cluster, namespace = (chosen.cluster_name, chosen.namespace) if chosen else default
    secret = chosen.connection_secret if chosen else None
    choice = eventing.broker
    dedicated = bool(choice and choice.dedicated)
    if dedicated:
        name = naming.dedicated_broker(agent.name)
    elif choice and choice.name:
        name = choice.name
    else:
        # No RabbitmqCluster can have this name, so a Secret of the same name as a cluster is another RabbitMQ.
        known_as = f"secret/{secret}" if secret else cluster
        name = naming.shared_broker(cluster=known_as, cluster_namespace=namespace, default=default)
    return BrokerIdentity(agent.namespace, name, secret or cluster, namespace, dedicated, by_secret=bool(secret))


def broker_config(agent: LambdaAgent, identity: BrokerIdentity) -> Object:
    where: Object = (
        {"connectionSecret": {"name": identity.cluster}} if identity.by_secret else {"name": identity.cluster}
    )
    spec: Object = {
        "rabbitmqClusterReference": {**where, "namespace": identity.cluster_namespace},
        "queueType": "quorum",
    }
    return _object(agent, identity, *BROKER_CONFIG, "broker-config", spec)


def broker(agent: LambdaAgent, identity: BrokerIdentity, *, delivery: Object) -> Object:
    """Return the Broker; `delivery` is the result of `broker_delivery`."""
    api_version, kind = BROKER_CONFIG
    spec: Object = {
        "config": {"apiVersion": api_version, "kind": kind, "name": identity.name, "namespace": identity.namespace},
    }
    if delivery:
        spec["delivery"] = delivery
    out = _object(agent, identity, *BROKER, "broker", spec)
    out["metadata"]["annotations"] = {"eventing.knative.dev/broker.class": BROKER_CLASS}
    return out


def broker_delivery(
    agent: LambdaAgent, identity: BrokerIdentity, installation: Installation, observed: Observed
) -> Object:
    """Return the delivery of the existing Broker (empty if it has none), or else the one to create it with."""
    there = observed.broker_deliveries.get(identity.key)
    if there is not None:
        return there
    return delivery(identity.namespace, installation, retry=_most_wanted(agent, identity, installation, observed))


def delivery(namespace: str, installation: Installation, *, retry: int) -> Object:
    """Return a delivery with the installation's back-off and dead-letter sink."""
    said: Object = {
        "retry": retry,
        "backoffPolicy": "exponential",
        "backoffDelay": installation.delivery_backoff_delay,
    }
    sink = gateway.dead_letters(namespace, installation)
    return said | ({"deadLetterSink": {"uri": sink}} if sink else {})


def retries(agent: LambdaAgent, installation: Installation) -> int:
    """Return the attempts after the first one; `dlq.retryMaxAttempts` is the older name of `delivery.retry`."""
    eventing = agent.spec.eventing
    if eventing and eventing.delivery and eventing.delivery.retry is not None:
        return eventing.delivery.retry
    return eventing.dlq.retry_max_attempts if eventing and eventing.dlq else installation.delivery_retry


def _most_wanted(agent: LambdaAgent, identity: BrokerIdentity, installation: Installation, observed: Observed) -> int:
    """Return the most frequent number of retries; on a tie the installation's, else the smallest. The result does not
    depend on which agent creates the Broker."""
    agents = {key: each for key, each in observed.agents.items() if key[0] == identity.namespace}
    agents[agent.namespace, agent.name] = agent
    voters = (each for each in agents.values() if _is_of(identity, each, installation) and _could_share(each))
    votes = Counter(retries(each, installation) for each in voters)
    default = installation.delivery_retry
    return min(votes, key=lambda value: (-votes[value], value != default, value), default=default)


def _could_share(agent: LambdaAgent) -> bool:
    """Whether the Broker's number of attempts decides if the agent's Triggers need a delivery of their own."""
    eventing = agent.spec.eventing
    if not eventing or (eventing.dlq and not eventing.dlq.enabled):
        return False
    more = eventing.delivery and eventing.delivery.model_dump(exclude={"retry"}, exclude_none=True)
    return not more and bool(eventing.subscriptions or calls(agent).skills)


def _is_of(identity: BrokerIdentity, agent: LambdaAgent, installation: Installation) -> bool:
    own = broker_of(agent, installation)
    return own is not None and own.key == identity.key


def _object(
    agent: LambdaAgent, identity: BrokerIdentity, api_version: str, kind: str, component: str, spec: Object
) -> Object:
    marks = labels(agent, component)
    if not identity.dedicated:
        # Shared by agents: only the owner references may name one of them.
        marks = {
            "app.kubernetes.io/name": identity.name,
            "app.kubernetes.io/managed-by": naming.MANAGER,
            naming.LABEL_COMPONENT: component,
            naming.LABEL_SHARED: "true",
        }
    metadata: Object = {"name": identity.name, "namespace": identity.namespace, "labels": marks}
    if agent.uid:
        metadata["ownerReferences"] = [owner_reference(agent, controller=identity.dedicated)]
        if identity.dedicated:
            marks[naming.LABEL_OWNER] = agent.uid
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}
