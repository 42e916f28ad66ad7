"""The table of rights, compared with the code that uses them."""

import json
import subprocess
import sys
from typing import Any

import yaml

from lambdaagent.controller.child_cache import KINDS
from lambdaagent.kube import rights


def test_every_kind_that_the_operator_follows_is_a_child_with_rights() -> None:
    assert {resource for resource, _ in KINDS} == set(rights.CHILDREN)


def test_resources_with_the_same_verbs_share_a_rule() -> None:
    (rule,) = [rule for rule in rights.rules(rights.OPERATOR_RIGHTS) if rule["apiGroups"] == ["eventing.knative.dev"]]
    assert rule["resources"] == ["brokers", "rabbitmqbrokerconfigs", "triggers"]
    assert rule["verbs"] == ["create", "delete", "get", "list", "patch", "watch"]


def test_no_process_has_a_wildcard_or_a_secret() -> None:
    for document in rights.documents():
        if document["metadata"]["name"] in rights.ACCOUNTS:
            text = json.dumps(document.get("rules", []))
            assert "*" not in text
            assert "secrets" not in text


def test_the_tiers_add_to_the_roles_that_every_cluster_has() -> None:
    found = {
        document["metadata"]["name"]: sorted(label for label in document["metadata"]["labels"] if "aggregate" in label)
        for document in rights.documents()
        if document["kind"] == "ClusterRole"
    }
    assert found["lambdaagent-viewer"] == ["rbac.authorization.k8s.io/aggregate-to-view"]
    assert found["lambdaagent-editor"] == ["rbac.authorization.k8s.io/aggregate-to-edit"]
    assert found["lambdaagent-admin"] == ["rbac.authorization.k8s.io/aggregate-to-admin"]
    assert found["lambdaagent-operator"] == []


def test_for_a_list_of_namespaces_nothing_is_granted_over_the_cluster() -> None:
    documents = rights.documents(namespace="home", namespaces=["home", "shop"])
    assert [document for document in documents if document["kind"] == "ClusterRoleBinding"] == []
    bindings = {
        (document["metadata"]["namespace"], document["roleRef"]["kind"], document["roleRef"]["name"])
        for document in documents
        if document["kind"] == "RoleBinding"
    }
    assert bindings == {
        ("home", "ClusterRole", "lambdaagent-operator"),
        ("home", "ClusterRole", "lambdaagent-gateway"),
        ("home", "ClusterRole", "lambdaagent-dispatcher"),
        ("shop", "ClusterRole", "lambdaagent-operator"),
        ("shop", "ClusterRole", "lambdaagent-gateway"),
        ("shop", "ClusterRole", "lambdaagent-dispatcher"),
        ("home", "Role", "lambdaagent-operator-own"),
    }
    identities = [(document["kind"], *sorted(_where(document))) for document in documents]
    assert len(set(identities)) == len(identities), "one overwrites another"
    clusters = [document for document in documents if document["kind"] == "ClusterRole"]
    (operator,) = [document for document in clusters if document["metadata"]["name"] == rights.OPERATOR]
    assert "customresourcedefinitions" not in json.dumps(operator["rules"])


def _where(document: dict[str, Any]) -> set[str]:
    return {document["metadata"].get("namespace", ""), document["metadata"]["name"]}


def test_the_command_prints_them_for_a_namespace() -> None:
    command = [sys.executable, "-m", "lambdaagent", "rbac", "--namespace", "agents"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert list(yaml.safe_load_all(done.stdout)) == rights.documents(namespace="agents")
    assert done.stderr == ""


def test_the_command_prints_them_for_some_namespaces() -> None:
    command = [sys.executable, "-m", "lambdaagent", "rbac", "--namespaces"]
    done = subprocess.run([*command, "a,b"], capture_output=True, text=True, check=True)
    assert list(yaml.safe_load_all(done.stdout)) == rights.documents(namespaces=["a", "b"])
    refused = subprocess.run([*command, "a,B"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "--namespaces: 'B' is not a namespace" in refused.stderr
