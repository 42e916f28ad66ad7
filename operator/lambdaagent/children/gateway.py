"""Addresses of the gateway: the agent's A2A Service, and the event URLs in children."""

from urllib.parse import urlsplit

from lambdaagent.api import naming
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.children import sidecar
from lambdaagent.children.base import Object, child
from lambdaagent.events import capability
from lambdaagent.settings import Installation


def a2a_service(agent: LambdaAgent, installation: Installation) -> Object | None:
    """Return an ExternalName Service for the gateway, which finds the agent by the host name; None without A2A or a
    gateway."""
    host = urlsplit(installation.gateway_url).hostname
    if not (agent.spec.a2a and agent.spec.a2a.enabled and host):
        return None
    spec: Object = {
        "type": "ExternalName",
        "externalName": host,
        "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
    }
    return child(agent, "v1", "Service", naming.a2a_service(agent.name), "a2a", spec)


def a2a_url(agent: LambdaAgent, installation: Installation) -> str | None:
    """Return the base URL of the agent's card and endpoint in the cluster; None without A2A or a gateway."""
    if sidecar.wanted(agent, installation):
        return f"http://{agent.name}.{agent.namespace}.svc.{installation.cluster_domain}"
    if a2a_service(agent, installation) is None:
        return None
    return f"http://{naming.a2a_service(agent.name)}.{agent.namespace}.svc.{installation.cluster_domain}"


def events_from(agent: LambdaAgent, installation: Installation) -> str | None:
    """Return the agent's K_SINK at the gateway; None if no gateway is installed."""
    path = f"/events/{agent.namespace}/from/{agent.name}"
    return _url(installation, path, namespace=agent.namespace, use="from", agent=agent.name)


def events_to(agent: LambdaAgent, installation: Installation) -> str | None:
    """Return the URL for events that call a skill of the agent; None if no gateway is installed."""
    path = f"/events/{agent.namespace}/to/{agent.name}"
    return _url(installation, path, namespace=agent.namespace, use="to", agent=agent.name)


def dead_letters(namespace: str, installation: Installation) -> str | None:
    """Return the dead-letter sink of a namespace's Brokers; None if no gateway is installed."""
    path = f"/events/{namespace}/dead-letters"
    return _url(installation, path, namespace=namespace, use="dead-letters", agent="")


def _url(installation: Installation, path: str, *, namespace: str, use: str, agent: str) -> str | None:
    if not installation.events_url:
        return None
    keys = installation.keys
    segment = f"/{capability.sign(keys, namespace=namespace, use=use, agent=agent)}" if keys else ""
    return f"{installation.events_url}{path}{segment}"
