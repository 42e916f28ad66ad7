"""`access`: the mode, the file and the Secrets that it names get to the gateway, and a token to the operator."""

from base64 import b64decode
from typing import Any

import pytest
import yaml
from charts import generate
from tests.parts import pods
from tests.parts.chart import find, helm, render
from tests.parts.kubernetes import KubeApiserver

from lambdaagent.a2a.signing import Signer

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
    volumes = {each["name"]: each for each in template["spec"]["volumes"]}
    (source,) = volumes["events-token"]["projected"]["sources"]
    assert source["serviceAccountToken"] == {"audience": "ours", "expirationSeconds": 3600, "path": "token"}


def test_the_operator_reads_the_access_file_for_sidecars_and_no_secret_of_it() -> None:
    template = pod({"access": ACCESS}, "operator")
    assert env(template)["LAMBDAAGENT_ACCESS_FILE"] == "/etc/lambdaagent/access/access.yaml"
    assert [each["name"] for each in template["spec"]["volumes"] if "secret" in each] == []
    (mounted,) = (each["configMap"]["name"] for each in template["spec"]["volumes"] if "configMap" in each)
    assert mounted == "lambdaagent-access"


def test_a_changed_access_file_restarts_the_operator_alone() -> None:
    changed = {"access": {**ACCESS, "file": {**ACCESS["file"], "admins": ["corp:other"]}}}
    for process, same in (("operator", False), ("gateway", True)):
        annotations = [pod(values, process)["metadata"].get("annotations") for values in ({"access": ACCESS}, changed)]
        assert (annotations[0] == annotations[1]) is same


def test_the_gateway_signs_with_a_key_of_the_chart_or_of_the_user() -> None:
    def source(values: dict[str, Any]) -> Any:
        entries = pod(values, "gateway")["spec"]["containers"][0]["env"]
        return [each["valueFrom"] for each in entries if each["name"] == "LAMBDAAGENT_CARD_SIGNING_KEY"]

    made = find(render({}), "Secret", "lambdaagent-signing-key")
    signer = Signer.from_pem(b64decode(made["data"]["key.pem"]).decode())
    assert signer.algorithm == "ES256"
    assert source({}) == [{"secretKeyRef": {"name": "lambdaagent-signing-key", "key": "key.pem", "optional": True}}]
    own = {"signingKey": {"existingSecret": "mine"}}
    assert source(own) == [{"secretKeyRef": {"name": "mine", "key": "key.pem"}}]
    named = {"gateway": {"secretSettings": {"cardSigningKey": {"name": "cards", "key": "pem"}}}}
    assert source(named) == [{"secretKeyRef": {"name": "cards", "key": "pem"}}]
    for values in (own, named):
        assert "lambdaagent-signing-key" not in str(render(values))


def test_another_mode_is_refused() -> None:
    refused = helm("template", "x", str(generate.CHART), values={"access": {"mode": "on"}})
    assert refused.returncode != 0
    assert "access" in refused.stderr
