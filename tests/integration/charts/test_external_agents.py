"""`externalAgents.secrets`: which Secrets the gateway and the operator may get; without it none."""

import secrets
from typing import Any

from tests.parts import roles
from tests.parts.chart import render
from tests.parts.kubernetes import KubeApiserver
from tests.parts.polling import wait

from lambdaagent.kube import rights
from lambdaagent.kube.resources import of


def about_secrets(values: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the Roles and ClusterRoles that give a right to Secrets."""
    return [each for each in render(values) if any("secrets" in rule["resources"] for rule in each.get("rules") or ())]


def test_without_the_value_no_process_may_read_a_secret() -> None:
    assert about_secrets({}) == []


def test_a_named_secret_is_readable_and_no_other(kube_apiserver: KubeApiserver) -> None:
    shop, bank = (f"{name}-{secrets.token_hex(3)}" for name in ("shop", "bank"))
    values = {"externalAgents": {"secrets": [{"namespace": shop, "names": ["partner"]}, {"namespace": bank}]}}
    named, whole = about_secrets(values)
    assert named["rules"] == [
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["partner"], "verbs": ["get"]}
    ]
    assert whole["rules"] == [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
    for name in (shop, bank):
        kube_apiserver.rest.post("/api/v1/namespaces", {"metadata": {"name": name}})
    with roles.home(kube_apiserver) as home:
        for document in render(values):
            if document["metadata"]["name"] != "lambdaagent-external-agents":
                continue
            for subject in document.get("subjects", []):
                subject["namespace"] = home
            metadata = document["metadata"]
            kube_apiserver.rest.apply(
                of(document).path(namespace=metadata["namespace"], name=metadata["name"]), document
            )
        for account in (rights.GATEWAY, rights.OPERATOR):
            rest = roles.as_account(kube_apiserver, roles.kubeconfig(kube_apiserver, home, account))
            wait(lambda rest=rest: roles.may(rest, "get secrets partner", shop))
            assert not roles.may(rest, "get secrets another", shop)
            assert not roles.may(rest, "list secrets", shop)
            assert roles.may(rest, "get secrets another", bank)
        rest = roles.as_account(kube_apiserver, roles.kubeconfig(kube_apiserver, home, rights.DISPATCHER))
        assert not roles.may(rest, "get secrets partner", shop)
