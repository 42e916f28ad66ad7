"""The gateway of a list of namespaces, with rights in these and nowhere else."""

import secrets

from tests.parts import roles
from tests.parts.gateway_process import answers, launched, make
from tests.parts.kubernetes import KubeApiserver
from tests.parts.polling import wait

from lambdaagent.kube import rights


def test_a_list_of_namespaces_is_served_though_one_of_them_is_not_there(
    kube_apiserver: KubeApiserver, namespace: str
) -> None:
    home = f"gateway-{secrets.token_hex(3)}"
    kube_apiserver.rest.post("/api/v1/namespaces", {"metadata": {"name": home}})
    for each in (namespace, home):
        make(kube_apiserver, each, "scoped")
    with roles.applied(kube_apiserver, home, [namespace]):
        account = roles.kubeconfig(kube_apiserver, home, rights.GATEWAY, over=[namespace])
        with launched(account, LAMBDAAGENT_NAMESPACES=f"{namespace},not-there") as gateway:
            wait(lambda: answers(gateway, f"/agents/{namespace}/scoped/.well-known/agent-card.json"))
            assert gateway.get(f"/agents/{home}/scoped/.well-known/agent-card.json").status_code == 404
            assert {agent["namespace"] for agent in gateway.get("/agents").json()["agents"]} == {namespace}
    kube_apiserver.rest.delete(f"/api/v1/namespaces/{home}")
