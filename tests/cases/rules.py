"""One table of what the API refuses, run against the Python rules and against the CRD on a real API server.

A row: what is merged into the spec of a valid agent (or metadata), and the field that the problem must name.
"""

from typing import Any, NamedTuple


class Rule(NamedTuple):
    id: str
    spec: dict[str, Any]
    field: str
    name: str = "valid-name"


def _skill(**fields: Any) -> dict[str, Any]:
    return {"a2a": {"skills": [{"id": "one", "name": "One", **fields}]}}


REFUSED = [
    Rule("image without repository", {"image": {"tag": "v1"}}, "spec.image.repository"),
    Rule("empty repository", {"image": {"repository": ""}}, "spec.image.repository"),
    Rule("digest of the wrong form", {"image": {"repository": "r", "digest": "sha256:12"}}, "spec.image.digest"),
    Rule("port of the queue-proxy", {"image": {"repository": "r", "port": 9090}}, "spec.image.port"),
    Rule("port out of range", {"image": {"repository": "r", "port": 70000}}, "spec.image.port"),
    Rule("unknown pull policy", {"image": {"repository": "r", "pullPolicy": "Sometimes"}}, "spec.image.pullPolicy"),
    Rule("minimum over maximum", {"scaling": {"minReplicas": 3, "maxReplicas": 2}}, "spec.scaling"),
    Rule("minimum over the default maximum", {"scaling": {"minReplicas": 11}}, "spec.scaling"),
    Rule("negative minimum", {"scaling": {"minReplicas": -1}}, "spec.scaling.minReplicas"),
    Rule(
        "grace period without unit",
        {"scaling": {"scaleToZeroGracePeriod": "30"}},
        "spec.scaling.scaleToZeroGracePeriod",
    ),
    Rule("openai without key", {"ai": {"provider": "openai"}}, "spec.ai.apiKeySecretRef"),
    Rule("anthropic without key", {"ai": {"provider": "anthropic"}}, "spec.ai.apiKeySecretRef"),
    Rule("unknown provider", {"ai": {"provider": "llama"}}, "spec.ai.provider"),
    Rule("temperature above two", {"ai": {"temperature": "2.1"}}, "spec.ai.temperature"),
    Rule("temperature as a number", {"ai": {"temperature": 0.7}}, "spec.ai.temperature"),
    Rule("too many tokens", {"ai": {"maxTokens": 1000001}}, "spec.ai.maxTokens"),
    Rule("endpoint without scheme", {"ai": {"endpoint": "ollama:11434"}}, "spec.ai.endpoint"),
    Rule("unknown operation mode", {"operationMode": "wild"}, "spec.operationMode"),
    Rule("approval without providers", {"approval": {"providers": []}}, "spec.approval.providers"),
    Rule(
        "custom approval without endpoint",
        {"approval": {"providers": ["custom"], "custom": {}}},
        "spec.approval.custom.endpoint",
    ),
    Rule("unknown memory schema", {"memory": {"schema": "garden"}}, "spec.memory.schema"),
    *[
        Rule(f"reserved variable {name}", {"env": [{"name": name, "value": "x"}]}, "spec.env[0].name")
        for name in ("PORT", "K_SERVICE", "K_REVISION", "K_CONFIGURATION")
    ],
    Rule("variable with an illegal name", {"env": [{"name": "1 A", "value": "x"}]}, "spec.env[0].name"),
    Rule(
        "value and valueFrom",
        {"env": [{"name": "A", "value": "x", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]},
        "spec.env[0]",
    ),
    Rule("valueFrom without source", {"env": [{"name": "A", "valueFrom": {}}]}, "spec.env[0].valueFrom"),
    Rule(
        "valueFrom with two sources",
        {
            "env": [
                {
                    "name": "A",
                    "valueFrom": {
                        "secretKeyRef": {"name": "s", "key": "k"},
                        "configMapKeyRef": {"name": "s", "key": "k"},
                    },
                }
            ]
        },
        "spec.env[0].valueFrom",
    ),
    Rule("quantity of the wrong form", {"resources": {"limits": {"memory": "1 GB"}}}, "spec.resources.limits.memory"),
    Rule(
        "probe path without slash", {"behavior": {"healthCheck": {"path": "health"}}}, "spec.behavior.healthCheck.path"
    ),
    Rule(
        "first byte after the end",
        {"serving": {"timeoutSeconds": 10, "responseStartTimeoutSeconds": 20}},
        "spec.serving",
    ),
    Rule(
        "traffic under a hundred",
        {"serving": {"traffic": [{"latestRevision": True, "percent": 90}]}},
        "spec.serving.traffic",
    ),
    Rule(
        "concurrency over Knative's limit",
        {"serving": {"containerConcurrency": 1001}},
        "spec.serving.containerConcurrency",
    ),
    Rule(
        "subscription without type", {"eventing": {"subscriptions": [{}]}}, "spec.eventing.subscriptions[0].eventType"
    ),
    Rule(
        "subscription with an empty type",
        {"eventing": {"subscriptions": [{"eventType": ""}]}},
        "spec.eventing.subscriptions[0].eventType",
    ),
    Rule(
        "forward without types",
        {"eventing": {"forwards": [{"eventTypes": [], "targetAgent": "b", "targetNamespace": "n"}]}},
        "spec.eventing.forwards[0].eventTypes",
    ),
    Rule("too many retries", {"eventing": {"dlq": {"retryMaxAttempts": 101}}}, "spec.eventing.dlq.retryMaxAttempts"),
    Rule(
        "delay that is not ISO 8601",
        {"eventing": {"delivery": {"backoffDelay": "1s"}}},
        "spec.eventing.delivery.backoffDelay",
    ),
    Rule("parallelism of zero", {"eventing": {"parallelism": 0}}, "spec.eventing.parallelism"),
    Rule("named dedicated broker", {"eventing": {"broker": {"name": "b", "dedicated": True}}}, "spec.eventing.broker"),
    Rule("broker name over 48", {"eventing": {"broker": {"name": "b" * 49}}}, "spec.eventing.broker.name"),
    Rule("skill id with capitals", _skill(id="One"), "spec.a2a.skills[0].id"),
    Rule("skill id over 63", _skill(id="a" * 64), "spec.a2a.skills[0].id"),
    Rule(
        "skill id twice",
        {"a2a": {"skills": [{"id": "a", "name": "A"}, {"id": "a", "name": "B"}]}},
        "spec.a2a.skills[1].id",
    ),
    Rule("skill timeout of zero", _skill(invoke={"timeoutSeconds": 0}), "spec.a2a.skills[0].invoke.timeoutSeconds"),
    Rule("unknown invoke mode", _skill(invoke={"mode": "later"}), "spec.a2a.skills[0].invoke.mode"),
    Rule("base path with trailing slash", {"a2a": {"endpoint": {"basePath": "/a/"}}}, "spec.a2a.endpoint.basePath"),
    Rule("base path of the gateway", {"a2a": {"endpoint": {"basePath": "/events/a"}}}, "spec.a2a.endpoint.basePath"),
    Rule("well-known base path", {"a2a": {"endpoint": {"basePath": "/.well-known"}}}, "spec.a2a.endpoint.basePath"),
    Rule("no protocol version", {"a2a": {"protocolVersions": []}}, "spec.a2a.protocolVersions"),
    Rule(
        "unknown tool type",
        {"tools": [{"type": "http", "mcpServer": {"name": "m", "endpoint": "http://m"}}]},
        "spec.tools[0].type",
    ),
    Rule("name beginning with a digit", {}, "metadata.name", name="1agent"),
    Rule("name over 63", {}, "metadata.name", name="a" * 64),
    Rule("name with a dot", {}, "metadata.name", name="a.b"),
]


def document(rule: Rule, *, namespace: str = "default") -> dict[str, Any]:
    spec = {"image": {"repository": "example.com/agent"}} | rule.spec
    return {
        "apiVersion": "lambda.knative.io/v1alpha1",
        "kind": "LambdaAgent",
        "metadata": {"name": rule.name, "namespace": namespace},
        "spec": spec,
    }
