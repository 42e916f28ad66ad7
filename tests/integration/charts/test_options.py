"""What a platform team adds to the chart: how it is reached, scaled, watched and placed. All of it is valid to the API
server, to the field.
"""

import re
from typing import Any

import pytest
import yaml
from charts import generate
from tests.parts.chart import PROCESSES, SECRET, container, find, helm, on_rabbitmq, render
from tests.parts.kubernetes import KubeApiserver
from tests.parts.rest import RestError

from lambdaagent.controller.metrics import OperatorMetrics
from lambdaagent.dispatcher.metrics import DispatcherMetrics
from lambdaagent.gateway.metrics import GatewayMetrics

ROOT = generate.ROOT
DATABASE = {"secretSettings": {"database": SECRET}}
INGRESS = {"enabled": True, "className": "nginx", "hosts": [{"host": "agents.example.com"}], "annotations": {"a": "b"}}
ROUTE = {
    "enabled": True,
    "parentRefs": [{"name": "public", "namespace": "gateways", "sectionName": "https"}],
    "hostnames": ["agents.example.com"],
    "timeouts": {"request": "3600s"},
    "filters": [{"type": "ResponseHeaderModifier", "responseHeaderModifier": {"remove": ["server"]}}],
}
SCALING = {"enabled": True, "maxReplicas": 5, "targetMemoryUtilizationPercentage": 80, "behavior": {"scaleDown": {}}}
HABITS: dict[str, Any] = {
    "annotations": {"reloader": "true"},
    "podAnnotations": {"p": "1"},
    "podLabels": {"l": "1"},
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}
    ],
    "podDisruptionBudget": {"minAvailable": "50%"},
    "startupProbe": {"failureThreshold": 7},
    "livenessProbe": {"timeoutSeconds": 9},
    "extraArgs": [],
    "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
    "extraEnvFrom": [{"secretRef": {"name": "more"}}],
    "volumes": [{"name": "v", "emptyDir": {}}],
    "volumeMounts": [{"name": "v", "mountPath": "/v"}],
}
MONITORED = {"prometheusRule": {"enabled": True, "alertLabels": {"team": "a"}}}
KINDS = {
    "Deployment": "apps/v1/deployments",
    "PodDisruptionBudget": "policy/v1/poddisruptionbudgets",
    "HorizontalPodAutoscaler": "autoscaling/v2/horizontalpodautoscalers",
    "Ingress": "networking.k8s.io/v1/ingresses",
    "NetworkPolicy": "networking.k8s.io/v1/networkpolicies",
    "HTTPRoute": "gateway.networking.k8s.io/v1/httproutes",
    "ServiceMonitor": "monitoring.coreos.com/v1/servicemonitors",
    "PrometheusRule": "monitoring.coreos.com/v1/prometheusrules",
    "Lease": "coordination.k8s.io/v1/leases",
    "StatefulSet": "apps/v1/statefulsets",
    "Service": "v1/services",
    "Secret": "v1/secrets",
    "ConfigMap": "v1/configmaps",
    "ServiceAccount": "v1/serviceaccounts",
}
CLUSTERWIDE = ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "CustomResourceDefinition")


def strictly(server: KubeApiserver, document: dict[str, Any]) -> None:
    """Asks the API server whether it would create the object; an unknown field is an error."""
    group = KINDS[document["kind"]]
    version, plural = group.rsplit("/", 1)
    path = f"/{'api' if version == 'v1' else 'apis'}/{version}/namespaces/default/{plural}"
    document = document | {"metadata": document["metadata"] | {"namespace": "default"}}
    try:
        server.rest.post(path, document, dryRun="All", fieldValidation="Strict")
    except RestError as error:
        assert error.status == 409, error


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({}, id="the defaults"),
        pytest.param(dict.fromkeys(PROCESSES, HABITS) | {"commonLabels": {"team": "a"}}, id="everything of pods"),
        pytest.param({"gateway": {"ingress": INGRESS, "httpRoute": ROUTE, **DATABASE}}, id="reached from outside"),
        pytest.param(
            {"gateway": {"ingress": INGRESS | {"tls": [{"secretName": "t"}]}, "httpRoute": ROUTE, "tls": {
                "existingSecret": "cert"}}}, id="reached by TLS",
        ),
        pytest.param(
            {"gateway": {"autoscaling": SCALING, **DATABASE}, "dispatcher": {"autoscaling": SCALING}}, id="scaled"
        ),
        pytest.param(
            {"gateway": {"service": {
                "type": "LoadBalancer", "port": 8000, "nodePort": 30080, "appProtocol": "kgateway.dev/a2a",
                "loadBalancerClass": "a/b", "loadBalancerSourceRanges": ["10.0.0.0/8"],
                "externalTrafficPolicy": "Local", "ipFamilyPolicy": "PreferDualStack",
            }}}, id="a load balancer",
        ),
        pytest.param(
            MONITORED | {name: {"serviceMonitor": {"enabled": True}} for name in PROCESSES}, id="monitored"
        ),
        pytest.param({"networkPolicy": {"enabled": True}, "gateway": DATABASE}, id="network policies"),
        pytest.param({"operator": {"enabled": False}}, id="without an operator"),
        pytest.param({"postgresql": {"embedded": True}, "networkPolicy": {"enabled": True}}, id="a trial's database"),
        pytest.param({"postgresql": {"embedded": True}, "rabbitmq": {"embedded": True}}, id="a trial"),
        pytest.param({"gateway": {"enabled": False}, "networkPolicy": {"enabled": True}}, id="without a gateway"),
    ],
)  # fmt: skip
def test_the_api_server_takes_every_object(kube_apiserver: KubeApiserver, values: dict[str, Any]) -> None:
    documents = render(values) if values.get("rabbitmq") else on_rabbitmq(values)
    for document in documents:
        if document["kind"] not in CLUSTERWIDE:
            strictly(kube_apiserver, document)
    assert len({(each["kind"], each["metadata"]["name"], each["metadata"].get("namespace")) for each in documents}) == (
        len(documents)
    )


@pytest.mark.parametrize("process", PROCESSES)
def test_what_is_said_of_pods_is_true_of_every_process(process: str) -> None:
    documents = on_rabbitmq({process: HABITS | {"extraArgs": ["--help"]}, "commonLabels": {"team": "a"}})
    made, unit = find(documents, "Deployment", f"lambdaagent-{process}"), container(documents, process)
    pod = made["spec"]["template"]
    assert made["metadata"]["annotations"] == {"reloader": "true"}
    assert (pod["metadata"]["annotations"]["p"], pod["metadata"]["labels"]["l"]) == ("1", "1")
    assert {each["metadata"]["labels"].get("team") for each in documents} == {"a"}
    assert pod["metadata"]["labels"]["team"] == "a"
    assert "team" not in made["spec"]["selector"]["matchLabels"]
    assert pod["spec"]["topologySpreadConstraints"] == HABITS["topologySpreadConstraints"]
    assert unit["args"] == [process, "--help"]
    assert {"name": "HTTPS_PROXY", "value": "http://proxy:3128"} in unit["env"]
    assert unit["envFrom"] == HABITS["extraEnvFrom"]
    assert {"name": "v", "mountPath": "/v"} in unit["volumeMounts"]
    assert {"name": "v", "emptyDir": {}} in pod["spec"]["volumes"]
    assert (unit["startupProbe"]["failureThreshold"], unit["startupProbe"]["periodSeconds"]) == (7, 2)
    assert (unit["livenessProbe"]["timeoutSeconds"], unit["livenessProbe"]["httpGet"]["path"]) == (9, "/healthz")
    budget = find(documents, "PodDisruptionBudget", f"lambdaagent-{process}")["spec"]
    assert (budget["minAvailable"], "maxUnavailable" in budget) == ("50%", False)
    off = on_rabbitmq({process: {"podDisruptionBudget": {"enabled": False}}})
    assert f"lambdaagent-{process}" not in [
        each["metadata"]["name"] for each in off if each["kind"] == "PodDisruptionBudget"
    ]


def test_an_autoscaler_sets_the_replicas_alone() -> None:
    documents = on_rabbitmq({"gateway": {"autoscaling": SCALING, **DATABASE}})
    assert "replicas" not in find(documents, "Deployment", "lambdaagent-gateway")["spec"]
    scaler = find(documents, "HorizontalPodAutoscaler", "lambdaagent-gateway")["spec"]
    assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "lambdaagent-gateway"}
    assert [
        (each["resource"]["name"], each["resource"]["target"]["averageUtilization"]) for each in scaler["metrics"]
    ] == [
        ("cpu", 70),
        ("memory", 80),
    ]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 5)


@pytest.mark.parametrize(
    ("values", "next_step"),
    [
        ({"gateway": {"autoscaling": {"enabled": True}}}, "gateway.secretSettings.database"),
        ({"gateway": {"ingress": {"enabled": True}}}, "gateway.ingress.hosts"),
        ({"gateway": {"httpRoute": {"enabled": True}}}, "gateway.httpRoute.parentRefs"),
        ({"prometheusRule": {"disabled": ["Nope"]}}, "disabled"),
        ({"gateway": {"podDisruptionBudget": {"minAvailable": "half"}}}, "minAvailable"),
        ({"operator": {"startupProbe": {"path": "/x"}}}, "startupProbe"),
    ],
)
def test_half_an_option_is_refused_with_what_is_missing(values: Any, next_step: str) -> None:
    done = helm("template", "lambdaagent", str(generate.CHART), values=values)
    assert done.returncode != 0
    assert next_step in done.stderr


@pytest.mark.parametrize(("tls", "port", "name"), [({}, 80, "http"), ({"existingSecret": "cert"}, 443, "https")])
def test_what_comes_from_outside_goes_to_the_public_service(tls: dict[str, str], port: int, name: str) -> None:
    documents = render({"gateway": {"ingress": INGRESS, "httpRoute": ROUTE, "tls": tls}})
    (rule,) = find(documents, "Ingress", "lambdaagent-gateway")["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    assert (rule["host"], path["path"], path["pathType"]) == ("agents.example.com", "/", "Prefix")
    assert path["backend"]["service"] == {"name": "lambdaagent-gateway", "port": {"name": name}}
    (route,) = find(documents, "HTTPRoute", "lambdaagent-gateway")["spec"]["rules"]
    assert route["backendRefs"] == [{"name": "lambdaagent-gateway", "port": port}]
    (service,) = find(documents, "Service", "lambdaagent-gateway")["spec"]["ports"]
    assert (service["name"], service["port"]) == (name, port)


def test_a_part_alone_has_nothing_of_the_other() -> None:
    gateway = {
        each["metadata"]["name"] for each in render({"operator": {"enabled": False}}) if each["kind"] == "Deployment"
    }
    operator = render({"gateway": {"enabled": False}})
    assert gateway == {"lambdaagent-gateway"}
    assert {each["metadata"]["name"] for each in operator if each["kind"] == "Deployment"} == {"lambdaagent-operator"}
    assert not [each for each in operator if each["kind"] == "Service" and "gateway" in each["metadata"]["name"]]


def test_the_definition_is_updated_by_helm_and_kept() -> None:
    made = find(render(), "CustomResourceDefinition", "lambdaagents.lambda.knative.io")
    assert made["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert made["spec"] == yaml.safe_load((ROOT / "crds" / "lambdaagents.yaml").read_text())["spec"]
    assert "CustomResourceDefinition" not in {each["kind"] for each in render({"crds": {"enabled": False}})}


def alerts(values: Any = None) -> list[dict[str, Any]]:
    (group,) = find(render({"prometheusRule": {"enabled": True, **(values or {})}}), "PrometheusRule", "lambdaagent")[
        "spec"
    ]["groups"]
    return list(group["rules"])


def test_each_alert_asks_for_metrics_that_exist_and_has_a_page() -> None:
    texts = [metrics.text().decode() for metrics in (OperatorMetrics(), DispatcherMetrics(), GatewayMetrics())]
    known = set(re.findall(r"^# TYPE (\S+)", "\n".join(texts), re.MULTILINE))
    # These are there while a process leads.
    known |= {"lambdaagent_operator_queue_depth", "lambdaagent_operator_watch_age_seconds"}
    for rule in alerts():
        named = set(re.findall(r"lambdaagent_[a-z_]+", rule["expr"]))
        assert named, rule
        assert named <= known, rule
        assert rule["labels"]["severity"] in ("warning", "critical")
        page = (ROOT / "docs" / "runbooks" / f"{rule['alert']}.md").read_text()
        assert page.startswith(f"# {rule['alert']}\n")
    assert {path.stem for path in (ROOT / "docs" / "runbooks").glob("*.md")} == {rule["alert"] for rule in alerts()}


def test_alerts_can_be_left_out_labelled_added_and_linked() -> None:
    names = [each["alert"] for each in alerts()]
    changed = alerts(
        {
            "disabled": [names[0]], "alertLabels": {"severity": "page", "team": "a"}, "runbookUrl": "https://w/",
            "rules": [{"alert": "Mine", "expr": "1"}],
        }
    )  # fmt: skip
    assert [each["alert"] for each in changed] == [*names[1:], "Mine"]
    assert changed[0]["labels"] == {"severity": "page", "team": "a"}
    assert changed[0]["annotations"]["runbook_url"] == f"https://w/{names[1]}.md"
    assert "runbook_url" not in alerts()[0]["annotations"]
