"""Every name, label and annotation that this project assigns.

A child's name is a readable prefix. If it contains more than the agent's own name, or would be too long, it ends in a
hash of the child's whole identity, so equal prefixes never collide. What upstream makes immutable (a Trigger's filter)
is part of the identity, so a change leads to a new name. Limits follow from derived names: the RabbitMQ broker creates
`<trigger>-dlx-dispatcher` and `<broker>-broker-ingress`, which leave 48 characters, and copies names into labels.
"""

import hashlib
import re
from functools import lru_cache

from lambdaagent.api.base import GROUP

MANAGER = "lambdaagent"  # field manager, and value of app.kubernetes.io/managed-by
# Field managers of status: each process owns the conditions that it writes.
STATUS_OF_OPERATOR = f"{MANAGER}-operator"
STATUS_OF_DISPATCHER = f"{MANAGER}-dispatcher"
LABEL_AGENT = f"{GROUP}/agent"
LABEL_OWNER = f"{GROUP}/owner-uid"
LABEL_SHARED = f"{GROUP}/shared"
LABEL_COMPONENT = "app.kubernetes.io/component"
# Annotations: users set visibility, pod-security and those of `dev`; the operator sets the others, on children.
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
    """Return ten hex digits of a hash of all parts, which must not contain the separator (a zero byte)."""
    return hashlib.sha256("\0".join(identity).encode()).hexdigest()[:10]


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def hashed(readable: str, *identity: str, limit: int = DERIVED_LIMIT) -> str:
    """Return a DNS-1035 label of at most `limit` characters: the beginning of `readable` and a hash of `identity`."""
    suffix = digest(*identity)
    prefix = _slug(readable)[: limit - len(suffix) - 1].rstrip("-")
    return f"{prefix}-{suffix}" if prefix else f"x{suffix}"


def bounded(name: str, *, limit: int) -> str:
    """Return the name if it fits into the limit, else its beginning and a hash."""
    return name if len(name) <= limit else hashed(name, name, limit=limit)


def a2a_service(agent: str) -> str:
    return bounded(f"{agent}-a2a", limit=A2A_SERVICE_LIMIT)


_OF_AGENT = re.compile(r"[a-z0-9-]+-(?:a2a|[0-9a-f]{10})(?:\.[a-z0-9-]+(?:\.svc(?:\..+)?)?)?")


def is_label(*names: str) -> bool:
    """Return whether all of the names may be those of Kubernetes objects."""
    return all(re.fullmatch(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?", name) for name in names)


@lru_cache(1024)
def may_be_host_of_agent(host: str) -> bool:
    """Return whether a host name has the form of an agent's (`a2a_service` and its namespace), whether there is such an
    agent or not. Most requests have a host that another one had.
    """
    return _OF_AGENT.fullmatch(host.partition(":")[0].lower().rstrip(".")) is not None


def host_of_agent(host: str) -> tuple[str, str]:
    """Return the namespace and the agent in the host name of one; the namespace is empty if it names none. The name of
    an agent with a long name is that of its Service.
    """
    service, _, rest = host.partition(":")[0].lower().rstrip(".").partition(".")
    return rest.partition(".")[0], service.removesuffix("-a2a")


def metrics_service(agent: str) -> str:
    return bounded(f"{agent}-metrics", limit=DNS_LIMIT)


def shared_broker(*, cluster: str, cluster_namespace: str, default: tuple[str, str]) -> str:
    """Return the name of a namespace's Broker for a RabbitMQ cluster; that of the default cluster has no hash."""
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
    """Return the headers exchange of a Broker on plain RabbitMQ."""
    return f"lambdaagent.{namespace}.{broker}"


def broker_of_exchange(exchange: str) -> tuple[str, str]:
    """Return the namespace and Broker from which `exchange` was built; neither can contain a dot."""
    _, namespace, broker = exchange.split(".")
    return namespace, broker


def queue(namespace: str, agent: str) -> str:
    return f"lambdaagent.{namespace}.agent.{agent}"


def dead_letters(namespace: str) -> str:
    """Return the queue for events that could not be delivered."""
    return f"lambdaagent.{namespace}.dead-letters"
