"""`examples/find-agents` as a user runs it: a program elsewhere finds an agent behind another gateway, and asks it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.parts.dev import Dev, dev

EXAMPLES = Path(__file__).parents[3] / "examples"
OTHER = {
    "apiVersion": "lambda.knative.io/v1alpha1",
    "kind": "LambdaAgent",
    "metadata": {"name": "weather"},
    "spec": {
        "image": {"repository": "example.com/weather"},
        "a2a": {"enabled": True, "skills": [{"id": "forecast", "name": "Forecast", "tags": ["weather"]}]},
    },
}


@pytest.fixture(scope="module")
def gateways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Dev, Dev]]:
    """Two gateways; the first has an agent of another kind only, and refers to the second."""
    folder = tmp_path_factory.mktemp("gateways")
    (folder / "other").mkdir()
    (folder / "other" / "agent.yaml").write_text(yaml.safe_dump(OTHER))
    publisher = {"LAMBDAAGENT_CATALOG_PUBLISHER": "b.example.com"}
    command = f"weather={sys.executable} {EXAMPLES / 'echo-python' / 'agent.py'}"
    with dev(EXAMPLES / "echo-python", data=folder / "second", environment=publisher) as second:
        peers = {"LAMBDAAGENT_CATALOG_PEERS": f"{second.url}/ard"}
        with dev(folder / "other", "--command", command, data=folder / "first", environment=peers) as first:
            yield first, second


def run(gateway: str, question: str) -> subprocess.CompletedProcess[str]:
    program = str(EXAMPLES / "find-agents" / "find.py")
    environment = os.environ | {"GATEWAY": gateway}
    return subprocess.run(
        [sys.executable, program, question], env=environment, capture_output=True, text=True, timeout=60
    )


def test_an_agent_behind_another_gateway_is_found_and_asked(gateways: tuple[Dev, Dev]) -> None:
    found = run(gateways[0].url, "An example that echoes")
    assert found.returncode == 0, found.stderr
    lines = found.stdout.splitlines()
    assert "urn:air:b.example.com:default:echo: words of the question in its tags: example" in lines[0]
    assert lines[-1].startswith("echo says ")
    assert "An example that echoes" in lines[-1]


def test_without_such_an_agent_it_says_so(gateways: tuple[Dev, Dev]) -> None:
    found = run(gateways[0].url, "translate poetry")
    assert (found.returncode, found.stderr.strip()) == (1, "none of 2 registries has an agent for this")
