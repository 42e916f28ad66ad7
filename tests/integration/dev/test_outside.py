"""An agent that is an MCP server outside, under `dev`: nothing is started for it."""

from pathlib import Path
from typing import Any

from mcp.server.mcpserver import MCPServer
from tests.parts.dev import dev
from tests.parts.mcp_servers import mcp_server

AGENT = """
apiVersion: lambda.knative.io/v1alpha1
kind: LambdaAgent
metadata: {{name: shelf}}
spec:
  a2a: {{enabled: true, protocol: mcp, container: {{url: "{url}"}}}}
"""
CALL = "/agents/default/shelf/api/a2a/skills/add"


def test_its_tools_are_called_and_a_server_that_is_gone_is_named(tmp_path: Path) -> None:
    made: MCPServer[Any] = MCPServer("pantry")

    @made.tool()
    def add(a: int, b: int) -> int:
        return a + b

    file = tmp_path / "agent.yaml"
    with mcp_server(made, path="/v1/mcp") as (url, _):
        file.write_text(AGENT.format(url=url))
        with dev(file, data=tmp_path / "data") as found:
            found.wait_for("agent.became_ready")
            answer = found.post(CALL, json={"a": 1, "b": 2})
            assert (answer.status_code, answer.json()) == (200, {"result": 3})
    with dev(file, data=tmp_path / "data", ready=False) as found:
        said = found.wait_for("agent.list_failed")
        assert f"its MCP server {url} did not list its tools: Connection refused" in said
