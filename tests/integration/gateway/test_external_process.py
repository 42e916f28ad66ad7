"""The gateway process serves external agents as resources and the operator's status say, and reads their Secrets."""

import asyncio
import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from tests.parts.agents import AGENTS
from tests.parts.external import read_card
from tests.parts.gateway_process import launched
from tests.parts.kubernetes import KubeApiserver
from tests.parts.mcp_servers import mcp_server
from tests.parts.mcp_tools import toolbox
from tests.parts.polling import wait
from tests.parts.upstream import Seen, plain_agent

from lambdaagent.api.external import External
from lambdaagent.kube import rights
from lambdaagent.toolservers.listing import skills
from lambdaagent.webhooks.address_check import not_metadata

RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces"
ALLOWED = {"LAMBDAAGENT_PUSH_ALLOW": "127.0.0.0/8"}


def applying(server: KubeApiserver) -> Callable[[str, dict[str, Any]], None]:
    def apply(where: str, content: dict[str, Any]) -> None:
        document = {"apiVersion": "lambda.knative.io/v1alpha1", "kind": "LambdaAgent", **content}
        server.rest.apply(where, document, manager="operator")

    return apply


def test_an_mcp_server_is_callable_once_its_tools_are_known(
    gateway_account: Path, kube_apiserver: KubeApiserver, namespace: str
) -> None:
    path, apply = f"{AGENTS.format(namespace)}/shelf", applying(kube_apiserver)
    call = f"/agents/{namespace}/shelf/api/a2a/skills/add"
    with mcp_server(toolbox().server) as (url, _), launched(gateway_account, **ALLOWED) as client:
        a2a = {"protocol": "mcp", "skills": [{"id": "add", "name": "add"}]}
        apply(path, {"metadata": {"name": "shelf"}, "spec": {"external": {"url": url}, "a2a": a2a}})
        answer = wait(lambda: (found := client.post(call, json={"a": 1, "b": 2})).status_code == 503 and found)
        assert "its server has not said yet what it offers" in answer.text
        card = asyncio.run(skills(External(url=url), seconds=10, check=lambda _: not_metadata)).card
        # Without `ready`: the server did not answer the operator lately, and a call finds out.
        status = {"serviceStatus": {"ready": False}, "a2aStatus": {"containerCard": card}}
        apply(f"{path}/status", {"metadata": {"name": "shelf"}, "status": status})
        found = wait(lambda: (found := client.post(call, json={"a": 1, "b": 2})).status_code == 200 and found)
        assert found.json() == {"result": 3}


def partner_card(url: str) -> dict[str, Any]:
    interface = {"url": f"{url}/rpc", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
    skill = {"id": "quote", "name": "Quote", "description": "Quotes.", "tags": ["price"]}
    return {"name": "p", "description": "d", "version": "1", "supportedInterfaces": [interface], "skills": [skill]}


def test_the_gateway_reads_the_named_secret_and_a_rotated_value(
    gateway_account: Path, kube_apiserver: KubeApiserver, namespace: str, tmp_path: Path
) -> None:
    path, apply = f"{AGENTS.format(namespace)}/partner", applying(kube_apiserver)
    call, secret = f"/agents/{namespace}/partner/api/a2a/skills/quote", f"/api/v1/namespaces/{namespace}/secrets"
    values = [secrets.token_hex(8), secrets.token_hex(8)]
    log = tmp_path / "gateway.log"

    def asked() -> str:
        answer = client.post(call, content=b"apple", headers={"Content-Type": "text/plain"})
        return answer.text

    with plain_agent() as partner:

        def respond(seen: Seen) -> tuple[int, dict[str, str], bytes]:
            said = [{"text": seen.headers.get("x-key", "")}]
            result = {"message": {"messageId": "1", "role": "ROLE_AGENT", "parts": said}}
            body = partner_card(partner.url) if seen.method == "GET" else {"jsonrpc": "2.0", "id": 1, "result": result}
            return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()

        partner.respond = respond
        header = {"name": "X-Key", "secretKeyRef": {"name": "mine", "key": "token"}}
        spec = {"external": {"url": partner.url, "headersFrom": [header]}}
        apply(path, {"metadata": {"name": "partner"}, "spec": spec})
        card = asyncio.run(read_card(partner.url))
        status = {"serviceStatus": {"ready": True}, "a2aStatus": {"containerCard": card}}
        apply(f"{path}/status", {"metadata": {"name": "partner"}, "status": status})
        kube_apiserver.rest.post(secret, {"metadata": {"name": "mine"}, "stringData": {"token": values[0]}})
        kube_apiserver.rest.post(secret, {"metadata": {"name": "another"}, "stringData": {"token": "x"}})
        with (
            log.open("wb") as out,
            launched(gateway_account, log=out, LAMBDAAGENT_LOG_LEVEL="debug", **ALLOWED) as client,
        ):
            partner.seen.clear()
            said = wait(lambda: "Secret" in (found := asked()) and found)
            assert f"the gateway may not read Secret {namespace}/mine" in said
            assert "resourceNames [mine]" in said
            assert partner.seen == []
            rules = [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["mine"], "verbs": ["get"]}]
            kube_apiserver.rest.post(f"{RBAC}/{namespace}/roles", {"metadata": {"name": "mine"}, "rules": rules})
            home = yaml.safe_load(gateway_account.read_text())["contexts"][0]["context"]["namespace"]
            binding = {
                "metadata": {"name": "mine"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "mine"},
                "subjects": [{"kind": "ServiceAccount", "name": rights.GATEWAY, "namespace": home}],
            }
            kube_apiserver.rest.post(f"{RBAC}/{namespace}/rolebindings", binding)
            assert wait(lambda: asked() == values[0], within=20)
            kube_apiserver.rest.merge(f"{secret}/mine", {"stringData": {"token": values[1]}})
            assert wait(lambda: asked() == values[1], within=60)
    assert not [value for value in values if value in log.read_text()]
