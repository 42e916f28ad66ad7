"""`caBundle`: one file of authorities in every pod of the chart."""

from typing import Any

import pytest
from charts import generate
from tests.parts import pods
from tests.parts.chart import RABBITMQ, SECRET, find, helm, on_rabbitmq
from tests.parts.kubernetes import KubeApiserver

PODS = {
    "operator": ("Deployment", "lambdaagent-operator"),
    "gateway": ("Deployment", "lambdaagent-gateway"),
    "dispatcher": ("Deployment", "lambdaagent-dispatcher"),
}
FILE = "/etc/lambdaagent/ca/ca.crt"
DATABASE = {"gateway": {"secretSettings": {"database": SECRET}}, "access": {"mode": "off"}}


def template(process: str, values: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = find(on_rabbitmq(DATABASE | values), *PODS[process])["spec"]["template"]
    return found


@pytest.mark.parametrize("process", PODS)
@pytest.mark.parametrize(
    ("bundle", "source"),
    [
        ({"configMap": "corp"}, {"configMap": {"name": "corp", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}),
        (
            {"configMap": "corp", "key": "trust-bundle.pem"},
            {"configMap": {"name": "corp", "items": [{"key": "trust-bundle.pem", "path": "ca.crt"}]}},
        ),
        (
            {"secret": "corp", "key": "tls.crt"},
            {"secret": {"secretName": "corp", "items": [{"key": "tls.crt", "path": "ca.crt"}]}},
        ),
    ],
    ids=["a ConfigMap", "another key", "a Secret"],
)
def test_every_pod_has_the_file(
    process: str, bundle: dict[str, str], source: dict[str, Any], kube_apiserver: KubeApiserver
) -> None:
    found = template(process, {"caBundle": bundle})
    (unit,) = found["spec"]["containers"]
    assert [entry["value"] for entry in unit["env"] if entry["name"] == "LAMBDAAGENT_CA_FILE"] == [FILE]
    (mount,) = unit["volumeMounts"]
    assert mount == {"name": "ca-bundle", "mountPath": "/etc/lambdaagent/ca", "readOnly": True}
    assert found["spec"]["volumes"] == [{"name": "ca-bundle", **source}]
    # The API server knows fields that are in the wrong place.
    found["spec"].pop("serviceAccountName", None)
    found["spec"]["automountServiceAccountToken"] = False
    pods.create(kube_apiserver.rest, "default", found)


@pytest.mark.parametrize("process", PODS)
def test_without_it_there_is_none(process: str) -> None:
    found = template(process, {})
    (unit,) = found["spec"]["containers"]
    assert "LAMBDAAGENT_CA_FILE" not in [entry["name"] for entry in unit["env"]]
    assert "volumeMounts" not in unit
    assert "volumes" not in found["spec"]


def test_the_gateways_own_volumes_stay() -> None:
    mount, volume = {"name": "data", "mountPath": "/data"}, {"name": "data", "emptyDir": {}}
    own = {"gateway": DATABASE["gateway"] | {"volumes": [volume], "volumeMounts": [mount]}}
    for bundle, names in (({"configMap": "corp"}, ["ca-bundle", "data"]), ({}, ["data"])):
        found = template("gateway", own | {"caBundle": bundle})["spec"]
        assert [each["name"] for each in found["volumes"]] == names
        assert [each["name"] for each in found["containers"][0]["volumeMounts"]] == names


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"caBundle": {"configMap": "a", "secret": "b"}}, "leave one of them out"),
        ({"caBundle": {"configMap": "a", "key": "../x"}}, "key"),
        ({"caBundle": {"configmap": "a"}}, "configmap"),
        ({"gateway": {"settings": {"caFile": "/x"}}}, "caFile"),
    ],
)
def test_what_would_not_work_is_refused(values: dict[str, Any], said: str) -> None:
    done = helm("template", "lambdaagent", str(generate.CHART), values=RABBITMQ | values)
    assert done.returncode != 0
    assert said in done.stderr
