"""Every name, label and annotation that this project gives, in one place.

A child's name is a readable prefix and, where it carries more than the agent's own name or would be too long, a hash
of its whole identity: equal prefixes never collide, and what upstream makes immutable (a Trigger's filter) is part of
the identity, so that a change gets a new name. Limits come from what others derive: the RabbitMQ broker makes
`<trigger>-dlx-dispatcher` and `<broker>-broker-ingress`, which leave 48 characters; it copies names into labels.
"""

import hashlib
import re

from lambdaagent.api.base import GROUP

MANAGER = "lambdaagent"  # field manager, and app.kubernetes.io/managed-by
# Field managers of status: each process owns the conditions that it says.
STATUS_OF_OPERATOR = f"{MANAGER}-operator"
STATUS_OF_DISPATCHER = f"{MANAGER}-dispatcher"
LABEL_AGENT = f"{GROUP}/agent"
LABEL_OWNER = f"{GROUP}/owner-uid"
LABEL_SHARED = f"{GROUP}/shared"
LABEL_COMPONENT = "app.kubernetes.io/component"
# What people write at an agent, where it is no matter of what the agent is.
ANNOTATION_VISIBILITY = f"{GROUP}/visibility"
ANNOTATION_POD_SECURITY = f"{GROUP}/pod-security"
ANNOTATION_EVENT_TYPE = f"{GROUP}/event-type"
ANNOTATION_DESCRIPTION = f"{GROUP}/description"
ANNOTATION_BROKER_UID = f"{GROUP}/broker-uid"
ANNOTATION_DEV_WATCH = f"dev.{GROUP}/watch"
ANNOTATION_DEV_COMMAND = f"dev.{GROUP}/command"
LEASE = "lambdaagent-operator"
SHARED_BROKER = "lambdaagents"
DERIVED_LIMIT = 48
A2A_SERVICE_LIMIT = 52
DNS_LIMIT = 63


def digest(*identity: str) -> str:
    """Ten hex digits of all parts; the separator cannot stand in any of them."""
    return hashlib.sha256("\0".join(identity).encode()).hexdigest()[:10]


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def hashed(readable: str, *identity: str, limit: int = DERIVED_LIMIT) -> str:
    """A DNS-1035 label of at most `limit` characters: as much of `readable` as fits, and the digest of `identity`."""
    suffix = digest(*identity)
    prefix = _slug(readable)[: limit - len(suffix) - 1].rstrip("-")
    return f"{prefix}-{suffix}" if prefix else f"x{suffix}"


def bounded(name: str, *, limit: int) -> str:
    """The name itself where it fits, else its beginning and a hash."""
    return name if len(name) <= limit else hashed(name, name, limit=limit)


def a2a_service(agent: str) -> str:
    return bounded(f"{agent}-a2a", limit=A2A_SERVICE_LIMIT)


def metrics_service(agent: str) -> str:
    return bounded(f"{agent}-metrics", limit=DNS_LIMIT)


def shared_broker(*, cluster: str, cluster_namespace: str, default: tuple[str, str]) -> str:
    """One per namespace and RabbitMQ cluster; the installation's default cluster gets the plain name."""
    if (cluster, cluster_namespace) == default:
        return SHARED_BROKER
    return f"{SHARED_BROKER}-{digest(cluster, cluster_namespace)}"


def dedicated_broker(agent: str) -> str:
    return bounded(f"{agent}-dedicated", limit=DERIVED_LIMIT)


def subscription_trigger(agent: str, *, event_type: str, source: str | None, broker: str) -> str:
    return hashed(f"{agent}-{event_type}", "subscription", agent, event_type, source or "", broker)


def call_trigger(agent: str, *, event_type: str, broker: str) -> str:
    return hashed(f"{agent}-calls", "call", agent, event_type, broker)


def forward_trigger(agent: str, *, event_type: str, target: str, target_namespace: str, broker: str) -> str:
    return hashed(f"{agent}-to-{target}", "forward", agent, event_type, target, target_namespace, broker)


def exchange(namespace: str, broker: str = SHARED_BROKER) -> str:
    """The headers exchange of one broker on plain RabbitMQ."""
    return f"lambdaagent.{namespace}.{broker}"


def broker_of_exchange(exchange: str) -> tuple[str, str]:
    """The namespace and the Broker that `exchange` was made of; neither can hold a dot."""
    _, namespace, broker = exchange.split(".")
    return namespace, broker


def queue(namespace: str, agent: str) -> str:
    return f"lambdaagent.{namespace}.agent.{agent}"


def dead_letters(namespace: str) -> str:
    """The queue that takes what could not be delivered."""
    return f"lambdaagent.{namespace}.dead-letters"
