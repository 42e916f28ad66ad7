"""What the operator asks of agents' MCP servers, and what status says about their tools."""

import asyncio
from typing import Any

from mcp.server.mcpserver import MCPServer
from tests.parts.cluster import Cluster, Start, until
from tests.parts.mcp_servers import mcp_server

LOOPBACK = "127.0.0.0/8"


def server(*names: str) -> MCPServer[Any]:
    made: MCPServer[Any] = MCPServer("pantry")
    for name in names:
        made.add_tool(lambda what: what, name=name, description=f"Does {name}.")
    return made


def uses(name: str, url: str, **fields: Any) -> dict[str, Any]:
    return {"mcpServer": {"name": name, "endpoint": url, **fields}}


def shown(cluster: Cluster, agent: str) -> list[dict[str, Any]]:
    return [{key: each[key] for key in each if key != "lastSync"} for each in cluster.status(agent).get("tools", [])]


async def test_the_tools_of_each_era_stand_in_status_and_gate_nothing(cluster: Cluster, start: Start) -> None:
    with (
        mcp_server(server("count", "add"), "modern") as (modern, asked),
        mcp_server(server("get"), "stateful", path="/api/v1/mcp") as (stateful, _),
    ):
        await start(eventing="none", serving="kubernetes", tools_allow=LOOPBACK)
        tools = [uses("pantry", modern), uses("shelf", stateful, toolNames=["get", "put"])]
        await asyncio.to_thread(cluster.apply, "cook", {"tools": tools})
        await asyncio.to_thread(cluster.apply, "waiter", {"tools": [uses("pantry", modern)]})
        found = await until(lambda: cluster.because("cook", "ToolsResolved", "ToolsMissing"))
        assert found["message"].startswith(f"shelf ({stateful}) lacks put; correct toolNames")
        assert shown(cluster, "cook") == [
            {
                "name": "pantry",
                "endpoint": modern,
                "protocolVersion": "2026-07-28",
                "ready": True,
                "toolCount": 2,
                "tools": [
                    {"name": "add", "description": "Does add."},
                    {"name": "count", "description": "Does count."},
                ],
            },
            {
                "name": "shelf",
                "endpoint": stateful,
                "protocolVersion": "2025-11-25",
                "ready": True,
                "toolCount": 1,
                "tools": [{"name": "get", "description": "Does get."}],
                "missing": ["put"],
            },
        ]
        assert all(each["lastSync"].endswith("Z") for each in cluster.status("cook")["tools"])
        await until(lambda: cluster.because("waiter", "ToolsResolved", "Resolved"))
        assert cluster.condition("waiter", "ToolsResolved")["message"] == "2 tools of 1 server"
        assert cluster.condition("cook", "Ready")["reason"] != "ToolsMissing"
        assert len(asked.seen) == 2  # once for both agents
        version = cluster.agent("cook")["metadata"]["resourceVersion"]
        await asyncio.to_thread(cluster.apply, "cook", {"tools": tools[:1]})
        await until(lambda: cluster.because("cook", "ToolsResolved", "Resolved"))
        assert [each["name"] for each in cluster.status("cook")["tools"]] == ["pantry"]
        assert cluster.agent("cook")["metadata"]["resourceVersion"] != version
        await asyncio.to_thread(cluster.apply, "cook", {})
        await until(lambda: "tools" not in cluster.status("cook") and not cluster.condition("cook", "ToolsResolved"))


async def test_a_change_of_the_tools_is_seen_and_nothing_else_is_written(cluster: Cluster, start: Start) -> None:
    made = server("count")
    with mcp_server(made, "stateless") as (url, asked):
        await start(eventing="none", serving="kubernetes", tools_allow=LOOPBACK, tools_sync_seconds=1)
        await asyncio.to_thread(cluster.apply, "cook", {"tools": [uses("pantry", url)]})
        await until(lambda: cluster.because("cook", "ToolsResolved", "Resolved"))
        version, rounds = cluster.agent("cook")["metadata"]["resourceVersion"], len(asked.seen)
        await until(lambda: len(asked.seen) >= rounds + 8)
        assert cluster.agent("cook")["metadata"]["resourceVersion"] == version
        made.add_tool(lambda what: what, name="another")
        await until(lambda: [len(each["tools"]) for each in cluster.status("cook")["tools"]] == [2])


async def test_a_server_that_is_gone_keeps_its_known_tools(cluster: Cluster, start: Start) -> None:
    with mcp_server(server("count"), "modern") as (url, _):
        await start(eventing="none", serving="kubernetes", tools_allow=LOOPBACK, tools_sync_seconds=1)
        await asyncio.to_thread(cluster.apply, "cook", {"tools": [uses("pantry", url)]})
        await until(lambda: cluster.because("cook", "ToolsResolved", "Resolved"))
    found = await until(lambda: cluster.because("cook", "ToolsResolved", "ServerUnreachable"))
    assert f"pantry ({url}): Connection refused; check the server" in found["message"]
    (entry,) = shown(cluster, "cook")
    assert (entry["ready"], entry["error"], entry["toolCount"]) == (False, "Connection refused", 1)
    assert [tool["name"] for tool in entry["tools"]] == ["count"]


async def test_what_is_known_outlives_the_operator(cluster: Cluster, start: Start) -> None:
    with mcp_server(server("count"), "modern") as (url, asked):
        settings = {"eventing": "none", "serving": "kubernetes", "tools_allow": LOOPBACK}
        stop = await start(**settings)
        await asyncio.to_thread(cluster.apply, "cook", {"tools": [uses("pantry", url)]})
        await until(lambda: cluster.because("cook", "ToolsResolved", "Resolved"))
        await stop()
        before = cluster.agent("cook")
        await start(**settings)
        await until(lambda: len(asked.seen) == 4)
        await asyncio.sleep(1)  # a status that forgets, or that is learnt again, would be written
        assert cluster.agent("cook")["status"] == before["status"]


async def test_a_secret_is_read_only_with_the_right_to(cluster: Cluster, start: Start) -> None:
    secret = {"metadata": {"name": "pantry"}, "stringData": {"token": "Bearer hidden\n"}}
    cluster.rest.post(cluster.path("v1", "secrets"), secret)
    with mcp_server(server("count"), "modern") as (url, asked):
        await start(eventing="none", serving="kubernetes", tools_allow=LOOPBACK, tools_sync_seconds=1)
        header = {"name": "Authorization", "secretKeyRef": {"name": "pantry", "key": "token"}}
        await asyncio.to_thread(cluster.apply, "cook", {"tools": [uses("pantry", url, headersFrom=[header])]})
        found = await until(lambda: cluster.because("cook", "ToolsResolved", "SecretNotReadable"))
        assert found["status"] == "Unknown"
        assert f"may not read Secret {cluster.namespace}/pantry" in found["message"]
        assert "resourceNames [pantry]" in found["message"]
        assert asked.seen == []
        rules = [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["pantry"], "verbs": ["get"]}]
        rbac = "rbac.authorization.k8s.io/v1"
        cluster.rest.post(cluster.path(rbac, "roles"), {"metadata": {"name": "tools"}, "rules": rules})
        binding = {
            "metadata": {"name": "tools"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "tools"},
            "subjects": [
                {"kind": "ServiceAccount", "name": "lambdaagent-operator", "namespace": cluster.namespace},
            ],
        }
        cluster.rest.post(cluster.path(rbac, "rolebindings"), binding)
        await until(lambda: cluster.because("cook", "ToolsResolved", "Resolved"))
        assert {headers["authorization"] for _, _, headers in asked.seen} == {"Bearer hidden"}
        for data, words in (({"token": "aGlkZGVuCngK"}, "cannot be a header"), ({"other": "eA=="}, "has no key token")):
            cluster.rest.merge(cluster.path("v1", "secrets", "pantry"), {"data": {"token": None, **data}})
            found = await until(lambda: cluster.because("cook", "ToolsResolved", "ServerUnreachable"))
            await until(lambda words=words: words in cluster.condition("cook", "ToolsResolved")["message"])
        cluster.rest.delete(cluster.path("v1", "secrets", "pantry"))
        await until(lambda: "there is no Secret" in cluster.condition("cook", "ToolsResolved")["message"])
        assert "hidden" not in str(cluster.agent("cook"))
        service = await until(lambda: cluster.find("apps/v1", "deployments", "cook"))
        env = {each["name"]: each for each in service["spec"]["template"]["spec"]["containers"][0]["env"]}
        assert env["MCP_SERVER_0_HEADER_0"]["valueFrom"] == {"secretKeyRef": {"name": "pantry", "key": "token"}}
        assert "hidden" not in str(service)


async def test_addresses_that_authors_may_not_choose_are_not_called(cluster: Cluster, start: Start) -> None:
    with mcp_server(server("count"), "modern") as (url, asked):
        await start(eventing="none", serving="kubernetes")
        tools = [uses("here", url), uses("cloud", "http://169.254.169.254/mcp"), uses("lan", "http://10.0.0.1/mcp")]
        await asyncio.to_thread(cluster.apply, "cook", {"tools": tools})
        found = await until(lambda: cluster.because("cook", "ToolsResolved", "ServerUnreachable"))
        for word in ("127.0.0.1 is not a public address", "169.254.169.254 is link-local", "10.0.0.1 is not a public"):
            assert word in found["message"]
        assert asked.seen == []
