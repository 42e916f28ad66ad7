"""`lambdaagent tools`: the tools of agents in a cluster, and of those in files."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from mcp.server.mcpserver import MCPServer
from tests.parts.cluster import Cluster
from tests.parts.kubernetes import KubeApiserver
from tests.parts.mcp_servers import Recorded, mcp_server


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lambdaagent", "tools", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, env=os.environ | environment
    )


@pytest.fixture
def pantry() -> Iterator[tuple[str, Recorded]]:
    server: MCPServer[Any] = MCPServer("pantry")
    server.add_tool(lambda what: what, name="count", description="Counts what there is.")
    server.add_tool(lambda what: what, name="add", description="Adds\x1b[2J.")
    with mcp_server(server, "stateful") as found:
        yield found


def written(folder: Path, url: str, *others: Any, **server: Any) -> str:
    tools = [{"mcpServer": {"name": "pantry", "endpoint": url, **server}}]
    agent = {
        "apiVersion": "lambda.knative.io/v1alpha1",
        "kind": "LambdaAgent",
        "metadata": {"name": "cook"},
        "spec": {"image": {"repository": "r"}, "tools": tools},
    }
    path = folder / "agent.yaml"
    path.write_text(yaml.safe_dump_all([agent, *others]))
    return str(path)


def test_the_servers_of_agents_in_files_are_asked(pantry: tuple[str, Recorded], tmp_path: Path) -> None:
    done = run("--ask", written(tmp_path, pantry[0]))
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split(maxsplit=5) for line in done.stdout.splitlines()] == [
        ["NAMESPACE", "AGENT", "SERVER", "READY", "TOOL", "DESCRIPTION"],
        ["default", "cook", "pantry", "yes", "add", "Adds [2J."],
        ["default", "cook", "pantry", "yes", "count", "Counts what there is."],
    ]


def test_what_is_missing_or_away_fails(pantry: tuple[str, Recorded], tmp_path: Path) -> None:
    done = run("--ask", written(tmp_path, pantry[0], toolNames=["count", "put"]), "-o", "json")
    assert done.returncode == 1
    (item,) = json.loads(done.stdout)["items"]
    assert (item["namespace"], item["name"]) == ("default", "cook")
    (server,) = item["servers"]
    assert (server["missing"], [tool["name"] for tool in server["tools"]]) == (["put"], ["count"])
    done = run("--ask", written(tmp_path, "http://127.0.0.1:1/mcp"))
    assert (done.returncode, "Connection refused" in done.stdout) == (1, True)


def test_a_secret_comes_from_the_files_or_the_environment(pantry: tuple[str, Recorded], tmp_path: Path) -> None:
    url, seen = pantry
    header = {"name": "X-Key", "secretKeyRef": {"name": "keys", "key": "pantry"}}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "stringData": {"pantry": "hidden"}}
    done = run("--ask", written(tmp_path, url, secret, headersFrom=[header]))
    assert done.returncode == 0
    assert {headers.get("x-key") for _, _, headers in seen.seen} == {"hidden"}
    seen.seen.clear()
    path = written(tmp_path, url, headersFrom=[header])
    assert run("--ask", path, MCP_SERVER_0_HEADER_0="other").returncode == 0
    assert {headers.get("x-key") for _, _, headers in seen.seen} == {"other"}
    done = run("--ask", path)
    assert (done.returncode, "no variable MCP_SERVER_0_HEADER_0" in done.stdout) == (1, True)


def test_agents_of_a_cluster_show_what_the_operator_found(kube_apiserver: KubeApiserver, namespace: str) -> None:
    cluster = Cluster(kube_apiserver, namespace)
    tools = [{"mcpServer": {"name": "pantry", "endpoint": "http://pantry"}}]
    cluster.apply("cook", {"tools": tools})
    cluster.apply("waiter", {})
    known = {"name": "pantry", "endpoint": "http://pantry", "ready": False, "error": "gone", "missing": ["put"]}
    cluster.rest.merge(f"{cluster.agents}/cook/status", {"status": {"tools": [known]}})
    config = {"KUBECONFIG": str(kube_apiserver.kubeconfig)}
    done = run("-n", namespace, "-o", "json", **config)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["items"] == [{"namespace": namespace, "name": "cook", "servers": [known]}]
    table = run("cook", "-n", namespace, **config).stdout
    assert [line.split()[2:5] for line in table.splitlines()[1:]] == [["pantry", "no", "-"], ["pantry", "no", "put"]]
    assert run("waiter", "-n", namespace, **config).stderr == "no tools\n"
    done = run("absent", "-n", namespace, **config)
    assert (done.returncode, "there is no LambdaAgent absent" in done.stderr) == (2, True)
    assert namespace in run("-A", **config).stdout


@pytest.mark.parametrize("arguments", [("--ask",), ("--ask", "x", "-A"), ("-A", "-n", "x")])
def test_what_does_not_go_together_is_wrong_usage(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).returncode == 2
