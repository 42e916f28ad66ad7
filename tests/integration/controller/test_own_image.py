"""Which image sidecars get: that of the operator's own container, read from its Pod on a real API server."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.parts import roles
from tests.parts.chart import find, render
from tests.parts.cluster import Cluster, Start, until
from tests.parts.kubernetes import KubeApiserver
from tests.parts.proxy import proxy

from lambdaagent.controller.operator import run
from lambdaagent.controller.own_image import with_sidecar_image
from lambdaagent.errors import UsageError
from lambdaagent.kube import rights
from lambdaagent.kube.client import connect
from lambdaagent.settings import OperatorSettings

IMAGE = "registry.example.com/team/agents@sha256:" + "5" * 64
INJECTED = {"name": "a-proxy", "image": "registry.example.com/mesh/proxy:1"}
SIDECAR: dict[str, Any] = {"a2a": {"enabled": True, "mode": "sidecar"}, "scaling": {"minReplicas": 1, "maxReplicas": 1}}


def pod(cluster: Cluster, *, name: str = "operator") -> str:
    """Creates the operator's pod with another image and a mesh's sidecar; returns its name."""
    spec = find(render(), "Deployment", "lambdaagent-operator")["spec"]["template"]["spec"]
    (own,) = spec["containers"]
    spec["containers"] = [INJECTED, own | {"name": name, "image": IMAGE}]
    body = {"metadata": {"name": "lambdaagent-operator-x"}, "spec": spec}
    made: dict[str, Any] = cluster.rest.post(cluster.path("v1", "pods"), body)
    return str(made["metadata"]["name"])


def images(cluster: Cluster, agent: str) -> dict[str, str]:
    deployment = cluster.find("apps/v1", "deployments", agent)
    units = deployment["spec"]["template"]["spec"]["containers"] if deployment else []
    return {unit["name"]: unit["image"] for unit in units}


async def test_sidecars_get_the_image_of_the_operators_own_container(cluster: Cluster, start: Start) -> None:
    await start(POD_NAME=pod(cluster), serving="kubernetes", eventing="none")
    cluster.apply("beside", SIDECAR)
    found = await until(lambda: images(cluster, "beside"))
    assert found == {"user-container": "example.com/agent:latest", "gateway": IMAGE}


async def test_an_image_that_is_said_wins_and_no_pod_is_needed(cluster: Cluster, start: Start) -> None:
    await start(POD_NAME="nobody", serving="kubernetes", eventing="none", gateway_image="example.com/said:1")
    cluster.apply("beside", SIDECAR)
    assert (await until(lambda: images(cluster, "beside")))["gateway"] == "example.com/said:1"


@pytest.mark.parametrize(
    ("name", "account", "fault"),
    [
        ("", rights.OPERATOR, "not found"),
        ("main", rights.OPERATOR, "it has: a-proxy, main"),
        ("operator", rights.GATEWAY, "forbidden"),
    ],
    ids=["no such Pod", "another container", "no right"],
)
async def test_an_operator_that_cannot_tell_the_image_does_not_start(
    name: str,
    account: str,
    fault: str,
    cluster: Cluster,
    applied: str,
    kube_apiserver: KubeApiserver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(roles.kubeconfig(kube_apiserver, applied, account)))
    own = pod(cluster, name=name) if name else "nobody"
    settings = OperatorSettings(POD_NAMESPACE=applied, POD_NAME=own, host="127.0.0.1", port=0)
    with pytest.raises(UsageError) as refused:
        async with asyncio.timeout(20):
            await run(settings)
    assert fault in str(refused.value)
    assert "LAMBDAAGENT_GATEWAY_IMAGE" in str(refused.value)


async def test_it_waits_for_an_api_server_that_does_not_answer(
    cluster: Cluster, applied: str, kube_apiserver: KubeApiserver, tmp_path: Path
) -> None:
    settings, waited = OperatorSettings(POD_NAMESPACE=applied, POD_NAME=pod(cluster)), []
    async with proxy(kube_apiserver.port) as line:
        line.refuse()
        text = roles.kubeconfig(kube_apiserver, applied, rights.OPERATOR).read_text()
        behind = tmp_path / "kubeconfig"
        behind.write_text(text.replace(f":{kube_apiserver.port}", f":{line.port}"))

        async def sleep(seconds: float) -> None:
            waited.append(seconds)
            if len(waited) == 3:
                line.heal()

        async with connect(kubeconfig=behind) as client:
            assert (await with_sidecar_image(client, settings, sleep=sleep)).gateway_image == IMAGE
    assert len(waited) == 3


async def test_outside_of_a_pod_there_is_none(kube_apiserver: KubeApiserver) -> None:
    async with connect(kubeconfig=kube_apiserver.kubeconfig) as client:
        assert (await with_sidecar_image(client, OperatorSettings())).gateway_image == ""
