"""`rabbitmq.embedded` and `postgresql.embedded`: one install on an empty cluster is whole."""

import base64
import json
import subprocess
from typing import Any

import pytest
from charts import generate
from tests.parts import fetch
from tests.parts.chart import SECRET, container, environment, find, helm, render
from tests.parts.documents import documents
from tests.parts.kubernetes import KubeApiserver

TRIAL: dict[str, Any] = {"rabbitmq": {"embedded": True}, "postgresql": {"embedded": True}}
PARTS = {"postgresql": 5432, "rabbitmq": 5672}


def reference(part: str) -> dict[str, Any]:
    return {"valueFrom": {"secretKeyRef": {"name": f"lambdaagent-{part}", "key": "url"}}}


def test_every_process_finds_the_parts() -> None:
    made = render(TRIAL)
    for process in ("gateway", "dispatcher"):
        found = environment(made, process)
        assert found["LAMBDAAGENT_DATABASE"] == {"name": "LAMBDAAGENT_DATABASE", **reference("postgresql")}
        assert found["LAMBDAAGENT_AMQP_URL"] == {"name": "LAMBDAAGENT_AMQP_URL", **reference("rabbitmq")}
    assert environment(made, "operator")["LAMBDAAGENT_EVENTING"]["value"] == "rabbitmq"
    (migrating,) = find(made, "Deployment", "lambdaagent-gateway")["spec"]["template"]["spec"]["initContainers"]
    assert migrating["args"] == ["migrate"]


@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_reached_by_its_url_and_keeps_its_data(part: str) -> None:
    made = render(TRIAL)
    secret = find(made, "Secret", f"lambdaagent-{part}")["stringData"]
    assert len(secret["password"]) == 32
    assert f":{secret['password']}@lambdaagent-{part}.somewhere.svc:{PARTS[part]}/" in secret["url"]
    spec = find(made, "StatefulSet", f"lambdaagent-{part}")["spec"]
    service = find(made, "Service", f"lambdaagent-{part}")["spec"]
    assert service["selector"].items() <= spec["template"]["metadata"]["labels"].items()
    assert service["ports"][0]["port"] == PARTS[part]
    (claim,) = spec["volumeClaimTemplates"]
    (unit,) = spec["template"]["spec"]["containers"]
    assert claim["metadata"]["name"] in [each["name"] for each in unit["volumeMounts"]]
    assert claim["spec"]["resources"]["requests"] == {"storage": "1Gi"}


@pytest.mark.parametrize("part", PARTS)
def test_an_upgrade_keeps_the_password(part: str, kube_apiserver: KubeApiserver, namespace: str) -> None:
    kept = {"metadata": {"name": f"lambdaagent-{part}"}, "data": {"password": base64.b64encode(b"kept").decode()}}
    kube_apiserver.rest.post(f"/api/v1/namespaces/{namespace}/secrets", kept)
    command = [str(fetch.go_part("helm")), "install", "trial", str(generate.CHART), "--dry-run=server"]
    command += ["--take-ownership", "--namespace", namespace, "--kubeconfig", str(kube_apiserver.kubeconfig)]
    done = subprocess.run(
        [*command, "--values", "-"], input=json.dumps(TRIAL), capture_output=True, text=True, check=True
    )
    made = documents(done.stdout.partition("MANIFEST:")[2].partition("NOTES:")[0])
    secret = find(made, "Secret", f"lambdaagent-{part}")["stringData"]
    assert secret["password"] == "kept"
    assert ":kept@" in secret["url"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"rabbitmq": {"embedded": True, "existingSecret": "mine"}}, "names the RabbitMQ of mine"),
        ({"postgresql": {"embedded": True}, "gateway": {"secretSettings": {"database": SECRET}}}, "name a database"),
        ({"postgresql": {"embedded": True}, "gateway": {"settings": {"database": "/data/t.db"}}}, "name a database"),
    ],
)
def test_two_of_a_kind_are_refused(values: Any, said: str) -> None:
    done = helm("template", "lambdaagent", str(generate.CHART), values=values)
    assert done.returncode != 0
    assert said in done.stderr


def test_images_volumes_and_ids_are_the_users() -> None:
    changed = {
        "image": {"repository": "mirror/pg", "tag": "16"},
        "storage": {"size": "5Gi", "storageClassName": "fast"},
    }
    ids = {"runAsUser": None, "runAsGroup": None, "fsGroup": None}
    made = render({"postgresql": {"embedded": True, **changed}, "podSecurityContext": ids})
    spec = find(made, "StatefulSet", "lambdaagent-postgresql")["spec"]
    assert spec["template"]["spec"]["containers"][0]["image"] == "mirror/pg:16"
    assert spec["volumeClaimTemplates"][0]["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "5Gi"}},
        "storageClassName": "fast",
    }
    assert "runAsUser" not in spec["template"]["spec"]["securityContext"]
    assert container(made, "gateway")["image"] == "dev.local/lambdaagent:dev"
