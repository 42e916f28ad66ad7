"""Fields of the container: image, scaling, AI, behavior, environment and serving."""

from tests.cases.effects import Card, Child, Env, Status, Warned
from tests.cases.fields.rows import KNATIVE_ONLY, OTHER, REF, Row, reference, row, service

from lambdaagent.children.warning_reasons import WarningReason

TEMPLATE = "spec/template/spec"
CONTAINER = f"{TEMPLATE}/containers/0"
ANNOTATIONS = "spec/template/metadata/annotations/autoscaling.knative.dev"


def _probes() -> list[Row]:
    path, rows = "behavior.healthCheck", []
    for kind in ("readiness", "liveness"):
        place = f"{CONTAINER}/{kind}Probe"
        rows += [
            row(f"{path}.{kind}.enabled", False, Child("Service", place, None)),
            row(f"{path}.{kind}.path", "/own", service(f"{place}/httpGet/path")),
            row(f"{path}.{kind}.initialDelaySeconds", 33, service(f"{place}/initialDelaySeconds")),
            row(f"{path}.{kind}.periodSeconds", 34, service(f"{place}/periodSeconds")),
            row(f"{path}.{kind}.timeoutSeconds", 35, service(f"{place}/timeoutSeconds")),
            row(f"{path}.{kind}.failureThreshold", 36, service(f"{place}/failureThreshold")),
        ]
    return rows


IMAGE = [
    row("image.repository", "example.com/other", service(f"{CONTAINER}/image", "example.com/other:latest")),
    row("image.tag", "v2", service(f"{CONTAINER}/image", "example.com/agent:v2"), Card("version")),
    row(
        "image.digest",
        f"sha256:{'1' * 64}",
        service(f"{CONTAINER}/image", f"example.com/agent@sha256:{'1' * 64}"),
        Card("version", "1" * 12),
    ),
    row(
        "image.port",
        9000,
        service(f"{CONTAINER}/ports/0/containerPort"),
        Child("Service", "spec/ports/0/targetPort", on="kubernetes"),
    ),
    row("image.pullPolicy", "Always", service(f"{CONTAINER}/imagePullPolicy")),
    row("image.imagePullSecrets", ["registry"], service(f"{TEMPLATE}/imagePullSecrets", [{"name": "registry"}])),
    row("image.command", ["run"], service(f"{CONTAINER}/command")),
    row("image.args", ["--fast"], service(f"{CONTAINER}/args")),
    row("serviceAccountName", "agent-sa", service(f"{TEMPLATE}/serviceAccountName")),
]
AI = [
    row(
        "ai.provider",
        "openai",
        Env("AI_PROVIDER"),
        Env("OPENAI_MODEL", "m"),
        Env("OLLAMA_MODEL", None),
        Status("aiStatus/provider"),
        ai={"model": "m", "apiKeySecretRef": REF},
    ),
    row("ai.endpoint", "http://llm:1", Env("AI_ENDPOINT"), Env("OLLAMA_URL"), Status("aiStatus/endpoint")),
    row("ai.model", "llama", Env("AI_MODEL"), Env("OLLAMA_MODEL"), Status("aiStatus/activeModel")),
    row("ai.maxTokens", 7, Env("AI_MAX_TOKENS")),
    row("ai.temperature", "0.1", Env("AI_TEMPERATURE")),
    *reference("ai.apiKeySecretRef", "AI_API_KEY", "ANTHROPIC_API_KEY", ai={"provider": "anthropic"}),
]
BEHAVIOR = [
    row("behavior.maxContextMessages", 0, Env("MAX_CONTEXT_MESSAGES")),
    row("behavior.emitEvents", False, Env("EMIT_EVENTS")),
    row("behavior.systemPrompt", "Be brief.", Env("SYSTEM_PROMPT")),
    row(
        "behavior.healthCheck.enabled",
        False,
        Child("Service", f"{CONTAINER}/readinessProbe", None),
        Child("Service", f"{CONTAINER}/livenessProbe", None),
    ),
    row(
        "behavior.healthCheck.path",
        "/own",
        service(f"{CONTAINER}/readinessProbe/httpGet/path"),
        service(f"{CONTAINER}/livenessProbe/httpGet/path"),
    ),
    *_probes(),
    row("operationMode", "supervised", Env("OPERATION_MODE"), Warned(WarningReason.NO_APPROVAL)),
]
_SLACK = {"approval": {"providers": ["slack"]}}
_CUSTOM = {"approval": {"providers": ["custom"], "custom": {"endpoint": "http://ask"}}}
APPROVAL = [
    row("approval.providers", ["slack", "custom"], Env("APPROVAL_PROVIDERS", "slack,custom"), **_SLACK),
    row("approval.timeout", "1m30s", Env("APPROVAL_TIMEOUT_SECONDS", "90"), **_SLACK),
    row("approval.timeoutAction", "reject", Env("APPROVAL_TIMEOUT_ACTION"), **_SLACK),
    row("approval.requireAll", True, Env("APPROVAL_REQUIRE_ALL"), **_SLACK),
    row("approval.slack.webhookUrl", "http://slack", Env("APPROVAL_SLACK_WEBHOOK_URL"), **_SLACK),
    *reference("approval.slack.webhookUrlSecretRef", "APPROVAL_SLACK_WEBHOOK_URL", **_SLACK),
    *reference("approval.slack.botTokenSecretRef", "APPROVAL_SLACK_BOT_TOKEN", **_SLACK),
    row("approval.slack.channel", "#ask", Env("APPROVAL_SLACK_CHANNEL"), **_SLACK),
    row("approval.slack.approvers", ["ann", "bob"], Env("APPROVAL_SLACK_APPROVERS", "ann,bob"), **_SLACK),
    row("approval.slack.callbackUrl", "http://back", Env("APPROVAL_SLACK_CALLBACK_URL"), **_SLACK),
    row("approval.custom.endpoint", "http://other", Env("CUSTOM_APPROVAL_ENDPOINT"), **_CUSTOM),
    row("approval.custom.method", "put", Env("CUSTOM_APPROVAL_METHOD", "PUT"), **_CUSTOM),
    row("approval.custom.headers", {"X": "y"}, Env("CUSTOM_APPROVAL_HEADERS", '{"X":"y"}'), **_CUSTOM),
    *reference("approval.custom.authSecretRef", "CUSTOM_APPROVAL_AUTH", **_CUSTOM),
    row("approval.custom.pollInterval", "1m", Env("CUSTOM_APPROVAL_POLL_INTERVAL_SECONDS", "60"), **_CUSTOM),
    row("approval.custom.useWebhook", False, Env("CUSTOM_APPROVAL_USE_WEBHOOK"), **_CUSTOM),
    row("approval.custom.callbackUrl", "http://back", Env("CUSTOM_APPROVAL_CALLBACK_URL"), **_CUSTOM),
]
_MEMORY = {"memory": {"enabled": True}}
_CONSTRAINTS = {"memory": {"enabled": True, "defaultConstraints": [{"description": "d"}]}}


def _constraint(description: str = "d", hard: str = "true", category: str = "general") -> Env:
    text = f'[{{"description":"{description}","hard":{hard},"category":"{category}"}}]'
    return Env("MEMORY_DEFAULT_CONSTRAINTS", text)


MEMORY = [
    row("memory.enabled", True, Env("MEMORY_ENABLED"), memory={}),
    row("memory.schema", "pos", Env("MEMORY_SCHEMA"), **_MEMORY),
    row("memory.shortTerm.enabled", False, Env("MEMORY_SHORT_TERM_ENABLED"), **_MEMORY),
    row("memory.shortTerm.backend", "inmemory", Env("MEMORY_SHORT_TERM_BACKEND"), **_MEMORY),
    *reference("memory.shortTerm.redisSecretRef", "MEMORY_REDIS_URL", **_MEMORY),
    row("memory.shortTerm.ttlSeconds", 5, Env("MEMORY_SHORT_TERM_TTL_SECONDS"), **_MEMORY),
    row("memory.longTerm.enabled", True, Env("MEMORY_LONG_TERM_ENABLED"), **_MEMORY),
    row("memory.longTerm.backend", "inmemory", Env("MEMORY_LONG_TERM_BACKEND"), **_MEMORY),
    *reference("memory.longTerm.postgresSecretRef", "MEMORY_POSTGRES_URL", **_MEMORY),
    row("memory.userMemory.enabled", False, Env("MEMORY_USER_ENABLED"), **_MEMORY),
    row("memory.userMemory.storePreferences", False, Env("MEMORY_USER_STORE_PREFERENCES"), **_MEMORY),
    row("memory.userMemory.storeFacts", False, Env("MEMORY_USER_STORE_FACTS"), **_MEMORY),
    row("memory.workingMemory.enabled", False, Env("MEMORY_WORKING_ENABLED"), **_MEMORY),
    row("memory.workingMemory.trackDecisions", False, Env("MEMORY_WORKING_TRACK_DECISIONS"), **_MEMORY),
    row("memory.workingMemory.trackProgress", False, Env("MEMORY_WORKING_TRACK_PROGRESS"), **_MEMORY),
    row("memory.defaultConstraints[].description", "e", _constraint(description="e"), **_CONSTRAINTS),
    row("memory.defaultConstraints[].hard", False, _constraint(hard="false"), **_CONSTRAINTS),
    row("memory.defaultConstraints[].category", "law", _constraint(category="law"), **_CONSTRAINTS),
]
_ITSELF = "the variable of this name"
_SECRET = {"env": [{"name": "A", "valueFrom": {"secretKeyRef": OTHER}}]}
_CONFIG_MAP = {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": OTHER}}]}


def _source(kind: str, part: str) -> Env:
    return Env("A", at=f"valueFrom/{kind}/{part}", says=_ITSELF)


ENV = [
    row("env[].name", "B", Env("B", "v", says=_ITSELF), env=[{"name": "A", "value": "v"}]),
    row("env[].value", "v", Env("A", says=_ITSELF), env=[{"name": "A"}]),
    row("env[].valueFrom.secretKeyRef.name", "mine", _source("secretKeyRef", "name"), **_SECRET),
    row("env[].valueFrom.secretKeyRef.key", "token", _source("secretKeyRef", "key"), **_SECRET),
    row("env[].valueFrom.configMapKeyRef.name", "mine", _source("configMapKeyRef", "name"), **_CONFIG_MAP),
    row("env[].valueFrom.configMapKeyRef.key", "token", _source("configMapKeyRef", "key"), **_CONFIG_MAP),
]
_CPU = {"resources": {"requests": {"cpu": "1"}}}
CAPACITY = [
    row(
        "scaling.minReplicas",
        2,
        service(f"{ANNOTATIONS}~min-scale", "2"),
        Child("HorizontalPodAutoscaler", "spec/minReplicas", on="kubernetes"),
        **_CPU,
    ),
    row(
        "scaling.maxReplicas",
        7,
        service(f"{ANNOTATIONS}~max-scale", "7"),
        Child("HorizontalPodAutoscaler", "spec/maxReplicas", on="kubernetes"),
        **_CPU,
    ),
    row(
        "scaling.targetConcurrency",
        3,
        service(f"{ANNOTATIONS}~target", "3"),
        KNATIVE_ONLY,
        **_CPU,
    ),
    row(
        "scaling.scaleToZeroGracePeriod",
        "300s",
        service(f"{ANNOTATIONS}~scale-to-zero-pod-retention-period"),
        KNATIVE_ONLY,
        **_CPU,
    ),
    *[
        row(f"resources.{kind}.{name}", amount, service(f"{CONTAINER}/resources/{kind}/{name}"))
        for kind in ("requests", "limits")
        for name, amount in {"cpu": "500m", "memory": "64Mi"}.items()
    ],
]
_TARGET = {"serving": {"traffic": [{"percent": 100}]}}
SERVING = [
    row(
        "serving.timeoutSeconds",
        700,
        service(f"{TEMPLATE}/timeoutSeconds"),
        service(f"{TEMPLATE}/responseStartTimeoutSeconds"),
        Warned(WarningReason.KNATIVE_LIMIT),
        Child("Deployment", f"{TEMPLATE}/terminationGracePeriodSeconds", on="kubernetes"),
    ),
    row("serving.responseStartTimeoutSeconds", 20, service(f"{TEMPLATE}/responseStartTimeoutSeconds"), KNATIVE_ONLY),
    row("serving.containerConcurrency", 5, service(f"{TEMPLATE}/containerConcurrency"), KNATIVE_ONLY),
    row("serving.traffic[].revisionName", "agent-00001", service("spec/traffic/0/revisionName"), **_TARGET),
    row("serving.traffic[].latestRevision", True, service("spec/traffic/0/latestRevision"), **_TARGET),
    row(
        "serving.traffic[].percent",
        0,
        service("spec/traffic/0/percent"),
        serving={"traffic": [{"tag": "next"}, {"percent": 100}]},
    ),
    row("serving.traffic[].tag", "now", service("spec/traffic/0/tag"), **_TARGET),
]

ROWS = [*IMAGE, *AI, *BEHAVIOR, *APPROVAL, *MEMORY, *ENV, *CAPACITY, *SERVING]
