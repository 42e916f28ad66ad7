"""The CRD on a real API server: it is accepted, defaults leaves only, and refuses what the Python rules refuse."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cases.rules import ACCEPTED, REFUSED, Rule, document
from tests.parts.kubernetes import KubeApiserver
from tests.parts.rest import RestError

CASES = sorted((Path(__file__).parents[2] / "cases" / "agents").glob("*.yaml"))


def create(server: KubeApiserver, obj: dict[str, Any]) -> dict[str, Any]:
    path = f"/apis/lambda.knative.io/v1alpha1/namespaces/{obj['metadata']['namespace']}/lambdaagents"
    answer: dict[str, Any] = server.rest.post(f"{path}?fieldValidation=Strict&dryRun=All", obj)
    return answer


@pytest.mark.parametrize("rule", REFUSED, ids=[rule.id for rule in REFUSED])
def test_refuses_and_names_the_field(kube_apiserver: KubeApiserver, rule: Rule) -> None:
    with pytest.raises(RestError) as refusal:
        create(kube_apiserver, document(rule))
    assert re.search(rf"{re.escape(rule.cluster or rule.field)}[: ]", str(refusal.value))


@pytest.mark.parametrize("rule", ACCEPTED, ids=[rule.id for rule in ACCEPTED])
def test_takes_what_only_looks_odd(kube_apiserver: KubeApiserver, rule: Rule) -> None:
    create(kube_apiserver, document(rule))


@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_accepts_agents_as_rich_as_those_in_use(kube_apiserver: KubeApiserver, path: Path) -> None:
    obj = yaml.safe_load(path.read_text())
    obj["metadata"]["namespace"] = "default"
    stored = create(kube_apiserver, obj)
    assert stored["spec"].get("image", {}).get("repository") == obj["spec"].get("image", {}).get("repository")


def test_defaults_leaves_and_never_a_parent(kube_apiserver: KubeApiserver) -> None:
    spec = create(kube_apiserver, document(Rule("minimal", {}, "")))["spec"]
    assert spec == {
        "image": {"repository": "example.com/agent", "tag": "latest", "port": 8080, "pullPolicy": "IfNotPresent"},
        "operationMode": "agentic",
    }


def test_explicit_false_and_zero_survive(kube_apiserver: KubeApiserver) -> None:
    asked = {
        "eventing": {"enabled": False, "dlq": {"enabled": False, "retryMaxAttempts": 0}},
        "behavior": {"emitEvents": False, "maxContextMessages": 0},
    }
    spec = create(kube_apiserver, document(Rule("quiet", asked, "")))["spec"]
    assert spec["eventing"]["enabled"] is False
    assert spec["eventing"]["dlq"] == {"enabled": False, "retryMaxAttempts": 0}
    assert spec["behavior"] == {"emitEvents": False, "maxContextMessages": 0}


def test_a_typo_is_refused_where_the_client_is_strict(kube_apiserver: KubeApiserver) -> None:
    with pytest.raises(RestError, match="unknown field"):
        create(kube_apiserver, document(Rule("typo", {"evnting": {}}, "")))
