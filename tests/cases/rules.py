"""What the API refuses and what it takes: one table for the Python rules and for the CRD on a real API server.

Most of what is refused here Knative's CRDs would take and its webhooks, or the API server behind them, refuse: of a
child, after the LambdaAgent was accepted.

A row: what is merged into the spec of a valid agent (or metadata), and the field that the problem must name.
"""

from typing import Any, NamedTuple


class Rule(NamedTuple):
    id: str
    spec: dict[str, Any]
    field: str
    name: str = "valid-name"
    cluster: str = ""  # what the API server names: a rule of the CRD cannot say which item of a list is wrong


def _skill(**fields: Any) -> dict[str, Any]:
    return {"a2a": {"skills": [{"id": "one", "name": "One", **fields}]}}


def _image(**fields: Any) -> dict[str, Any]:
    return {"image": {"repository": "example.com/agent", **fields}}


def _prompt(letters: int) -> dict[str, Any]:
    return {"behavior": {"systemPrompt": "\U0001f35d" * letters}}


def _delivery(**fields: Any) -> dict[str, Any]:
    return {"eventing": {"subscriptions": [{"eventType": "a"}], "delivery": fields}}


def _traffic(*targets: dict[str, Any]) -> dict[str, Any]:
    return {"serving": {"traffic": list(targets)}}


def _secret(name: str, key: str) -> dict[str, Any]:
    return {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": name, "key": key}}}]}


def _subscriptions(count: int) -> dict[str, Any]:
    return {"eventing": {"subscriptions": [{"eventType": f"io.example.kind-{number:03d}"} for number in range(count)]}}


_DELIVERY, _TRAFFIC = "spec.eventing.delivery", "spec.serving.traffic"
_SECRET = "spec.env[0].valueFrom.secretKeyRef"

REFUSED = [
    Rule("image without repository", {"image": {"tag": "v1"}}, "spec.image.repository"),
    Rule("empty repository", {"image": {"repository": ""}}, "spec.image.repository"),
    Rule("digest of the wrong form", {"image": {"repository": "r", "digest": "sha256:12"}}, "spec.image.digest"),
    *[
        Rule(f"port {port} of the queue-proxy", _image(port=port), "spec.image.port")
        for port in (8008, 8012, 8013, 8022, 9090, 9091)
    ],
    Rule("a variable of more than 128 KiB", {"env": [{"name": "A", "value": "x" * 131070}]}, "spec.env[0].value"),
    Rule("a prompt of more bytes than letters", _prompt(65536), "spec.behavior.systemPrompt"),
    Rule("an argument of 128 KiB", _image(args=["\U0001f35d" * 32768]), "spec.image.args[0]"),
    Rule("port zero", _image(port=0), "spec.image.port"),
    *[
        Rule(f"repository {title}", {"image": {"repository": repository}}, "spec.image.repository")
        for title, repository in {
            "with a tag": "example.com/agent:v1",
            "with a digest": f"example.com/agent@sha256:{'0' * 64}",
            "with capitals": "example.com/Agent",
            "with a capital first part that is no host": "Example/agent",
            "with a scheme": "https://example.com/agent",
            "with a slash at its end": "example.com/agent/",
            "with an empty part": "example.com//agent",
            "with a space": "example.com/my agent",
        }.items()
    ],
    Rule("repository over 255", {"image": {"repository": f"example.com/{'a' * 244}"}}, "spec.image.repository"),
    Rule("tag with a slash", _image(tag="v1/2"), "spec.image.tag"),
    Rule("tag over 128", _image(tag="v" * 129), "spec.image.tag"),
    Rule("tag beginning with a dash", _image(tag="-v1"), "spec.image.tag"),
    Rule("tag beyond ASCII", _image(tag="versión"), "spec.image.tag"),
    Rule("digest with capitals", _image(digest=f"sha256:{'A' * 64}"), "spec.image.digest"),
    Rule("pull secret that is no name", _image(imagePullSecrets=["My Secret"]), "spec.image.imagePullSecrets[0]"),
    Rule("service account that is no name", {"serviceAccountName": "a..b"}, "spec.serviceAccountName"),
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
    Rule(
        "grace period over an hour",
        {"scaling": {"scaleToZeroGracePeriod": "61m"}},
        "spec.scaling.scaleToZeroGracePeriod",
    ),
    Rule(
        "negative grace period", {"scaling": {"scaleToZeroGracePeriod": "-1s"}}, "spec.scaling.scaleToZeroGracePeriod"
    ),
    Rule("no target concurrency", {"scaling": {"targetConcurrency": 0}}, "spec.scaling.targetConcurrency"),
    Rule("no maximum", {"scaling": {"minReplicas": 0, "maxReplicas": 0}}, "spec.scaling.maxReplicas"),
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
        Rule(
            f"reserved variable {name}", {"env": [{"name": name, "value": "x"}]}, "spec.env[0].name", cluster="spec.env"
        )
        for name in ("PORT", "K_SERVICE", "K_REVISION", "K_CONFIGURATION")
    ],
    *[
        Rule(f"variable {name!r}", {"env": [{"name": name, "value": "x"}]}, "spec.env[0].name")
        for name in ("", "1 A", "1A", "A=B", ".", "..", "..A", "Ä")
    ],
    Rule("key of a Secret with a slash", _secret("s", "a/b"), f"{_SECRET}.key"),
    Rule("key of a Secret that is a parent folder", _secret("s", ".."), f"{_SECRET}.key"),
    Rule("empty key of a Secret", _secret("s", ""), f"{_SECRET}.key"),
    Rule("Secret that is no name", _secret("My_Secret", "k"), f"{_SECRET}.name"),
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
    Rule("negative quantity", {"resources": {"requests": {"cpu": "-1"}}}, "spec.resources.requests.cpu"),
    Rule(
        "more processor time than its limit",
        {"resources": {"requests": {"cpu": "1001m"}, "limits": {"cpu": "1"}}},
        "spec.resources",
    ),
    Rule(
        "more memory than its limit",
        {"resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "1000M"}}},
        "spec.resources",
    ),
    *[
        Rule(
            f"probe with {name} {value}",
            {"behavior": {"healthCheck": {"readiness": {name: value}}}},
            f"spec.behavior.healthCheck.readiness.{name}",
        )
        for name, value in {
            "periodSeconds": 0,
            "timeoutSeconds": 0,
            "failureThreshold": 0,
            "initialDelaySeconds": -1,
        }.items()
    ],
    Rule(
        "probe path without slash", {"behavior": {"healthCheck": {"path": "health"}}}, "spec.behavior.healthCheck.path"
    ),
    Rule(
        "first byte after the end",
        {"serving": {"timeoutSeconds": 10, "responseStartTimeoutSeconds": 20}},
        "spec.serving",
    ),
    Rule("first byte after the default end", {"serving": {"responseStartTimeoutSeconds": 301}}, "spec.serving"),
    Rule("no time for an answer", {"serving": {"timeoutSeconds": 0}}, "spec.serving.timeoutSeconds"),
    Rule("negative concurrency", {"serving": {"containerConcurrency": -1}}, "spec.serving.containerConcurrency"),
    Rule("traffic over a hundred", _traffic({"percent": 60}, {"revisionName": "a-00001", "percent": 60}), _TRAFFIC),
    Rule("a share over a hundred", _traffic({"percent": 101}), f"{_TRAFFIC}[0].percent"),
    Rule(
        "latest revision by name",
        _traffic({"latestRevision": True, "revisionName": "a-00001", "percent": 100}),
        f"{_TRAFFIC}[0]",
    ),
    Rule("neither latest nor named", _traffic({"latestRevision": False, "percent": 100}), f"{_TRAFFIC}[0]"),
    Rule("revision that is no name", _traffic({"revisionName": "A_1", "percent": 100}), f"{_TRAFFIC}[0].revisionName"),
    Rule("traffic tag with a dot", _traffic({"tag": "a.b", "percent": 100}), f"{_TRAFFIC}[0].tag"),
    Rule("traffic tag beginning with a digit", _traffic({"tag": "1a", "percent": 100}), f"{_TRAFFIC}[0].tag"),
    Rule(
        "traffic tag twice",
        _traffic({"tag": "a", "percent": 50}, {"tag": "a", "percent": 50}),
        f"{_TRAFFIC}[1].tag",
        cluster=_TRAFFIC,
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
    Rule("delay in milliseconds", _delivery(backoffDelay="PT0.05S"), f"{_DELIVERY}.backoffDelay"),
    Rule("delay over what Knative's parser holds", _delivery(backoffDelay="PT3277S"), f"{_DELIVERY}.backoffDelay"),
    *[
        Rule(f"delay {text!r}", _delivery(backoffDelay=text), f"{_DELIVERY}.backoffDelay")
        for text in ("", "P", "PT", "P1DT", "1S", "-PT1S", "P1Y")
    ],
    Rule("no time for a delivery", _delivery(timeout="PT0S"), f"{_DELIVERY}.timeout"),
    Rule("no time in tenths for a delivery", _delivery(timeout="P0DT0H0.0S"), f"{_DELIVERY}.timeout"),
    Rule("delivery timeout that is not ISO 8601", _delivery(timeout="30s"), f"{_DELIVERY}.timeout"),
    Rule("negative retries", _delivery(retry=-1), f"{_DELIVERY}.retry"),
    Rule("unknown backoff", _delivery(backoffPolicy="random"), f"{_DELIVERY}.backoffPolicy"),
    Rule("parallelism over a thousand", {"eventing": {"parallelism": 1001}}, "spec.eventing.parallelism"),
    Rule(
        "forward with an empty type",
        {"eventing": {"forwards": [{"eventTypes": [""], "targetAgent": "b", "targetNamespace": "n"}]}},
        "spec.eventing.forwards[0].eventTypes[0]",
    ),
    Rule("more than 512 subscriptions", _subscriptions(513), "spec.eventing.subscriptions"),
    Rule(
        "cluster that is no name",
        {"eventing": {"rabbitmq": {"clusterName": "A_1"}}},
        "spec.eventing.rabbitmq.clusterName",
    ),
    Rule("broker that is no name", {"eventing": {"broker": {"name": "My.Broker"}}}, "spec.eventing.broker.name"),
    Rule(
        "scrape longer than its interval",
        {"observability": {"metrics": {"interval": "10s", "timeout": "11s"}}},
        "spec.observability.metrics",
    ),
    Rule(
        "scrape interval in fractions",
        {"observability": {"metrics": {"interval": "1.5m"}}},
        "spec.observability.metrics.interval",
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
        cluster="spec.a2a.skills[1]",
    ),
    Rule("extension without a scheme", {"a2a": {"extensions": [{"uri": "x"}]}}, "spec.a2a.extensions[0].uri"),
    Rule("extension with a comma", {"a2a": {"extensions": [{"uri": "urn:a,b"}]}}, "spec.a2a.extensions[0].uri"),
    Rule(
        "extension twice",
        {"a2a": {"extensions": [{"uri": "urn:a"}, {"uri": "urn:a"}]}},
        "spec.a2a.extensions[1].uri",
        cluster="spec.a2a.extensions[1]",
    ),
    Rule("card path without a slash", {"a2a": {"container": {"cardPath": "x"}}}, "spec.a2a.container.cardPath"),
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


# What looks odd and is right: it must pass both.
ACCEPTED = [
    Rule("a variable of 128 KiB", {"env": [{"name": "A", "value": "x" * 131069}]}, ""),
    Rule("a variable of 128 KiB, of two bytes a letter", {"env": [{"name": "AB", "value": "\u00e9" * 65534}]}, ""),
    Rule("a prompt as long as it may be", _prompt(32764), ""),
    Rule("name of 63 characters", {}, "", name="a" * 63),
    Rule("200 subscriptions", _subscriptions(200), ""),
    Rule("512 subscriptions", _subscriptions(512), ""),
    *[
        Rule(f"repository {repository}", {"image": {"repository": repository}}, "")
        for repository in (
            "agent",
            "team/agent",
            "localhost:5001/agent",
            "localhost/agent",
            "registry:5000/team/agent",
            "ghcr.io/team/agent",
            "Registry.Example.com/agent",
            "example.com:443/a/b/c__d.e-f",
            "[::1]:5000/agent",
        )
    ],
    Rule("tag with dots and dashes", _image(tag="v20251224-abc12345.rc_1"), ""),
    *[
        Rule(f"grace period {text}", {"scaling": {"minReplicas": 1, "scaleToZeroGracePeriod": text}}, "")
        for text in ("0s", "30s", "300s", "500ms", "1m30s", "1.5m", "60m", "1h")
    ],
    Rule("request equal to its limit", {"resources": {"requests": {"cpu": "1000m"}, "limits": {"cpu": "1"}}}, ""),
    Rule(
        "request under its limit in another unit",
        {"resources": {"requests": {"memory": "1000M"}, "limits": {"memory": "1Gi"}}},
        "",
    ),
    Rule("request without a limit", {"resources": {"requests": {"cpu": "1e1", "memory": "128Mi"}}}, ""),
    Rule("variable with a dot first", {"env": [{"name": ".A", "value": ""}]}, ""),
    Rule("variable of the container's own", {"env": [{"name": "K_SINK", "value": "http://sink"}]}, ""),
    Rule("key of a Secret like a file", _secret("my.secret", ".dockerconfigjson"), ""),
    Rule("longer answers than Knative's default", {"serving": {"timeoutSeconds": 3600}}, ""),
    Rule("first byte before the default end", {"serving": {"responseStartTimeoutSeconds": 300}}, ""),
    Rule(
        "traffic on two revisions and a tag",
        _traffic(
            {"latestRevision": True, "percent": 90},
            {"revisionName": "a-00001", "latestRevision": False, "percent": 10, "tag": "old"},
            {"tag": "new"},
        ),
        "",
    ),
    *[
        Rule(f"delay {text}", _delivery(backoffDelay=text, timeout="PT0.1S"), "")
        for text in ("PT0.5S", "PT1S", "PT1M30S", "PT1H", "P1D", "P1DT12H", "PT0S")
    ],
    Rule(
        "wildcards, which are only warned of",
        {"eventing": {"subscriptions": [{"eventType": "a.*", "source": "*"}]}},
        "",
    ),
    Rule("traces to a host and port", {"observability": {"tracing": {"endpoint": "alloy.observability.svc:4317"}}}, ""),
    Rule("any namespace", {"permissions": {"allowedTargetNamespaces": ["*"]}}, ""),
    Rule("probe without a period", {"behavior": {"healthCheck": {"readiness": {"failureThreshold": 3}}}}, ""),
]


def document(rule: Rule, *, namespace: str = "default") -> dict[str, Any]:
    spec = {"image": {"repository": "example.com/agent"}} | rule.spec
    return {
        "apiVersion": "lambda.knative.io/v1alpha1",
        "kind": "LambdaAgent",
        "metadata": {"name": rule.name, "namespace": namespace},
        "spec": spec,
    }
