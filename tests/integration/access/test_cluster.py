"""ServiceAccounts and RBAC on a real API server, with the rights that the gateway's account has."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.parts import roles
from tests.parts.access import bearer, guarded, of
from tests.parts.gateway import World, message
from tests.parts.issuer import Issuer
from tests.parts.kubernetes import KubeApiserver
from tests.parts.polling import eventually
from tests.parts.upstream import PlainAgent

from lambdaagent.kube import rights
from lambdaagent.kube.client import connect

RBAC = "/apis/rbac.authorization.k8s.io/v1"


@pytest.fixture(scope="module")
def account(kube_apiserver: KubeApiserver) -> Iterator[Path]:
    """Yields the kubeconfig of the gateway's account, and asserts at the end that no request was refused."""
    with roles.home(kube_apiserver) as home:
        yield roles.kubeconfig(kube_apiserver, home, rights.GATEWAY)


@pytest.fixture
async def gateway(
    account: Path, tmp_path: Path, issuer: Issuer, container: PlainAgent, namespace: str
) -> AsyncIterator[World]:
    file = {"issuers": [issuer.configured()]}
    async with connect(kubeconfig=account) as api, guarded(tmp_path / "access.yaml", file, api=api) as world:
        world.agent(namespace=namespace, url=container.url)
        world.agent("other", namespace=namespace, url=container.url)
        yield world


def token_of(server: KubeApiserver, namespace: str, name: str, *audiences: str) -> str:
    """Returns a token of a ServiceAccount, which is made if it does not exist."""
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    if server.rest.find(f"{accounts}/{name}") is None:
        server.rest.post(accounts, {"metadata": {"name": name}})
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": list(audiences)}}
    return str(server.rest.post(f"{accounts}/{name}/token", asked)["status"]["token"])


def grant(server: KubeApiserver, namespace: str, subject: dict[str, str], *, names: list[str], **rule: Any) -> None:
    """Binds a Role with one rule on LambdaAgents to the subject."""
    held = {"apiGroups": ["lambda.knative.io"], **rule, **({"resourceNames": names} if names else {})}
    roles_, bindings = f"{RBAC}/namespaces/{namespace}/roles", f"{RBAC}/namespaces/{namespace}/rolebindings"
    name = f"r-{len(server.rest.get(roles_)['items'])}"
    server.rest.post(roles_, {"metadata": {"name": name}, "rules": [held]})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    server.rest.post(bindings, {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]})


def user(name: str) -> dict[str, str]:
    return {"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"}


async def status(gateway: World, namespace: str, headers: dict[str, str], agent: str = "echo") -> int:
    path = f"/agents/{namespace}/{agent}/api/a2a/skills/say"
    return (await gateway.request("POST", path, json={"text": "x"}, headers=headers)).status


async def test_a_service_account_calls_what_its_role_names(
    gateway: World, kube_apiserver: KubeApiserver, namespace: str
) -> None:
    token = await asyncio.to_thread(token_of, kube_apiserver, namespace, "caller", "lambdaagent")
    subject = {"kind": "ServiceAccount", "name": "caller", "namespace": namespace}
    grant(kube_apiserver, namespace, subject, names=["echo"], resources=["lambdaagents/invoke"], verbs=["create"])

    async def called() -> bool:
        return await status(gateway, namespace, bearer(token)) == 200

    # The API server learns of a binding through a watch, and the gateway remembers an answer for 10 s.
    await eventually(called, within=20)
    assert await status(gateway, namespace, bearer(token), "other") == 404
    path = f"/agents/{namespace}/echo/api/a2a"
    task = (await gateway.rpc("SendMessage", {"message": message()}, path=path, **bearer(token)))["result"]["task"]
    stored = await gateway.store.get(task["id"])
    assert stored is not None
    assert stored.owner == f"system:serviceaccount:{namespace}:caller"


async def test_whoever_has_the_registrars_role_registers_agents(
    account: Path, tmp_path: Path, kube_apiserver: KubeApiserver, namespace: str
) -> None:
    """With the rule of the ClusterRole `lambdaagent-registrar`, in the namespace of registered agents."""
    token = await asyncio.to_thread(token_of, kube_apiserver, namespace, "ci", "lambdaagent")
    other = await asyncio.to_thread(token_of, kube_apiserver, namespace, "other", "lambdaagent")
    (rule,) = rights.rules(rights.CALLERS["registrar"])
    subject = {"kind": "ServiceAccount", "name": "ci", "namespace": namespace}
    grant(kube_apiserver, namespace, subject, names=[], resources=rule["resources"], verbs=rule["verbs"])
    async with (
        connect(kubeconfig=account) as api,
        guarded(tmp_path / "access.yaml", {}, api=api, registry_namespace=namespace) as gateway,
    ):

        async def register(token: str) -> int:
            body = {"agent_id": "laptop"}
            return (await gateway.request("POST", "/a2a/register", json=body, headers=bearer(token))).status

        async def registered() -> bool:
            return await register(token) in (200, 201)

        await eventually(registered, within=20)
        assert await register(other) == 403


async def test_a_grant_names_service_accounts(
    gateway: World, kube_apiserver: KubeApiserver, namespace: str, container: PlainAgent
) -> None:
    one, two = [
        await asyncio.to_thread(token_of, kube_apiserver, namespace, name, "lambdaagent") for name in ("one", "two")
    ]
    grants = [{"serviceAccounts": [f"{namespace}/one"]}]
    gateway.agent(namespace=namespace, url=container.url, access={"grants": grants})
    assert [await status(gateway, namespace, bearer(each)) for each in (one, two)] == [200, 404]
    gateway.agent(namespace=namespace, url=container.url, access={"grants": [{"serviceAccounts": [f"{namespace}/*"]}]})
    assert [await status(gateway, namespace, bearer(each)) for each in (one, two)] == [200, 200]
    gateway.agent(namespace=namespace, url=container.url, access={"grants": [{"serviceAccounts": ["elsewhere/*"]}]})
    assert [await status(gateway, namespace, bearer(each)) for each in (one, two)] == [404, 404]


async def test_a_token_for_another_audience_is_refused(
    gateway: World, kube_apiserver: KubeApiserver, namespace: str
) -> None:
    for audiences in ((), ("elsewhere",)):
        token = await asyncio.to_thread(token_of, kube_apiserver, namespace, "caller", *audiences)
        assert await status(gateway, namespace, bearer(token)) == 401


async def test_rbac_knows_the_callers_of_issuers_by_their_names(
    gateway: World, kube_apiserver: KubeApiserver, issuer: Issuer, namespace: str
) -> None:
    grant(
        kube_apiserver,
        namespace,
        user("corp:alice"),
        names=[],
        resources=["lambdaagents/invoke", "lambdaagents/events"],
        verbs=["create"],
    )
    group = {"kind": "Group", "name": "corp:auditors", "apiGroup": "rbac.authorization.k8s.io"}
    grant(kube_apiserver, namespace, group, names=[], resources=["lambdaagents/tasks"], verbs=["get", "list"])
    grant(kube_apiserver, namespace, group, names=[], resources=["lambdaagents/invoke"], verbs=["create"])
    alice, bob = of(issuer), of(issuer, "bob")
    auditor = of(issuer, "eve", groups=["auditors"])

    async def called() -> bool:
        return await status(gateway, namespace, alice) == 200

    await eventually(called, within=20)
    assert await status(gateway, namespace, bob) == 404

    path = f"/agents/{namespace}/echo/api/a2a"
    task = (await gateway.rpc("SendMessage", {"message": message()}, path=path, **alice))["result"]["task"]
    assert (await gateway.rpc("GetTask", {"id": task["id"]}, path=path, **auditor))["result"] == task
    listed = (await gateway.rpc("ListTasks", {}, path=path, **auditor))["result"]["tasks"]
    assert [each["id"] for each in listed] == [task["id"]]
    refused = await gateway.rpc("CancelTask", {"id": task["id"]}, path=path, **auditor)
    assert refused["error"]["code"] == -32001

    gateway.broker.bind(f"{namespace}/shared", "t")
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t"}
    sent = [
        (await gateway.request("POST", f"/events/{namespace}", headers=headers | each)).status
        for each in (alice, bob, {})
    ]
    assert sent == [202, 403, 401]


async def test_without_the_api_server_nobody_gets_in(
    tmp_path: Path, issuer: Issuer, container: PlainAgent, kube_apiserver: KubeApiserver, namespace: str
) -> None:
    token = await asyncio.to_thread(token_of, kube_apiserver, namespace, "caller", "lambdaagent")
    away = kube_apiserver.kubeconfig_for(url="https://127.0.0.1:1")
    file = {"issuers": [issuer.configured()]}
    async with connect(kubeconfig=away) as api, guarded(tmp_path / "access.yaml", file, api=api) as world:
        world.agent(namespace=namespace, url=container.url)
        assert await status(world, namespace, bearer(token)) == 503
        assert await status(world, namespace, of(issuer)) == 404
