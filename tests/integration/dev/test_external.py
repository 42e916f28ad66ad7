"""External agents under `dev`: nothing is started for them, and their credentials are in files or the environment."""

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
  external:
    url: "{url}"
    headersFrom: [{{name: X-Key, secretKeyRef: {{name: shelf, key: api-key}}}}]
  a2a: {{protocol: mcp}}
"""
SECRET = """
---
apiVersion: v1
kind: Secret
metadata: {name: shelf}
stringData: {api-key: of-the-file}
"""
CALL = "/agents/default/shelf/api/a2a/skills/add"


def test_its_tools_are_called_and_a_server_that_is_gone_is_named(tmp_path: Path) -> None:
    made: MCPServer[Any] = MCPServer("pantry")

    @made.tool()
    def add(a: int, b: int) -> int:
        return a + b

    file = tmp_path / "agent.yaml"
    with mcp_server(made, path="/v1/mcp") as (url, asked):
        file.write_text(AGENT.format(url=url))
        with dev(file, data=tmp_path / "data", ready=False) as found:
            said = found.wait_for("agent.ask_failed")
            assert "no Secret default/shelf (key api-key) in the files and no variable SHELF_API_KEY" in said
            assert asked.seen == []
        for text, environment, key in (
            (AGENT.format(url=url), {"SHELF_API_KEY": "of-the-environment"}, "of-the-environment"),
            (AGENT.format(url=url) + SECRET, {"SHELF_API_KEY": "of-the-environment"}, "of-the-file"),
        ):
            file.write_text(text)
            asked.seen.clear()
            with dev(file, data=tmp_path / "data", environment=environment) as found:
                found.wait_for("agent.became_ready")
                answer = found.post(CALL, json={"a": 1, "b": 2})
                assert (answer.status_code, answer.json()) == (200, {"result": 3})
                assert {headers["x-key"] for _, _, headers in asked.seen} == {key}
                assert not found.says(key)
    with dev(file, data=tmp_path / "data", ready=False) as found:
        said = found.wait_for("agent.ask_failed")
        assert f"its server {url} did not say what it offers: Connection refused" in said
