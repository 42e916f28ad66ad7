"""A RabbitMQ of one node in a namespace of its own; its user has the rights that docs/guides/install.md names."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.e2e.cluster import Cluster

_NAME, _PORT, _DATA, _CONFIG = "rabbitmq", 5672, "/data", "/config"
# Erlang makes a table of as many entries as files may be open, which is memory for a thousand million where the
# container runtime sets no limit.
_START = "ulimit -n 4096; exec rabbitmq-server"
_ENVIRONMENT = {
    "HOME": _DATA,
    "RABBITMQ_NODENAME": "rabbit@localhost",
    "RABBITMQ_MNESIA_BASE": _DATA,
    "RABBITMQ_LOG_BASE": _DATA,
    "RABBITMQ_CONFIG_FILE": f"{_CONFIG}/rabbitmq.conf",
    "RABBITMQ_ENABLED_PLUGINS_FILE": f"{_CONFIG}/enabled_plugins",
    # The start script becomes the VM, instead of watching over it.
    "RUNNING_UNDER_SYSTEMD": "1",
}


@contextmanager
def rabbitmq(cluster: Cluster) -> Iterator[str]:
    """Starts a RabbitMQ and yields its URL for pods."""
    namespace, password = f"rabbitmq-{secrets.token_hex(3)}", secrets.token_hex(12)
    cluster.kubectl("create", "namespace", namespace)
    cluster.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    try:
        items = [_config(password), _deployment(cluster.rabbitmq), _service()]
        given = {"apiVersion": "v1", "kind": "List", "items": items}
        cluster.kubectl("-n", namespace, "apply", "-f", "-", given=given)
        cluster.kubectl("-n", namespace, "rollout", "status", f"deployment/{_NAME}", "--timeout=120s")
        yield f"amqp://lambdaagent:{password}@{_NAME}.{namespace}.svc.cluster.local:{_PORT}/lambdaagent"
    finally:
        cluster.kubectl("delete", "namespace", namespace, "--timeout=120s")


def _config(password: str) -> dict[str, Any]:
    user = {"user": "lambdaagent", "vhost": "lambdaagent"}
    rights = {"configure": r"^lambdaagent\.", "write": r"^(lambdaagent\.|amq\.default$)", "read": r"^lambdaagent\."}
    definitions = {
        "vhosts": [{"name": "lambdaagent"}],
        "users": [{"name": "lambdaagent", "password": password, "tags": ""}],
        "permissions": [user | rights],
    }
    return _object("v1", "Secret") | {
        "stringData": {
            "rabbitmq.conf": f"load_definitions = {_CONFIG}/definitions.json\nlog.console = true\n",
            "enabled_plugins": "[].\n",
            "definitions.json": json.dumps(definitions),
        }
    }


def _deployment(image: str) -> dict[str, Any]:
    container = {
        "name": _NAME,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", _START],
        "env": [{"name": name, "value": value} for name, value in _ENVIRONMENT.items()],
        "ports": [{"containerPort": _PORT}],
        "readinessProbe": {"tcpSocket": {"port": _PORT}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "data", "mountPath": _DATA}, {"name": "config", "mountPath": _CONFIG}],
    }
    owner = {"runAsNonRoot": True, "runAsUser": 65532, "fsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    pod = {
        "securityContext": owner,
        "terminationGracePeriodSeconds": 5,
        "containers": [container],
        "volumes": [{"name": "data", "emptyDir": {}}, {"name": "config", "secret": {"secretName": _NAME}}],
    }
    labels = {"app": _NAME}
    template = {"metadata": {"labels": labels}, "spec": pod}
    return _object("apps/v1", "Deployment") | {"spec": {"selector": {"matchLabels": labels}, "template": template}}


def _service() -> dict[str, Any]:
    return _object("v1", "Service") | {"spec": {"selector": {"app": _NAME}, "ports": [{"port": _PORT}]}}


def _object(api_version: str, kind: str) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": _NAME}}
