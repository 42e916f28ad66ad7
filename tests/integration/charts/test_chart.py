"""The chart and the manifests as helm renders them, compared with the code that they install."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from charts import generate
from tests.parts import fetch
from tests.parts.chart import PROCESSES, SECRET, container, find, helm, on_rabbitmq, render
from tests.parts.documents import documents

from lambdaagent.kube import rights

ROOT = Path(__file__).parents[3]


def test_what_follows_from_the_code_is_up_to_date() -> None:
    made = generate.chart_files() | generate.manifest_files(str(fetch.go_part("helm")))
    stale = [str(path.relative_to(ROOT)) for path, text in made.items() if path.read_text() != text]
    assert stale == [], "run make manifests"


def test_the_linter_has_nothing_to_say() -> None:
    done = helm("lint", str(generate.CHART), "--strict")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "namespaces",
    [pytest.param([], id="all namespaces"), pytest.param(["shop", "somewhere"], id="two, one of them its own")],
)
def test_the_roles_are_those_that_the_code_needs(namespaces: list[str]) -> None:
    kinds = ("ServiceAccount", "ClusterRole", "Role", "ClusterRoleBinding", "RoleBinding")
    rendered = [document for document in render({"namespaces": namespaces}) if document["kind"] in kinds]

    def bare(documents: list[dict[str, Any]]) -> list[str]:
        texts = []
        for document in documents:
            labels = {k: v for k, v in document["metadata"]["labels"].items() if "aggregate-to" in k}
            texts.append(json.dumps(document | {"metadata": document["metadata"] | {"labels": labels}}, sort_keys=True))
        return sorted(texts)

    assert bare(rendered) == bare(rights.documents(namespace="somewhere", namespaces=namespaces))


@pytest.mark.parametrize("process", PROCESSES)
def test_every_pod_is_restricted_and_says_what_it_needs(process: str) -> None:
    documents = on_rabbitmq()
    pod = find(documents, "Deployment", f"lambdaagent-{process}")["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == f"lambdaagent-{process}"
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    unit = container(documents, process)
    assert unit["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert unit["resources"]["requests"].keys() == {"cpu", "memory"}
    assert "command" not in unit


def test_services_and_budgets_select_the_pods() -> None:
    documents = on_rabbitmq()
    labels = find(documents, "Deployment", "lambdaagent-gateway")["spec"]["template"]["metadata"]["labels"]
    for name in ("lambdaagent-gateway", "lambdaagent-events"):
        service = find(documents, "Service", name)["spec"]
        assert service["selector"].items() <= labels.items()
        assert service["ports"] == [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]
    for process in PROCESSES:
        budget = find(documents, "PodDisruptionBudget", f"lambdaagent-{process}")["spec"]
        deployment = find(documents, "Deployment", f"lambdaagent-{process}")["spec"]
        assert budget["selector"] == deployment["selector"]


@pytest.mark.parametrize("process", PROCESSES)
def test_metrics_of_every_replica_are_found_where_that_is_asked_for(process: str) -> None:
    documents = on_rabbitmq()
    assert "ServiceMonitor" not in {document["kind"] for document in documents}
    labels = find(documents, "Deployment", f"lambdaagent-{process}")["spec"]["template"]["metadata"]["labels"]
    service = find(documents, "Service", f"lambdaagent-{process}-metrics")
    assert service["spec"]["selector"].items() <= labels.items()
    ports = {each["name"]: each["containerPort"] for each in container(documents, process)["ports"]}
    (port,) = service["spec"]["ports"]
    assert port["port"] == ports[port["targetPort"]] == (9090 if process == "gateway" else 8080)
    for probe in ("readinessProbe", "livenessProbe"):
        assert container(documents, process)[probe]["httpGet"]["port"] == port["targetPort"]
    asked = {"enabled": True, "labels": {"release": "prometheus"}}
    documents = on_rabbitmq({process: {"serviceMonitor": asked}})
    monitor = find(documents, "ServiceMonitor", f"lambdaagent-{process}")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint == {"port": service["spec"]["ports"][0]["name"], "path": "/metrics", "interval": "30s"}


@pytest.mark.parametrize(
    ("version", "app_version", "chart", "app", "tag"),
    [
        ("1.2.3+build.5", "1.2.3+build.5", "lambdaagent-1.2.3_build.5", "1.2.3_build.5", "1.2.3_build.5"),
        ("1.0.0-rc.1+x", "v1+", "lambdaagent-1.0.0-rc.1_x", "v1", "v1_"),
        (f"1.0.0+{'b' * 80}", "a" * 70, f"lambdaagent-1.0.0_{'b' * 45}", "a" * 63, "a" * 70),
    ],
)
def test_a_version_of_any_form_makes_labels_and_a_tag(
    tmp_path: Path, version: str, app_version: str, chart: str, app: str, tag: str
) -> None:
    copy = shutil.copytree(generate.CHART, tmp_path / "lambdaagent")
    described = yaml.safe_load((copy / "Chart.yaml").read_text()) | {"version": version, "appVersion": app_version}
    (copy / "Chart.yaml").write_text(yaml.safe_dump(described))
    done = helm("template", "lambdaagent", str(copy), values={"image": {"tag": ""}})
    assert done.returncode == 0, done.stderr
    made = find(documents(done.stdout), "Deployment", "lambdaagent-gateway")
    labels = made["metadata"]["labels"]
    assert (labels["helm.sh/chart"], labels["app.kubernetes.io/version"]) == (chart, app)
    assert made["spec"]["template"]["spec"]["containers"][0]["image"].endswith(f":{tag}")


def test_it_can_be_a_part_of_another_chart(tmp_path: Path) -> None:
    parent = tmp_path / "platform"
    shutil.copytree(generate.CHART, parent / "charts" / "lambdaagent")
    dependency = {"name": "lambdaagent", "version": "0.1.0", "condition": "lambdaagent.enabled"}
    chart = {"apiVersion": "v2", "name": "platform", "version": "1.0.0", "dependencies": [dependency]}
    (parent / "Chart.yaml").write_text(yaml.safe_dump(chart))
    for enabled in (True, False):
        ours = {"enabled": enabled, "gateway": None, "operator": {"settings": None}}
        done = helm("template", "x", str(parent), values={"global": {"team": "a"}, "lambdaagent": ours})
        assert done.returncode == 0, done.stderr
        kinds = [each["kind"] for each in documents(done.stdout)]
        assert kinds.count("Deployment") == (2 if enabled else 0)


def test_ids_can_be_left_to_the_cluster() -> None:
    context = {"runAsUser": None, "runAsGroup": None, "fsGroup": None, "supplementalGroups": [7]}
    gateway = {"secretSettings": {"database": SECRET}}
    documents = on_rabbitmq({"podSecurityContext": context, "gateway": gateway})
    pods = [each["spec"]["template"]["spec"] for each in documents if each["kind"] in ("Deployment", "Job")]
    assert len(pods) == 3
    for pod in pods:
        assert pod["securityContext"] == {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
            "supplementalGroups": [7],
        }
