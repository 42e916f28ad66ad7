"""What every pod of the chart may not do, and what no role of the chart allows."""

from functools import cache
from typing import Any

import pytest
from tests.parts.chart import SECRET, find, on_rabbitmq, render

VALUES: dict[str, Any] = {
    "gateway": {"secretSettings": {"database": SECRET}, "tls": {"existingSecret": "cert"}},
    "access": {"mode": "enforce", "secrets": ["keys"]},
    "caBundle": {"configMap": "corp"},
}
# These processes use the API server: each watches agents.
WITH_TOKEN = {"lambdaagent-operator", "lambdaagent-gateway", "lambdaagent-dispatcher"}


EMBEDDED = {"lambdaagent-postgresql", "lambdaagent-rabbitmq"}
NAMES = sorted(WITH_TOKEN | EMBEDDED)


@cache
def pods() -> dict[str, dict[str, Any]]:
    found = {}
    for document in [*on_rabbitmq(VALUES), *render({each: {"embedded": True} for each in ("rabbitmq", "postgresql")})]:
        template = document["spec"].get("template") if "spec" in document else None
        if template is not None:
            found.setdefault(document["metadata"]["name"], template["spec"])
    return found


def test_every_workload_is_among_them() -> None:
    assert sorted(pods()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_pod_can_change_nothing_and_gain_nothing(name: str) -> None:
    pod = pods()[name]
    assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"}
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] != 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in [*pod["containers"], *pod.get("initContainers", ())]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not any("hostPort" in port for port in container.get("ports", ()))
        assert name in EMBEDDED or all(mount.get("readOnly") for mount in container.get("volumeMounts", ()))
    assert not any("hostPath" in volume for volume in pod.get("volumes", ()))


@pytest.mark.parametrize("name", NAMES)
def test_only_those_that_use_the_api_server_have_a_token_for_it(name: str) -> None:
    assert pods()[name]["automountServiceAccountToken"] is (name in WITH_TOKEN)
    if name in WITH_TOKEN:
        assert pods()[name]["serviceAccountName"] == name


def test_no_role_of_a_process_reads_a_secret_or_everything() -> None:
    documents = on_rabbitmq(VALUES)
    bound = {each["roleRef"]["name"] for each in documents if each["kind"] in ("RoleBinding", "ClusterRoleBinding")}
    roles = [
        each for each in documents if each["kind"] in ("Role", "ClusterRole") and each["metadata"]["name"] in bound
    ]
    assert len(roles) == len(bound) >= len(WITH_TOKEN)
    for role in roles:
        for rule in role["rules"]:
            assert not {"secrets", "*"} & {*rule["resources"], *rule["apiGroups"], *rule["verbs"]}, role["metadata"]


def test_the_operator_may_write_policies_and_no_other_process() -> None:
    documents = on_rabbitmq(VALUES)
    for name in WITH_TOKEN:
        rules = find(documents, "ClusterRole", name)["rules"]
        assert any("networkpolicies" in rule["resources"] for rule in rules) is (name == "lambdaagent-operator")
