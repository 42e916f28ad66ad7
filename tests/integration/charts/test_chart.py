"""The chart and the manifests, as helm renders them, against the code that they install."""

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from charts import generate
from tests.parts import fetch, image
from tests.parts.chart import (
    PROCESSES,
    RABBITMQ,
    SECRET,
    container,
    environment,
    find,
    helm,
    on_rabbitmq,
    render,
    started_with,
)
from tests.parts.documents import documents

from lambdaagent.kube import rights
from lambdaagent.settings import DispatcherSettings, EventsSettings, Installation

ROOT = Path(__file__).parents[3]
CONTAINERFILES = [ROOT / "Containerfile", *sorted(ROOT.glob("examples/*/Containerfile"))]


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
def test_namespaces_are_said_to_every_process(process: str) -> None:
    name = "LAMBDAAGENT_NAMESPACES"
    assert environment(on_rabbitmq({"namespaces": ["shop", "bank"]}), process)[name]["value"] == "shop,bank"
    assert name not in environment(on_rabbitmq(), process)


def samples(described: dict[str, Any]) -> dict[str, Any]:
    """A value for each setting."""
    values = {"string": "https://example.com", "integer": 1234567, "number": 7.5, "boolean": True}
    return {
        name: rule["enum"][-1]
        if "enum" in rule
        else min(values[rule["type"]], rule.get("maximum", 10**9))
        if rule["type"] in ("integer", "number")
        else values[rule["type"]]
        for name, rule in described["settings"]["properties"].items()
    }


@pytest.mark.parametrize("process", ["operator", "gateway"])
def test_every_setting_arrives_as_its_variable(process: str) -> None:
    described = generate.schema()["properties"][process]["properties"]
    settings = samples(described)
    secret = {name: {"name": "own", "key": name} for name in described["secretSettings"]["properties"]}
    values = {"settings": settings, "secretSettings": {k: v for k, v in secret.items() if k not in settings}}
    env = environment(render({process: values}), process)
    for name in PROCESSES[process].model_fields:
        if name in ("pod_name", "pod_namespace", "event_keys", "host", "port", "namespaces", "amqp_url", "ca_file"):
            continue
        entry, key = env[f"LAMBDAAGENT_{name.upper()}"], generate.camel(name)
        if key in settings:
            assert entry["value"] == json.dumps(settings[key]).strip('"')
        else:
            assert entry["valueFrom"]["secretKeyRef"] == {"name": "own", "key": key}
    assert env["LAMBDAAGENT_EVENT_KEYS"]["valueFrom"]["secretKeyRef"]["name"] == "lambdaagent-event-keys"


def test_the_dispatcher_has_its_own_settings_and_those_that_the_operator_has() -> None:
    properties = generate.schema()["properties"]
    own, shared = samples(properties["dispatcher"]["properties"]), samples(properties["operator"]["properties"])
    documents = on_rabbitmq(
        {"operator": {"settings": shared | {"eventing": "rabbitmq"}}, "dispatcher": {"settings": own}}
    )
    env, operator = environment(documents, "dispatcher"), environment(documents, "operator")
    for name in DispatcherSettings.model_fields.keys() - {"host", "namespaces", "amqp_url", "pod_namespace", "ca_file"}:
        variable, key = f"LAMBDAAGENT_{name.upper()}", generate.camel(name)
        if name in Installation.model_fields:
            assert env[variable] == operator[variable]
        elif key in own:
            assert env[variable]["value"] == own[key]
    assert {"queueType", "logLevel", "logFormat"} <= own.keys()
    env = environment(on_rabbitmq({"operator": {"secretSettings": {"deliveryRetry": SECRET}}}), "dispatcher")
    assert env["LAMBDAAGENT_DELIVERY_RETRY"]["valueFrom"]["secretKeyRef"] == SECRET


def test_events_go_through_rabbitmq_where_the_dispatcher_is() -> None:
    documents = on_rabbitmq()
    for process in ("operator", "dispatcher"):
        assert environment(documents, process)["LAMBDAAGENT_EVENTING"]["value"] == "rabbitmq"
    address = {"secretKeyRef": {"name": "mq", "key": "address"}}
    for process in ("gateway", "dispatcher"):
        assert environment(documents, process)["LAMBDAAGENT_AMQP_URL"]["valueFrom"] == address
    assert json.dumps(documents).count('"LAMBDAAGENT_AMQP_URL"') == 2
    documents = render()
    assert "lambdaagent-dispatcher" not in {
        each["metadata"]["name"] for each in documents if each["kind"] == "Deployment"
    }
    assert "LAMBDAAGENT_EVENTING" not in json.dumps(documents)
    assert "LAMBDAAGENT_AMQP_URL" not in json.dumps(documents)


@pytest.mark.parametrize(
    ("values", "next_step"),
    [
        pytest.param({"dispatcher": {"enabled": True}}, "rabbitmq.existingSecret", id="no address"),
        pytest.param(
            RABBITMQ | {"operator": {"settings": {"eventing": "knative"}}},
            "operator.settings.eventing is knative",
            id="two opinions",
        ),
        pytest.param(
            RABBITMQ | {"operator": {"secretSettings": {"eventing": {"name": "a", "key": "b"}}}},
            "operator.settings.eventing is from a Secret",
            id="two opinions, one hidden",
        ),
        pytest.param(
            {"operator": {"settings": {"eventing": "rabbitmq"}}}, "set dispatcher.enabled", id="nobody delivers"
        ),
        pytest.param(
            {"gateway": {"settings": {"database": "postgresql://h/d"}, "secretSettings": {"database": SECRET}}},
            "database is among both settings and secretSettings",
            id="two databases",
        ),
        pytest.param(
            {"operator": {"settings": {"clusterDomain": "a.b"}, "secretSettings": {"clusterDomain": SECRET}}},
            "clusterDomain is among both settings and secretSettings",
            id="a setting of all processes twice",
        ),
        pytest.param(
            {"operator": {"settings": {"lifecycleEvents": False}, "secretSettings": {"lifecycleEvents": SECRET}}},
            "lifecycleEvents is among both settings and secretSettings",
            id="false is a value too",
        ),
        pytest.param({"rabbitmq": {"existingSecret": "mq"}}, "set dispatcher.enabled", id="an address for nobody"),
    ],
)
def test_a_contradiction_is_refused_with_what_to_do(values: Any, next_step: str) -> None:
    done = helm("template", "lambdaagent", str(generate.CHART), values=values)
    assert done.returncode != 0
    assert next_step in done.stderr


@pytest.mark.parametrize(
    ("values", "place"),
    [
        pytest.param({"operater": {}}, "operater", id="an unknown block"),
        pytest.param({"operator": {"settings": {"servin": "knative"}}}, "servin", id="an unknown setting"),
        pytest.param({"operator": {"settings": {"serving": "nomad"}}}, "serving", id="an unknown choice"),
        pytest.param({"gateway": {"settings": {"amqpUrl": "amqp://u:p@h"}}}, "amqpUrl", id="a secret in plain sight"),
        pytest.param({"dispatcher": {"settings": {"amqpUrl": "amqp://u:p@h"}}}, "amqpUrl", id="the same, elsewhere"),
        pytest.param({"dispatcher": {"settings": {"deliveryRetry": 2}}}, "deliveryRetry", id="what the operator has"),
        pytest.param({"gateway": {"settings": {"database": "postgresql://u:p@h/d"}}}, "database", id="a password"),
        pytest.param({"image": {"digest": "abc"}}, "digest", id="half a digest"),
        pytest.param({"namespaces": ["Shop"]}, "namespaces", id="no namespace"),
        pytest.param({"namespaces": ["shop", "shop"]}, "namespaces", id="a namespace twice"),
        pytest.param({"gateway": {"replicas": "two"}}, "replicas", id="a number in words"),
    ],
)
def test_a_wrong_value_is_refused_by_its_place(values: Any, place: str) -> None:
    done = helm("template", "lambdaagent", str(generate.CHART), values=values)
    assert done.returncode != 0
    assert place in done.stderr


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize(
    ("settings", "gateway", "events"),
    [
        (
            {},
            "http://lambdaagent-gateway.somewhere.svc.cluster.local",
            "http://lambdaagent-events.somewhere.svc.cluster.local",
        ),
        (
            {"clusterDomain": "example.org"},
            "http://lambdaagent-gateway.somewhere.svc.example.org",
            "http://lambdaagent-events.somewhere.svc.example.org",
        ),
        ({"eventsUrl": ""}, "http://lambdaagent-gateway.somewhere.svc.cluster.local", ""),
        ({"eventsUrl": "http://e"}, "http://lambdaagent-gateway.somewhere.svc.cluster.local", "http://e"),
    ],
)
def test_the_addresses_are_those_of_the_namespace_unless_said_otherwise(
    process: str, settings: dict[str, str], gateway: str, events: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started_with(on_rabbitmq({"operator": {"settings": settings}}), process, monkeypatch)
    # The gateway's own model knows no addresses: the command that is run in its pod reads them.
    found = (EventsSettings if process == "gateway" else PROCESSES[process])()
    assert (found.gateway_url, found.events_url) == (gateway, events)


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


@pytest.mark.parametrize("process", ["operator", "dispatcher"])
def test_metrics_of_every_replica_are_found_where_that_is_asked_for(process: str) -> None:
    documents = on_rabbitmq()
    assert "ServiceMonitor" not in {document["kind"] for document in documents}
    labels = find(documents, "Deployment", f"lambdaagent-{process}")["spec"]["template"]["metadata"]["labels"]
    service = find(documents, "Service", f"lambdaagent-{process}-metrics")
    assert service["spec"]["selector"].items() <= labels.items()
    asked = {"enabled": True, "labels": {"release": "prometheus"}}
    documents = on_rabbitmq({process: {"serviceMonitor": asked}})
    monitor = find(documents, "ServiceMonitor", f"lambdaagent-{process}")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint == {"port": service["spec"]["ports"][0]["name"], "path": "/metrics", "interval": "30s"}


def nothing_in(values: Any) -> list[dict[str, Any]]:
    """The values with every block, at any depth, in its turn there and empty. In a security context that is meant."""
    found: list[dict[str, Any]] = []
    for key, value in values.items():
        if isinstance(value, dict):
            within = nothing_in(value) if key != "podSecurityContext" else []
            found += [{key: None}, *({key: inner} for inner in within)]
    return found


@pytest.mark.parametrize(
    "values", nothing_in(yaml.safe_load((generate.CHART / "values.yaml").read_text())), ids=lambda each: str(each)[:60]
)
def test_an_empty_block_is_like_an_absent_one(values: dict[str, Any]) -> None:
    def bare(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [each for each in documents if each["kind"] != "Secret"]  # its value is new each time

    assert bare(render(values)) == bare(render())


def test_nothing_that_is_said_counts_as_empty() -> None:
    values = {"operator": {"replicas": 0, "settings": {"gatewayUrl": ""}}, "image": {"tag": ""}, "imagePullSecrets": []}
    made = find(render(values), "Deployment", "lambdaagent-operator")
    assert made["spec"]["replicas"] == 0
    assert environment(render(values), "operator")["LAMBDAAGENT_GATEWAY_URL"]["value"] == ""
    version = yaml.safe_load((generate.CHART / "Chart.yaml").read_text())["appVersion"]
    assert container(render(values), "operator")["image"] == f"dev.local/lambdaagent:{version}"


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
    assert len(pods) == 4
    for pod in pods:
        assert pod["securityContext"] == {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
            "supplementalGroups": [7],
        }


def test_the_job_of_the_database_is_labelled_and_scheduled_as_the_gateway_is() -> None:
    gateway = {
        "secretSettings": {"database": SECRET},
        "podLabels": {"team": "a"},
        "podAnnotations": {"sidecar.istio.io/inject": "false"},
        "priorityClassName": "high",
        "nodeSelector": {"pool": "system"},
        "tolerations": [{"key": "system", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
    }
    documents = render({"gateway": gateway, "imagePullSecrets": [{"name": "pull"}]})
    job = find(documents, "Job", "lambdaagent-migrate")["spec"]["template"]
    pod = find(documents, "Deployment", "lambdaagent-gateway")["spec"]["template"]
    assert job["metadata"]["annotations"] == pod["metadata"]["annotations"]
    assert job["metadata"]["labels"]["team"] == "a"
    for field in (
        "priorityClassName",
        "nodeSelector",
        "tolerations",
        "affinity",
        "imagePullSecrets",
        "securityContext",
    ):
        assert job["spec"][field] == pod["spec"][field], field


KNATIVE = ("--api-versions", "eventing.knative.dev/v1/Broker")


@pytest.mark.parametrize(
    ("values", "installed", "taken"),
    [
        ({}, (), True),
        ({}, KNATIVE, False),
        ({"operator": {"settings": {"eventing": "knative"}}}, (), False),
        ({"operator": {"settings": {"eventing": "auto"}}}, KNATIVE, False),
        ({"operator": {"settings": {"eventing": "none"}}}, KNATIVE, True),
        ({"gateway": {"secretSettings": {"database": SECRET}}}, KNATIVE, True),
        ({"gateway": {"settings": {"database": "/data/tasks.db"}}}, KNATIVE, True),
        (RABBITMQ, KNATIVE, True),
    ],
)
def test_dead_letters_of_knative_are_not_left_to_a_process(values: Any, installed: Sequence[str], taken: bool) -> None:
    done = helm("template", "lambdaagent", str(generate.CHART), *installed, values=values)
    assert (done.returncode == 0) is taken, done.stderr
    if not taken:
        assert "it has no database and would lose them" in done.stderr
        assert "set gateway.secretSettings.database" in done.stderr


def test_a_secret_of_the_users_own_replaces_the_chart_s() -> None:
    documents = on_rabbitmq({"eventKeys": {"existingSecret": "mine"}})
    assert [document for document in documents if document["kind"] == "Secret"] == []
    for process in PROCESSES:
        entry = environment(documents, process)["LAMBDAAGENT_EVENT_KEYS"]
        assert entry["valueFrom"]["secretKeyRef"] == {"name": "mine", "key": "keys"}


def test_a_database_file_is_opened_by_one_pod_at_a_time() -> None:
    documents = on_rabbitmq({"gateway": {"settings": {"database": "/data/tasks.db"}}})
    assert find(documents, "Deployment", "lambdaagent-gateway")["spec"]["strategy"] == {"type": "Recreate"}
    assert "LAMBDAAGENT_DATABASE" in environment(documents, "gateway")
    assert "LAMBDAAGENT_DATABASE" not in environment(documents, "dispatcher")


@pytest.mark.parametrize(
    ("gateway", "env"),
    [
        pytest.param(
            {"secretSettings": {"database": {"name": "pg", "key": "url"}}},
            {"valueFrom": {"secretKeyRef": {"name": "pg", "key": "url"}}},
            id="from a Secret",
        ),
        pytest.param(
            {"settings": {"database": "postgresql://lambda@db/tasks"}},
            {"value": "postgresql://lambda@db/tasks"},
            id="a URL without a password",
        ),
    ],
)
def test_a_database_is_shared_and_migrated_before_it_is_used(gateway: dict[str, Any], env: dict[str, Any]) -> None:
    documents = on_rabbitmq({"gateway": gateway})
    for process in ("gateway", "dispatcher"):
        assert environment(documents, process)["LAMBDAAGENT_DATABASE"] == {"name": "LAMBDAAGENT_DATABASE", **env}
    job = find(documents, "Job", "lambdaagent-migrate")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    pod = job["spec"]["template"]["spec"]
    (unit,) = pod["containers"]
    assert (unit["image"], unit["args"]) == (container(documents, "gateway")["image"], ["migrate"])
    assert unit["env"] == [{"name": "LAMBDAAGENT_DATABASE", **env}]
    assert (
        pod["securityContext"]
        == find(documents, "Deployment", "lambdaagent-gateway")["spec"]["template"]["spec"]["securityContext"]
    )
    # The first hook runs before the accounts of the chart are made.
    assert "serviceAccountName" not in pod
    assert find(documents, "Deployment", "lambdaagent-gateway")["spec"]["strategy"]["type"] == "RollingUpdate"


@pytest.mark.parametrize("database", ["", "/data/tasks.db"])
def test_nothing_else_is_migrated_by_a_job(database: str) -> None:
    documents = render({"gateway": {"settings": {"database": database}}})
    assert "Job" not in {document["kind"] for document in documents}


def test_the_image_of_the_end_to_end_test_is_that_of_the_containerfile() -> None:
    for folder, entrypoint in ((ROOT, image.ENTRYPOINT), (ROOT / "examples/echo-python", image.ECHO_ENTRYPOINT)):
        said = json.loads(re.findall(r"^ENTRYPOINT (.*)$", (folder / "Containerfile").read_text(), re.MULTILINE)[-1])
        assert [Path(said[0]).name, *said[1:]] == [Path(entrypoint[0]).name, *entrypoint[1:]]


@pytest.mark.parametrize("path", CONTAINERFILES, ids=lambda path: path.parent.name)
def test_every_image_has_a_numeric_user_that_is_not_root(path: Path) -> None:
    user = re.findall(r"^USER (.*)$", path.read_text(), re.MULTILINE)[-1]
    assert re.fullmatch(r"[1-9][0-9]*:[1-9][0-9]*", user), "the kubelet cannot tell a name from root"


def test_the_image_holds_the_versions_that_were_tested() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^(\S+==\S+)", (ROOT / name).read_text(), re.MULTILINE))

    assert pins("requirements.runtime.lock") <= pins("requirements.lock")
