"""A Service for the container's own port and the ServiceMonitor that scrapes it."""

from lambdaagent.api import naming
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.children.base import Object, child
from lambdaagent.settings import ServingBackend

SERVICE_MONITOR = ("monitoring.coreos.com/v1", "ServiceMonitor")


def monitoring(agent: LambdaAgent, serving: ServingBackend) -> list[Object]:
    """Return both objects, or none unless metrics are enabled. Existing Prometheus and mesh select by these labels."""
    metrics = agent.spec.observability.metrics if agent.spec.observability else None
    if not metrics or not metrics.enabled or not metrics.service_monitor:
        return []
    selector = (
        {"serving.knative.dev/service": agent.name}
        if serving == "knative"
        else {naming.LABEL_AGENT: agent.name, naming.LABEL_COMPONENT: "agent"}
    )
    port = agent.spec.container_image.port
    name = naming.metrics_service(agent.name)
    service = child(
        agent,
        "v1",
        "Service",
        name,
        "metrics",
        {
            "type": "ClusterIP",
            "selector": selector,
            "ports": [{"name": "metrics", "port": port, "protocol": "TCP", "targetPort": port}],
        },
        labels={"mirror.linkerd.io/exported": "true"},
    )
    endpoint = {
        "port": "metrics",
        "path": metrics.path,
        "interval": metrics.interval,
        "scrapeTimeout": metrics.timeout,
        "honorLabels": True,
    }
    match = {naming.LABEL_AGENT: agent.name, naming.LABEL_COMPONENT: "metrics"}
    monitor = child(
        agent,
        *SERVICE_MONITOR,
        agent.name,
        "monitor",
        {"selector": {"matchLabels": match}, "endpoints": [endpoint]},
        labels={"release": "kube-prometheus-stack"},
    )
    return [service, monitor]
