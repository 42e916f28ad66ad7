"""`access`: the mode, the file and the Secrets that it names get to the gateway, and a token to the operator."""

from typing import Any

import pytest
import yaml
from charts import generate
from tests.parts import pods
from tests.parts.chart import find, helm, render
from tests.parts.kubernetes import KubeApiserver

FILE = {"admins": ["corp:root"], "kubernetes": {"audiences": ["ours", "lambdaagent"]}}
ACCESS = {"mode": "enforce", "file": FILE, "secrets": ["keys", "hmac"]}


def pod(values: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = find(render(values), "Deployment", f"lambdaagent-{name}")["spec"]["template"]
    return found


def env(template: dict[str, Any]) -> dict[str, str]:
    return {entry["name"]: entry.get("value", "") for entry in template["spec"]["containers"][0]["env"]}


@pytest.mark.parametrize("access", [{"mode": "off"}, {"mode": False}, {"mode": "off", "file": FILE}])
def test_off_needs_nothing_else(access: dict[str, Any]) -> None:
    rendered = render({"access": access})
    assert not [each for each in rendered if each["metadata"]["name"] == "lambdaagent-access"]
    assert env(pod({"access": access}, "gateway"))["LAMBDAAGENT_ACCESS"] == "off"
    assert "volumes" not in pod({"access": access}, "operator")["spec"]


@pytest.mark.parametrize("values", [{}, {"access": {}}, {"access": None}, {"access": {"file": {}}}])
def test_access_is_enforced_unless_the_values_say_otherwise(values: dict[str, Any]) -> None:
    assert env(pod(values, "gateway"))["LAMBDAAGENT_ACCESS"] == "enforce"
    config = find(render(values), "ConfigMap", "lambdaagent-access")
    assert yaml.safe_load(config["data"]["access.yaml"]) == {}


def test_the_gateway_gets_the_mode_the_file_and_the_secrets(kube_apiserver: KubeApiserver) -> None:
    config = find(render({"access": ACCESS}), "ConfigMap", "lambdaagent-access")
    assert yaml.safe_load(config["data"]["access.yaml"]) == FILE
    template = pod({"access": ACCESS}, "gateway")
    assert env(template)["LAMBDAAGENT_ACCESS"] == "enforce"
    assert env(template)["LAMBDAAGENT_ACCESS_FILE"] == "/etc/lambdaagent/access/access.yaml"
    mounts = {each["mountPath"]: each["name"] for each in template["spec"]["containers"][0]["volumeMounts"]}
    volumes = {each["name"]: each for each in template["spec"]["volumes"]}
    assert volumes[mounts["/etc/lambdaagent/access"]]["configMap"] == {"name": "lambdaagent-access"}
    for secret in ACCESS["secrets"]:
        assert volumes[mounts[f"/etc/lambdaagent/secrets/{secret}"]]["secret"] == {"secretName": secret}
    template["spec"].pop("serviceAccountName")
    template["spec"]["automountServiceAccountToken"] = False
    pods.create(kube_apiserver.rest, "default", template)


def test_the_operator_gets_a_token_for_the_gateway() -> None:
    template = pod({"access": ACCESS}, "operator")
    assert env(template)["LAMBDAAGENT_EVENTS_TOKEN_FILE"] == "/var/run/secrets/lambdaagent/token"
    (volume,) = template["spec"]["volumes"]
    (source,) = volume["projected"]["sources"]
    assert source["serviceAccountToken"] == {"audience": "ours", "expirationSeconds": 3600, "path": "token"}


def test_another_mode_is_refused() -> None:
    refused = helm("template", "x", str(generate.CHART), values={"access": {"mode": "on"}})
    assert refused.returncode != 0
    assert "access" in refused.stderr
