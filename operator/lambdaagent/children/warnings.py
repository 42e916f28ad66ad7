"""Warnings about fields that have no effect or another effect here: one per field, with the field and the reason.

Warnings inform and do not affect Ready. They depend only on the specs of agents and the installation, so they change
only with those.
"""

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from lambdaagent.api import naming
from lambdaagent.api.a2a import A2a, ContainerEndpoint
from lambdaagent.api.access import CREDENTIAL_HEADERS
from lambdaagent.api.agent import MOST_WARNINGS, FieldWarning, LambdaAgent
from lambdaagent.api.skills import Skill
from lambdaagent.api.workload import DEFAULT_TIMEOUT_SECONDS, LONGEST_TIMEOUT_SECONDS, Scaling, Serving
from lambdaagent.children import environment, kubernetes, network_policy, sidecar
from lambdaagent.children.base import Backends, Observed
from lambdaagent.children.brokers import broker_of
from lambdaagent.children.container import POD_SECURITY
from lambdaagent.children.forwards import FINE, decide
from lambdaagent.children.triggers import bare, exact
from lambdaagent.children.warning_reasons import WarningReason
from lambdaagent.events.filters import is_pattern
from lambdaagent.settings import Installation

_KNATIVE_ONLY = "has an effect only with Knative Serving, not on plain Kubernetes"
_CONNECTIONS_ONLY = (
    "is not enforced on plain Kubernetes; with maxReplicas it limits the gateway's connections to the agent"
)


def warnings(
    agent: LambdaAgent, installation: Installation, backends: Backends, observed: Observed
) -> list[FieldWarning]:
    if agent.external is not None:
        return [*_without_pods(agent), *_a2a(agent, installation, backends)]
    return [
        *_annotations(agent),
        *_workload(agent, backends),
        *_eventing(agent, installation, backends),
        *_unheard(agent, installation, backends, observed),
        *_a2a(agent, installation, backends),
        *_operations(agent, backends),
    ]


def _without_pods(agent: LambdaAgent) -> Iterator[FieldWarning]:
    """Warn of what an external agent does not get. Only `a2a` is for it, and `external` itself."""
    for name, field in type(agent.spec).model_fields.items():
        if name not in ("a2a", "external") and (said := getattr(agent.spec, name)) and said != field.default:
            message = "has no effect: an external agent has no pods"
            yield FieldWarning(field=f"spec.{field.alias or name}", reason=WarningReason.NO_PODS, message=message)
    external = agent.external
    if external is not None and external.headers_from and urlsplit(external.url).scheme == "http":
        message = "are sent without encryption, because external.url is http; use https unless the network is trusted"
        yield FieldWarning(field="spec.external.headersFrom", reason=WarningReason.NOT_ENCRYPTED, message=message)
    if network_policy.asked(agent):
        message = "closes nothing: an external agent has no pods"
        field_name = "spec.a2a.access.networkPolicy"
        yield FieldWarning(field=field_name, reason=WarningReason.NO_PODS, message=message)


def _annotations(agent: LambdaAgent) -> Iterator[FieldWarning]:
    said = agent.metadata.annotations.get(naming.ANNOTATION_POD_SECURITY)
    if said is not None and said not in POD_SECURITY:
        message = f"{said!r} is unknown, so the installation's setting applies; use {' or '.join(POD_SECURITY)}"
        field = f"metadata.annotations[{naming.ANNOTATION_POD_SECURITY}]"
        yield FieldWarning(field=field, reason=WarningReason.UNKNOWN_POD_SECURITY, message=message)


def _workload(agent: LambdaAgent, backends: Backends) -> Iterator[FieldWarning]:
    spec = agent.spec
    names = [variable.name for variable in spec.env]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield FieldWarning(
            field="spec.env",
            reason=WarningReason.DUPLICATE_ENV,
            message=f"{name} is set more than once; the last value applies",
        )
    for name in environment.overridden(agent):
        message = f"the operator would set {name} too; the value in spec.env applies"
        yield FieldWarning(field="spec.env", reason=WarningReason.ENV_OVERRIDDEN, message=message)
    if spec.operation_mode == "supervised" and spec.approval is None:
        message = "the agent is supervised without spec.approval, so the container does not learn whom to ask; add it"
        yield FieldWarning(field="spec.operationMode", reason=WarningReason.NO_APPROVAL, message=message)
    if backends.serving == "knative":
        yield from _knative_limits(spec.serving or Serving())
        return
    if spec.scaling and spec.scaling.min_replicas == 0:
        message = "plain Kubernetes cannot scale to zero; it keeps one pod"
        yield FieldWarning(field="spec.scaling.minReplicas", reason=WarningReason.SCALE_TO_ZERO, message=message)
    if (
        spec.scaling
        and spec.scaling.max_replicas > max(1, spec.scaling.min_replicas)
        and not kubernetes.requests_cpu(agent)
    ):
        message = "plain Kubernetes scales by CPU use; set spec.resources.requests.cpu to get an autoscaler"
        yield FieldWarning(field="spec.scaling.maxReplicas", reason=WarningReason.NEEDS_CPU_REQUEST, message=message)
    for name in ("traffic", "container_concurrency", "response_start_timeout_seconds"):
        if spec.serving and getattr(spec.serving, name):
            field = type(spec.serving).model_fields[name].alias
            message = _CONNECTIONS_ONLY if name == "container_concurrency" and spec.scaling else _KNATIVE_ONLY
            yield FieldWarning(field=f"spec.serving.{field}", reason=WarningReason.KNATIVE_ONLY, message=message)
    for name in ("target_concurrency", "scale_to_zero_grace_period"):
        # The API server stores defaults, so only another value is known to have been set by the user.
        if spec.scaling and getattr(spec.scaling, name) != Scaling.model_fields[name].default:
            field = Scaling.model_fields[name].alias
            yield FieldWarning(field=f"spec.scaling.{field}", reason=WarningReason.KNATIVE_ONLY, message=_KNATIVE_ONLY)


def _knative_limits(serving: Serving) -> Iterator[FieldWarning]:
    for name in ("timeout_seconds", "response_start_timeout_seconds"):
        if (getattr(serving, name) or 0) > LONGEST_TIMEOUT_SECONDS:
            message = (
                f"Knative refuses more than {LONGEST_TIMEOUT_SECONDS} s unless max-revision-timeout-seconds is raised"
                " in ConfigMap knative-serving/config-defaults"
            )
            field = f"spec.serving.{Serving.model_fields[name].alias}"
            yield FieldWarning(field=field, reason=WarningReason.KNATIVE_LIMIT, message=message)


def _eventing(agent: LambdaAgent, installation: Installation, backends: Backends) -> Iterator[FieldWarning]:
    eventing = agent.spec.eventing
    if not eventing or not eventing.enabled:
        return
    emitted, plain = set(eventing.intents), backends.eventing == "rabbitmq"
    if eventing.skip_own and not (plain and eventing.event_source):
        message = "set eventing.eventSource" if plain else "Knative's filters cannot exclude them"
        yield FieldWarning(
            field="spec.eventing.skipOwn",
            reason=WarningReason.OWN_EVENTS,
            message=f"the agent receives its own events: {message}",
        )
    for index, subscription in enumerate(eventing.subscriptions):
        field = f"spec.eventing.subscriptions[{index}]"
        if not plain and (is_pattern(subscription.event_type) or is_pattern(subscription.source)):
            message = "RabbitMQ matches exact values, so no Trigger is created; list the exact types"
            yield FieldWarning(field=field, reason=WarningReason.WILDCARD, message=message)
        elif subscription.event_type in emitted and not subscription.source and not (plain and eventing.skip_own):
            message = f"the agent emits {subscription.event_type} itself, so it receives its own events"
            yield FieldWarning(field=field, reason=WarningReason.SELF_LOOP, message=message)
    for index, forward in enumerate(eventing.forwards):
        for kind in filter(is_pattern, forward.event_types):
            message = f"{kind}: RabbitMQ matches exact values, so no Trigger is created; list the exact types"
            yield FieldWarning(field=f"spec.eventing.forwards[{index}]", reason=WarningReason.WILDCARD, message=message)
    if not installation.events_url and backends.eventing == "knative":
        message = "no gateway is installed, so events that cannot be delivered are dropped"
        yield FieldWarning(field="spec.eventing.dlq", reason=WarningReason.NO_DEAD_LETTER_SINK, message=message)


def _unheard(
    agent: LambdaAgent, installation: Installation, backends: Backends, observed: Observed
) -> Iterator[FieldWarning]:
    """Warn of emitted or forwarded events without a subscriber: a Broker confirms such events and drops them."""
    eventing, broker = agent.spec.eventing, broker_of(agent, installation)
    if not eventing or not broker or backends.eventing == "none":
        return
    for index, decision in enumerate(decide(agent, installation, observed)):
        forward = decision.forward
        target = observed.agents.get((forward.target_namespace, forward.target_agent))
        if decision.verdict not in FINE or not target or not target.spec.eventing:
            continue  # reported by ForwardsResolved
        taken = {subscription.event_type for subscription in exact(target.spec.eventing)}
        if missing := [kind for kind in forward.event_types if kind not in taken and not is_pattern(kind)]:
            message = (
                f"{target.key} does not subscribe to {_listed(missing)};"
                " add it to that agent's eventing.subscriptions or remove it here"
            )
            field = f"spec.eventing.forwards[{index}].eventTypes"
            yield FieldWarning(field=field, reason=WarningReason.FORWARD_NOT_SUBSCRIBED, message=message)
    if observed.subscribed is None:
        return
    forwarded = {bare(kind) for forward in eventing.forwards for kind in forward.event_types}
    missing = [kind for kind in eventing.intents if bare(kind) not in observed.subscribed | forwarded]
    if missing:
        message = f"no agent on Broker {broker.name} subscribes to {_listed(missing)}, so these events are dropped"
        yield FieldWarning(field="spec.eventing.intents", reason=WarningReason.INTENT_NOT_SUBSCRIBED, message=message)


def _listed(kinds: list[str], most: int = 5) -> str:
    more = len(kinds) - most
    return ", ".join(kinds[:most]) + (f" and {more} more" if more > 0 else "")


def _a2a(agent: LambdaAgent, installation: Installation, backends: Backends) -> Iterator[FieldWarning]:
    a2a = agent.spec.a2a
    if not a2a or not a2a.enabled:
        return
    if not installation.gateway_url:
        message = "no gateway is installed, so the agent cannot be called over A2A"
        yield FieldWarning(field="spec.a2a", reason=WarningReason.NO_GATEWAY, message=message)
    health = agent.spec.behavior.health_check if agent.spec.behavior else None
    if sidecar.wanted(agent, installation) and backends.serving == "knative" and health and health.liveness:
        message = "with a sidecar, Knative allows no probes of the agent's container; the sidecar checks readiness"
        yield FieldWarning(
            field="spec.behavior.healthCheck.liveness", reason=WarningReason.KNATIVE_SIDECAR, message=message
        )
    if a2a.container and a2a.protocol not in ("a2a", "mcp"):
        message = f"applies only with protocol a2a or mcp; with {a2a.protocol} the container has no endpoint of its own"
        yield FieldWarning(field="spec.a2a.container", reason=WarningReason.OTHER_PROTOCOL, message=message)
    elif a2a.container and a2a.protocol == "mcp":
        for name in ("card_path", "version"):
            if getattr(a2a.container, name) != ContainerEndpoint.model_fields[name].default:
                field = f"spec.a2a.container.{ContainerEndpoint.model_fields[name].alias}"
                message = "applies only with protocol a2a; an MCP server has no agent card"
                yield FieldWarning(field=field, reason=WarningReason.OTHER_PROTOCOL, message=message)
    if a2a.protocol == "mcp" and a2a.mode == "sidecar" and not a2a.skills:
        message = "a sidecar does not read the container's tools; list them as skills, or use mode gateway"
        yield FieldWarning(field="spec.a2a.skills", reason=WarningReason.NO_SKILLS, message=message)
    if credentials := [header for header in a2a.forward_headers if header in CREDENTIAL_HEADERS]:
        message = f"the container gets the callers' {' and '.join(credentials)}, and can use it elsewhere in their name"
        field = "spec.a2a.forwardHeaders"
        yield FieldWarning(field=field, reason=WarningReason.CREDENTIAL_FORWARDED, message=message)
    if network_policy.asked(agent) and backends.serving == "knative" and agent.external is None:
        message = (
            "closes nothing on Knative: requests of every pod arrive through its activator, so no NetworkPolicy is"
            " created; use a mesh, or let the container refuse requests without LambdaAgent-Identity"
        )
        field = "spec.a2a.access.networkPolicy"
        yield FieldWarning(field=field, reason=WarningReason.KUBERNETES_ONLY, message=message)
    unknown = sorted(set(a2a.private_skills) - {skill.id for skill in a2a.skills})
    if unknown and a2a.skills:
        message = f"there is no skill {unknown[0]}"
        yield FieldWarning(field="spec.a2a.privateSkills", reason=WarningReason.UNKNOWN_SKILL, message=message)
    limit = (agent.spec.serving and agent.spec.serving.timeout_seconds) or DEFAULT_TIMEOUT_SECONDS
    for index, skill in enumerate(a2a.skills):
        field = f"spec.a2a.skills[{index}].invoke"
        cut_off = backends.serving == "knative" and agent.external is None
        yield from _invoke(a2a, skill, field, limit if cut_off else None)
        if skill.is_async:
            yield from _async(agent, installation, backends, f"{field}.mode")


def _invoke(a2a: A2a, skill: Skill, field: str, limit: int | None) -> Iterator[FieldWarning]:
    if not skill.invoke:
        return
    if skill.invoke.path and a2a.protocol != "http":
        message = f"applies only with protocol http; with {a2a.protocol} the container is called at /"
        yield FieldWarning(field=f"{field}.path", reason=WarningReason.OTHER_PROTOCOL, message=message)
    if skill.invoke.event_type and a2a.protocol != "cloudevents" and skill.invoke.mode != "async":
        message = f"applies only with protocol cloudevents; with {a2a.protocol} the container gets no event"
        yield FieldWarning(field=f"{field}.eventType", reason=WarningReason.OTHER_PROTOCOL, message=message)
    if limit and skill.invoke.timeout_seconds > limit:
        message = f"Knative ends a response after {limit} s; raise spec.serving.timeoutSeconds"
        yield FieldWarning(field=f"{field}.timeoutSeconds", reason=WarningReason.TIMEOUT_SHORTER, message=message)


def _async(agent: LambdaAgent, installation: Installation, backends: Backends, field: str) -> Iterator[FieldWarning]:
    missing = (
        "the agent has no spec.eventing"
        if broker_of(agent, installation) is None
        else "this installation has no eventing backend"
        if backends.eventing == "none"
        else "no gateway is installed to receive the calls"
        if not installation.events_url
        else ""
    )
    if missing:
        message = f"calls of this skill are events, and they cannot be delivered: {missing}; add it, or use mode sync"
        yield FieldWarning(field=field, reason=WarningReason.NEEDS_EVENTING, message=message)


def _operations(agent: LambdaAgent, backends: Backends) -> Iterator[FieldWarning]:
    observability, permissions = agent.spec.observability, agent.spec.permissions
    metrics = observability.metrics if observability else None
    if metrics and metrics.enabled and metrics.service_monitor and not backends.monitoring:
        message = "the cluster does not serve monitoring.coreos.com/v1; no ServiceMonitor is created"
        yield FieldWarning(
            field="spec.observability.metrics.serviceMonitor", reason=WarningReason.NO_MONITOR, message=message
        )
    closed = network_policy.asked(agent) and backends.serving == "kubernetes"
    if metrics and metrics.enabled and metrics.service_monitor and backends.monitoring and closed:
        message = (
            "spec.a2a.access.networkPolicy keeps Prometheus from the agent's port; add a NetworkPolicy of your own that"
            " lets it in, or turn the policy or the metrics off"
        )
        yield FieldWarning(
            field="spec.observability.metrics.serviceMonitor", reason=WarningReason.METRICS_CLOSED, message=message
        )
    if not permissions:
        return
    for name in ("disable_broker_creation", "disable_trigger_creation", "disable_function_creation"):
        if getattr(permissions, name):
            field = type(permissions).model_fields[name].alias
            message = (
                "is not enforced: the operator binds no roles; bind them to the agent's ServiceAccount accordingly"
            )
            yield FieldWarning(field=f"spec.permissions.{field}", reason=WarningReason.NOT_ENFORCED, message=message)
    if permissions.event_controls:
        message = "control events are not implemented"
        yield FieldWarning(field="spec.permissions.eventControls", reason=WarningReason.NOT_SUPPORTED, message=message)


def bounded(found: Sequence[FieldWarning], *, most: int = MOST_WARNINGS) -> list[FieldWarning]:
    """Return as many warnings as status may hold; the API server would refuse a status with more."""
    if len(found) <= most:
        return list(found)
    message = f"and {len(found) - most + 1} more; `lambdaagent validate` prints all"
    return [*found[: most - 1], FieldWarning(field="spec", reason=WarningReason.MORE, message=message)]
