"""The gateway process serves an agent that is an MCP server outside, as its resource and the operator's status say."""

import asyncio
from pathlib import Path
from typing import Any

from tests.parts.agents import AGENTS
from tests.parts.gateway_process import launched
from tests.parts.kubernetes import KubeApiserver
from tests.parts.mcp_servers import mcp_server
from tests.parts.mcp_tools import toolbox
from tests.parts.polling import wait

from lambdaagent.toolservers.listing import skills
from lambdaagent.webhooks.address_check import not_metadata


def test_it_is_callable_once_its_tools_are_known(
    gateway_account: Path, kube_apiserver: KubeApiserver, namespace: str
) -> None:
    path = f"{AGENTS.format(namespace)}/shelf"
    call = f"/agents/{namespace}/shelf/api/a2a/skills/add"

    def apply(where: str, content: dict[str, Any]) -> None:
        document = {"apiVersion": "lambda.knative.io/v1alpha1", "kind": "LambdaAgent", **content}
        kube_apiserver.rest.apply(where, document, manager="operator")

    with (
        mcp_server(toolbox().server) as (url, _),
        launched(gateway_account, LAMBDAAGENT_PUSH_ALLOW="127.0.0.0/8") as client,
    ):
        own = [{"id": "add", "name": "add"}]
        a2a = {"enabled": True, "protocol": "mcp", "container": {"url": url}, "skills": own}
        apply(path, {"metadata": {"name": "shelf"}, "spec": {"a2a": a2a}})
        answer = wait(lambda: (found := client.post(call, json={"a": 1, "b": 2})).status_code == 503 and found)
        assert "its MCP server has not listed its tools yet" in answer.text
        card = asyncio.run(skills(url, seconds=10, check=lambda _: not_metadata)).card
        # Without `ready`: the server did not answer the operator lately, and a call finds out.
        status = {"serviceStatus": {"ready": False}, "a2aStatus": {"containerCard": card}}
        apply(f"{path}/status", {"metadata": {"name": "shelf"}, "status": status})
        found = wait(lambda: (found := client.post(call, json={"a": 1, "b": 2})).status_code == 200 and found)
        assert found.json() == {"result": 3}
