"""Generates parts of the chart from the code, and the kustomize manifests from the chart (`make manifests`).

The CRD, the roles and the schema of the values are generated from the models. `manifests/` is the output of helm with
the chart's defaults, without helm's own labels. Tests compare all of these files with what this module generates.
"""

import json
import re
import subprocess
import sys
import types
from collections.abc import Set
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, SecretStr

from lambdaagent.api.base import DNS_SUBDOMAIN
from lambdaagent.cli.printing import yaml_text
from lambdaagent.kube import rights
from lambdaagent.settings import (
    NAMESPACE,
    DispatcherSettings,
    GatewaySettings,
    Installation,
    OperatorSettings,
    TaskSettings,
)

ROOT = Path(__file__).parents[1]
CHART, MANIFESTS = ROOT / "charts" / "lambdaagent", ROOT / "manifests"
KUBERNETES = "1.30.0"
RABBITMQ_ADDRESS = "lambdaagent-rabbitmq"
# The templates of the chart set these.
CHARTS_OWN = {"host", "port", "pod_name", "pod_namespace", "event_keys", "namespaces", "amqp_url", "ca_file"} | {
    "access",
    "access_file",
    "events_token_file",
    "store_keys",
    "metrics_port",
    "plain_port",
    "tls_cert_file",
    "tls_key_file",
}
# The values of the operator and of the gateway have these; those of the dispatcher do not repeat them.
_SHARED = Installation.model_fields.keys() | TaskSettings.model_fields.keys()
# A placeholder for each namespace in the values; it is not a valid name of a namespace.
_EACH = "(each)"
# The path of a file is not secret, and neither is a URL without a password.
_RULES = {"database": {"type": "string", "not": {"pattern": "://[^/@]*:[^/@]*@"}}}
_TEXT, _MAP, _LIST = {"type": "string"}, {"type": "object"}, {"type": "array", "items": {"type": "object"}}
# A key of a ConfigMap or Secret.
_KEY = r"^[-._a-zA-Z0-9]{1,253}$"
_TEXTS = {"type": "object", "additionalProperties": _TEXT}
_WORDS = {"type": "array", "items": _TEXT}
_PATH = {"type": "string", "pattern": "^/"}


def main() -> None:
    for path, text in chart_files().items():
        path.write_text(text)
    (MANIFESTS / "rabbitmq").mkdir(parents=True, exist_ok=True)
    for path, text in manifest_files(sys.argv[1] if len(sys.argv) > 1 else "helm").items():
        path.write_text(text)


def chart_files() -> dict[Path, str]:
    roles = {"everywhere": rights.documents(), "namespaced": rights.documents(namespaces=[_EACH])}
    return {
        CHART / "files" / "lambdaagents.yaml": (ROOT / "crds" / "lambdaagents.yaml").read_text(),
        CHART / "files" / "rbac.yaml": yaml_text(roles),
        CHART / "files" / "defaults.yaml": (CHART / "values.yaml").read_text(),
        CHART / "values.schema.json": json.dumps(schema(), indent=2) + "\n",
    }


def schema() -> dict[str, Any]:
    """Return the JSON schema of the values. It is strict: helm refuses an unknown value and names its path."""
    count, maybe = {"type": "integer", "minimum": 1}, {"type": ["integer", "null"], "minimum": 1}
    part = {"type": ["integer", "string", "null"], "pattern": "^(100|[1-9]?[0-9])%$", "minimum": 0}
    probe = _strict(
        dict.fromkeys(("periodSeconds", "timeoutSeconds", "failureThreshold", "successThreshold"), count)
        | {"initialDelaySeconds": {"type": "integer", "minimum": 0}}
    )
    process = {
        "replicas": {"type": "integer", "minimum": 0},
        "resources": _MAP,
        "annotations": _TEXTS,
        "topologySpreadConstraints": _LIST,
        "podDisruptionBudget": _strict({"enabled": {"type": "boolean"}, "maxUnavailable": part, "minAvailable": part}),
        **dict.fromkeys(("startupProbe", "readinessProbe", "livenessProbe"), probe),
        "extraArgs": _WORDS,
        "extraEnv": _LIST,
        "extraEnvFrom": _LIST,
        "volumes": _LIST,
        "volumeMounts": _LIST,
        "podAnnotations": _TEXTS,
        "podLabels": _TEXTS,
        "priorityClassName": _TEXT,
        "nodeSelector": _TEXTS,
        "tolerations": _LIST,
        "affinity": _MAP,
    }
    port = {"type": ["integer", "null"], "minimum": 1, "maximum": 65535}
    service = {
        "type": {"enum": ["ClusterIP", "NodePort", "LoadBalancer"]},
        "annotations": _TEXTS,
        "port": port,
        "nodePort": port,
        "loadBalancerSourceRanges": _WORDS,
        "externalTrafficPolicy": {"enum": ["", "Cluster", "Local"]},
        "ipFamilyPolicy": {"enum": ["", "SingleStack", "PreferDualStack", "RequireDualStack"]},
        **dict.fromkeys(("appProtocol", "loadBalancerClass"), _TEXT),
    }
    path = _strict({"path": _PATH, "pathType": {"enum": ["Exact", "Prefix", "ImplementationSpecific"]}})
    host = _strict({"host": {"type": "string", "minLength": 1}, "paths": {"type": "array", "items": path}})
    ingress = {
        "enabled": {"type": "boolean"},
        "className": _TEXT,
        "annotations": _TEXTS,
        "hosts": {"type": "array", "items": host | {"required": ["host"]}},
        "tls": _LIST,
    }
    route = {
        "enabled": {"type": "boolean"},
        "annotations": _TEXTS,
        "parentRefs": _LIST,
        "hostnames": _WORDS,
        "path": _PATH,
        "filters": _LIST,
        "timeouts": _TEXTS,
    }
    scaling = {
        "enabled": {"type": "boolean"},
        "minReplicas": count,
        "maxReplicas": count,
        "targetCPUUtilizationPercentage": maybe,
        "targetMemoryUtilizationPercentage": maybe,
        "metrics": _LIST,
        "behavior": _MAP,
    }
    monitor = {"enabled": {"type": "boolean"}, "labels": _TEXTS, "interval": {"type": "string", "minLength": 2}}
    gateway = {
        "enabled": {"type": "boolean"},
        "service": _strict(service),
        "tls": _strict({"existingSecret": _TEXT}),
        "serviceMonitor": _strict(monitor),
        "ingress": _strict(ingress),
        "httpRoute": _strict(route),
        "autoscaling": _strict(scaling),
    }
    network = {"enabled": {"type": "boolean"}, "gateway": _strict({"from": _LIST}), "metricsFrom": _LIST}
    name = {"type": "string", "pattern": DNS_SUBDOMAIN}
    named = {"type": "array", "items": name, "minItems": 1, "uniqueItems": True}
    secrets = _strict({"namespace": {"type": "string", "pattern": NAMESPACE}, "names": named}) | {
        "required": ["namespace"]
    }
    embedded = {
        "embedded": {"type": "boolean"},
        "image": _strict({"repository": {"type": "string", "minLength": 1}, "tag": {"type": "string", "minLength": 1}}),
        "storage": _strict({"size": {"type": "string", "minLength": 1}, "storageClassName": _TEXT}),
        "resources": _MAP,
    }
    own = _settings(DispatcherSettings, without=_SHARED)["settings"]
    dispatcher = {"enabled": {"type": "boolean"}, "serviceMonitor": _strict(monitor), "settings": own}
    dispatcher["autoscaling"] = _strict(scaling)
    image = {
        "repository": {"type": "string", "minLength": 1},
        "tag": _TEXT,
        "digest": {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"},
        "pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
    }
    return {"$schema": "http://json-schema.org/draft-07/schema#"} | _strict(
        {
            "image": _strict(image),
            "imagePullSecrets": _LIST,
            "crds": _strict({"enabled": {"type": "boolean"}}),
            "commonLabels": _TEXTS,
            "namespaces": {"type": "array", "items": {"type": "string", "pattern": NAMESPACE}, "uniqueItems": True},
            "eventKeys": _strict({"existingSecret": _TEXT}),
            "signingKey": _strict({"existingSecret": _TEXT}),
            "storeKeys": _strict({"existingSecret": _TEXT}),
            "caBundle": _strict({"configMap": _TEXT, "secret": _TEXT, "key": {"type": "string", "pattern": _KEY}}),
            "access": _strict(
                {
                    # YAML reads an unquoted off as false.
                    "mode": {"enum": ["enforce", "audit", "off", False]},
                    "file": _MAP,
                    "secrets": {"type": "array", "items": {"type": "string", "minLength": 1}, "uniqueItems": True},
                }
            ),
            "externalAgents": _strict({"secrets": {"type": "array", "items": secrets}}),
            "networkPolicy": _strict(network),
            "prometheusRule": _strict(
                {
                    "enabled": {"type": "boolean"},
                    **dict.fromkeys(("labels", "alertLabels"), _TEXTS),
                    "disabled": {"type": "array", "items": {"enum": _alerts()}},
                    "rules": _LIST,
                    "runbookUrl": _TEXT,
                }
            ),
            "rabbitmq": _strict({"existingSecret": _TEXT, "key": {"type": "string", "minLength": 1}} | embedded),
            "postgresql": _strict(embedded),
            "operator": _strict(
                process
                | {"enabled": {"type": "boolean"}, "serviceMonitor": _strict(monitor)}
                | _settings(OperatorSettings)
            ),
            "gateway": _strict(process | gateway | _settings(GatewaySettings)),
            "dispatcher": _strict(process | dispatcher),
            "podSecurityContext": _MAP,
            # For a parent chart: helm adds `global`, and `enabled` is the condition of the dependency.
            "global": _MAP,
            "enabled": {"type": "boolean"},
        }
    )


def _alerts() -> list[str]:
    return [each["alert"] for each in yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())]


def _settings(model: type[BaseModel], without: Set[str] = frozenset()) -> dict[str, Any]:
    """Return the schema of `settings`, which has plain values, and of `secretSettings`, which refers to Secrets.

    Any setting may come from a Secret; a secret one must."""
    described = model.model_json_schema(by_alias=False)["properties"]
    names = [name for name in model.model_fields if name not in CHARTS_OWN | without]
    plain = [name for name in names if name in _RULES or not _is_secret(model.model_fields[name].annotation)]
    reference = _strict({"name": _TEXT, "key": _TEXT}) | {"required": ["name", "key"]}
    return {
        "settings": _strict({camel(name): _RULES.get(name) or _property(described[name]) for name in plain}),
        "secretSettings": _strict({camel(name): reference for name in names}),
    }


def _is_secret(annotation: Any) -> bool:
    if get_origin(annotation) in (Union, types.UnionType):
        return any(map(_is_secret, get_args(annotation)))
    return annotation is SecretStr


def _property(described: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in described.items() if key not in ("title", "default")}
    if "anyOf" in kept:  # a union of literals
        kept = {"enum": [value for option in kept["anyOf"] for value in option.get("enum") or [option["const"]]]}
    # The exclusive bounds of pydantic's schema have the same meaning in draft 7.
    return kept


def _strict(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties}


def camel(name: str) -> str:
    return re.sub(r"_(.)", lambda found: found[1].upper(), name)


def manifest_files(helm: str) -> dict[Path, str]:
    """Return one file per template, the kustomization with them, and the component `rabbitmq`."""
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": rights.NAMESPACE, "labels": _restricted()},
    }
    files = {"namespace": [namespace], "crd": [yaml.safe_load((ROOT / "crds" / "lambdaagents.yaml").read_text())]}
    for name in ("rbac", "lease", "access", "operator", "gateway"):
        files[name] = _template(helm, name)
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [f"{name}.yaml" for name in files],
        "images": [{"name": "dev.local/lambdaagent", "newTag": "dev"}],
    }
    added = _rabbitmq(helm, files)
    texts = {f"{name}.yaml": "---\n".join(map(yaml_text, documents)) for name, documents in (files | added).items()}
    texts["kustomization.yaml"] = yaml_text(kustomization)
    head = "# Written by `make manifests` from charts/lambdaagent; do not edit.\n"
    return {MANIFESTS / name: head + text for name, text in texts.items()}


def _rabbitmq(helm: str, plain: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Return a component, so that any overlay can use it: the dispatcher, and its changes of the other Deployments."""
    enabled = ("--set", f"dispatcher.enabled=true,rabbitmq.existingSecret={RABBITMQ_ADDRESS}")
    files = {"rabbitmq/dispatcher": _template(helm, "dispatcher", *enabled)}
    for name in ("operator", "gateway"):
        patch = _environment(_template(helm, name, *enabled), but=_environment(plain[name]))
        files[f"rabbitmq/{name}"] = [patch]
    component = {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "resources": ["dispatcher.yaml"],
        "patches": [{"path": "operator.yaml"}, {"path": "gateway.yaml"}],
    }
    return files | {"rabbitmq/kustomization": [component]}


def _environment(documents: list[Any], but: Any = None) -> dict[str, Any]:
    """Return the Deployment, reduced to its container's environment without the variables that `but` has."""
    (found,) = [document for document in documents if document["kind"] == "Deployment"]
    (container,) = found["spec"]["template"]["spec"]["containers"]
    known = but["spec"]["template"]["spec"]["containers"][0]["env"] if but else []
    env = [entry for entry in container["env"] if entry not in known]
    return {
        **{key: found[key] for key in ("apiVersion", "kind")},
        "metadata": {key: found["metadata"][key] for key in ("name", "namespace")},
        "spec": {"template": {"spec": {"containers": [{"name": container["name"], "env": env}]}}},
    }


def _template(helm: str, name: str, *options: str) -> list[Any]:
    # A helm that was built from source assumes an older Kubernetes than the chart supports.
    where = ("--kube-version", KUBERNETES, "--namespace", rights.NAMESPACE)
    command = [helm, "template", "lambdaagent", str(CHART), "--show-only", f"templates/{name}.yaml", *where, *options]
    rendered = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [_plain(document) for document in yaml.safe_load_all(rendered) if document]


def _restricted() -> dict[str, str]:
    return {"pod-security.kubernetes.io/enforce": "restricted"}


def _plain(node: Any) -> Any:
    """Return the node without the labels that only helm uses."""
    if isinstance(node, dict):
        foreign = {"helm.sh/chart", "app.kubernetes.io/managed-by"}
        return {key: _plain(value) for key, value in node.items() if key not in foreign}
    return [_plain(item) for item in node] if isinstance(node, list) else node


if __name__ == "__main__":
    main()
