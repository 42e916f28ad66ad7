"""Each reason of a warning, and a spec that causes it."""

from typing import Any

import pytest

from lambdaagent.api import agent as agents
from lambdaagent.api import naming
from lambdaagent.api.agent import MOST_WARNINGS, FieldWarning
from lambdaagent.children.base import Backends, Observed
from lambdaagent.children.warning_reasons import WarningReason
from lambdaagent.children.warnings import bounded, warnings
from lambdaagent.settings import Installation

KNATIVE, KUBERNETES = Backends("knative", "knative"), Backends("kubernetes", "rabbitmq")
EXTERNAL: dict[str, Any] = {"image": None, "external": {"url": "https://agent.example.com/rpc"}}
CLOSED = {"a2a": {"enabled": True, "access": {"networkPolicy": True}}}
FORWARD = {"eventTypes": ["a"], "targetAgent": "b", "targetNamespace": "n"}


def found(spec: dict[str, Any], backends: Backends = KNATIVE, **installation: Any) -> set[tuple[str, str]]:
    metadata = {"name": "a", "annotations": spec.get("annotations", {})}
    agent = agents.parse({"metadata": metadata, "spec": {"image": {"repository": "example.com/a"}} | spec})
    taking = {"image": {"repository": "example.com/b"}, "eventing": {"subscriptions": [{"eventType": "z"}]}}
    other = agents.parse({"metadata": {"name": "b"}, "spec": taking})
    observed = Observed(agents={("default", "a"): agent, ("default", "b"): other}, subscribed={"z"})
    made = warnings(agent, Installation(**installation), backends, observed)
    return {(warning.field, warning.reason) for warning in made}


def _skill(protocol: str = "cloudevents", **invoke: Any) -> dict[str, Any]:
    skill = {"id": "one", "name": "One", "invoke": invoke}
    return {"a2a": {"enabled": True, "protocol": protocol, "skills": [skill]}}


INVOKE = "spec.a2a.skills[0].invoke"
ROWS: list[tuple[WarningReason, str, dict[str, Any], Backends, dict[str, Any]]] = [
    (
        WarningReason.UNKNOWN_POD_SECURITY,
        f"metadata.annotations[{naming.ANNOTATION_POD_SECURITY}]",
        {"annotations": {naming.ANNOTATION_POD_SECURITY: "relaxed"}},
        KNATIVE,
        {},
    ),
    (WarningReason.DUPLICATE_ENV, "spec.env", {"env": [{"name": "A"}, {"name": "A"}]}, KNATIVE, {}),
    (WarningReason.ENV_OVERRIDDEN, "spec.env", {"env": [{"name": "OPERATION_MODE"}]}, KNATIVE, {}),
    (WarningReason.NO_APPROVAL, "spec.operationMode", {"operationMode": "supervised"}, KNATIVE, {}),
    (WarningReason.KNATIVE_ONLY, "spec.serving.traffic", {"serving": {"traffic": [{"percent": 100}]}}, KUBERNETES, {}),
    (WarningReason.KNATIVE_LIMIT, "spec.serving.timeoutSeconds", {"serving": {"timeoutSeconds": 601}}, KNATIVE, {}),
    (
        WarningReason.KNATIVE_LIMIT,
        "spec.serving.responseStartTimeoutSeconds",
        {"serving": {"timeoutSeconds": 900, "responseStartTimeoutSeconds": 601}},
        KNATIVE,
        {},
    ),
    (WarningReason.SCALE_TO_ZERO, "spec.scaling.minReplicas", {"scaling": {"minReplicas": 0}}, KUBERNETES, {}),
    (WarningReason.NEEDS_CPU_REQUEST, "spec.scaling.maxReplicas", {"scaling": {"maxReplicas": 2}}, KUBERNETES, {}),
    (
        WarningReason.WILDCARD,
        "spec.eventing.subscriptions[0]",
        {"eventing": {"subscriptions": [{"eventType": "a.*"}]}},
        KNATIVE,
        {},
    ),
    (
        WarningReason.SELF_LOOP,
        "spec.eventing.subscriptions[0]",
        {"eventing": {"intents": ["a"], "subscriptions": [{"eventType": "a"}]}},
        KNATIVE,
        {},
    ),
    (
        WarningReason.FORWARD_NOT_SUBSCRIBED,
        "spec.eventing.forwards[0].eventTypes",
        {"eventing": {"forwards": [FORWARD | {"targetNamespace": "default"}]}},
        KNATIVE,
        {},
    ),
    (
        WarningReason.OWN_EVENTS,
        "spec.eventing.skipOwn",
        {"eventing": {"eventSource": "/mine", "skipOwn": True, "subscriptions": [{"eventType": "a"}]}},
        KNATIVE,
        {},
    ),
    (
        WarningReason.NEEDS_EVENTING,
        "spec.a2a.skills[0].invoke.mode",
        {"a2a": {"enabled": True, "skills": [{"id": "s", "name": "s", "invoke": {"mode": "async"}}]}},
        KNATIVE,
        {},
    ),
    (WarningReason.INTENT_NOT_SUBSCRIBED, "spec.eventing.intents", {"eventing": {"intents": ["y"]}}, KNATIVE, {}),
    (
        WarningReason.KNATIVE_SIDECAR,
        "spec.behavior.healthCheck.liveness",
        {"a2a": {"enabled": True, "mode": "sidecar"}, "behavior": {"healthCheck": {"liveness": {}}}},
        KNATIVE,
        {"gateway_image": "example.com/gateway:1"},
    ),
    (WarningReason.NO_DEAD_LETTER_SINK, "spec.eventing.dlq", {"eventing": {}}, KNATIVE, {"events_url": ""}),
    (WarningReason.NO_GATEWAY, "spec.a2a", {"a2a": {"enabled": True}}, KNATIVE, {"gateway_url": ""}),
    (WarningReason.OTHER_PROTOCOL, f"{INVOKE}.path", _skill(path="/do"), KNATIVE, {}),
    (WarningReason.OTHER_PROTOCOL, f"{INVOKE}.eventType", _skill("http", eventType="do.it"), KNATIVE, {}),
    (WarningReason.TIMEOUT_SHORTER, f"{INVOKE}.timeoutSeconds", _skill(timeoutSeconds=301), KNATIVE, {}),
    (
        WarningReason.NO_MONITOR,
        "spec.observability.metrics.serviceMonitor",
        {"observability": {"metrics": {}}},
        Backends(monitoring=False),
        {},
    ),
    (
        WarningReason.METRICS_CLOSED,
        "spec.observability.metrics.serviceMonitor",
        {"observability": {"metrics": {}}, **CLOSED},
        KUBERNETES,
        {},
    ),
    (WarningReason.KUBERNETES_ONLY, "spec.a2a.access.networkPolicy", CLOSED, KNATIVE, {}),
    (
        WarningReason.NOT_ENFORCED,
        "spec.permissions.disableBrokerCreation",
        {"permissions": {"disableBrokerCreation": True}},
        KNATIVE,
        {},
    ),
    (
        WarningReason.NOT_SUPPORTED,
        "spec.permissions.eventControls",
        {"permissions": {"eventControls": {}}},
        KNATIVE,
        {},
    ),
    (WarningReason.OTHER_PROTOCOL, "spec.a2a.container", {"a2a": {"enabled": True, "container": {}}}, KNATIVE, {}),
    *(
        (
            WarningReason.OTHER_PROTOCOL,
            f"spec.a2a.container.{name}",
            {"a2a": {"enabled": True, "protocol": "mcp", "container": {"path": "/x", name: value}}},
            KNATIVE,
            {},
        )
        for name, value in (("cardPath", "/card"), ("version", "1.0"))
    ),
    (
        WarningReason.NO_SKILLS,
        "spec.a2a.skills",
        {"a2a": {"enabled": True, "protocol": "mcp", "mode": "sidecar"}},
        KNATIVE,
        {},
    ),
    (
        WarningReason.CREDENTIAL_FORWARDED,
        "spec.a2a.forwardHeaders",
        {"a2a": {"enabled": True, "forwardHeaders": ["x-tenant", "authorization"]}},
        KNATIVE,
        {},
    ),
    (
        WarningReason.UNKNOWN_SKILL,
        "spec.a2a.privateSkills",
        {"a2a": {"enabled": True, "skills": [{"id": "one", "name": "One"}], "privateSkills": ["two"]}},
        KNATIVE,
        {},
    ),
    *[
        (WarningReason.NO_PODS, f"spec.{next(iter(said))}", EXTERNAL | said, backends, {})
        for said in (
            {"scaling": {"minReplicas": 1}},
            {"serving": {"timeoutSeconds": 901}},
            {"eventing": {"subscriptions": [{"eventType": "a"}]}},
            {"env": [{"name": "A"}]},
            {"operationMode": "supervised"},
        )
        for backends in (KNATIVE, KUBERNETES)
    ],
    (
        WarningReason.NOT_ENCRYPTED,
        "spec.external.headersFrom",
        {
            "image": None,
            "external": {
                "url": "http://agent.example.com",
                "headersFrom": [{"name": "X-Key", "secretKeyRef": {"name": "s", "key": "k"}}],
            },
        },
        KNATIVE,
        {},
    ),
    (
        WarningReason.NO_PODS,
        "spec.a2a.access.networkPolicy",
        EXTERNAL | {"a2a": {"access": {"networkPolicy": True}}},
        KUBERNETES,
        {},
    ),
]


@pytest.mark.parametrize(
    ("reason", "field", "spec", "backends", "installation"), ROWS, ids=[f"{row[0]} {row[1]}" for row in ROWS]
)
def test_names_the_field_and_the_reason(
    reason: WarningReason, field: str, spec: dict[str, Any], backends: Backends, installation: dict[str, Any]
) -> None:
    assert (field, reason) in found(spec, backends, **installation)
    assert found({}, backends, **installation) == set()


def test_every_reason_has_its_row() -> None:
    assert {row[0] for row in ROWS} == set(WarningReason) - {
        WarningReason.MORE,
        WarningReason.CONTESTED,
    }  # these two follow from no spec


@pytest.mark.parametrize("backends", [KNATIVE, KUBERNETES])
def test_an_external_agent_is_warned_of_nothing_by_itself(backends: Backends) -> None:
    spec = EXTERNAL | {"operationMode": "agentic"}
    assert found(spec, backends, gateway_url="http://gateway") == set()


def test_what_an_agent_of_today_says_by_default_is_not_warned_of_on_plain_kubernetes() -> None:
    spec = {"scaling": {"minReplicas": 1, "maxReplicas": 1, "targetConcurrency": 10, "scaleToZeroGracePeriod": "30s"}}
    assert found(spec, KUBERNETES) == set()


@pytest.mark.parametrize("protocol", ["cloudevents", "http"])
def test_a_field_of_the_agents_own_protocol_is_not_warned_of(protocol: str) -> None:
    own = {"path": "/do"} if protocol == "http" else {"eventType": "do.it"}
    assert found(_skill(protocol, **own)) == set()


def test_the_type_of_an_async_call_counts_with_every_protocol() -> None:
    kinds = {field for field, reason in found(_skill("http", mode="async", eventType="do.it"), KNATIVE)}
    assert f"{INVOKE}.eventType" not in kinds


def test_a_concurrency_that_bounds_connections_is_not_said_to_have_no_effect() -> None:
    spec = {"serving": {"containerConcurrency": 5}, "scaling": {"maxReplicas": 2}}
    agent = agents.parse({"metadata": {"name": "a"}, "spec": {"image": {"repository": "example.com/a"}} | spec})
    made = warnings(agent, Installation(), KUBERNETES, Observed(agents={}, subscribed=set()))
    messages = {warning.field: warning.message for warning in made}
    assert "limits the gateway's connections" in messages["spec.serving.containerConcurrency"]


def test_no_more_warnings_than_status_holds() -> None:
    many = [FieldWarning(field=f"spec.x[{number}]", reason="R", message="m") for number in range(300)]
    kept = bounded(many)
    assert len(kept) == MOST_WARNINGS
    assert (kept[-1].reason, kept[-1].message.partition(";")[0]) == (WarningReason.MORE, "and 45 more")
    assert bounded(many[:MOST_WARNINGS]) == many[:MOST_WARNINGS]
