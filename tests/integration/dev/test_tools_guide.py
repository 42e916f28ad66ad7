"""`docs/guides/tools.md` as written: the commands of the MCP server that is an agent are executed."""

import os
import sys
from pathlib import Path

from tests.integration.dev.test_clients_guide import ROOT, run
from tests.parts.dev import dev
from tests.parts.polling import wait

GUIDE = (ROOT / "docs" / "guides" / "tools.md").read_text()


def test_an_mcp_server_is_an_agent_and_its_endpoint_the_tools_of_another(tmp_path: Path) -> None:
    start, call, ask = (block.partition("```")[0] for block in GUIDE.split("```sh\n")[1:])
    assert start.rstrip().endswith("lambdaagent dev examples/mcp-server-python")
    path = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}  # it has what the guide installs
    with dev(ROOT / "examples" / "mcp-server-python", data=tmp_path / "data", environment=path) as running:

        def skills() -> list[str]:
            card = running.get("/agents/default/calculator/.well-known/agent-card.json").json()
            return [skill["id"] for skill in card["skills"]]

        wait(lambda: skills() == ["add", "count"])  # they are read when the server listens
        run(call, tmp_path, at=running.url)
        run(ask, tmp_path, at=running.url)


def test_the_example_installs_what_the_guide_installs() -> None:
    containerfile = (ROOT / "examples" / "mcp-server-python" / "Containerfile").read_text()
    assert "'mcp==2.3.0' uvicorn" in containerfile
    assert "'mcp==2.3.0' uvicorn" in GUIDE
