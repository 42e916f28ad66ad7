"""`docs/guides/external.md` as written: the commands with the example of a server elsewhere are executed."""

import json
import subprocess
import sys
from pathlib import Path

import httpx
import yaml
from tests.integration.dev.test_clients_guide import ROOT, run
from tests.parts.dev import dev
from tests.parts.polling import wait
from tests.parts.process import free_port

EXAMPLE = ROOT / "examples" / "external"
GUIDE = (ROOT / "docs" / "guides" / "external.md").read_text()


def test_a_server_elsewhere_is_an_agent_and_gets_its_key(tmp_path: Path) -> None:
    start, calls = (block.partition("```")[0] for block in GUIDE.split("```sh\n")[1:])
    assert start == "python3 examples/external/partner.py &\nlambdaagent dev examples/external\n"
    port = free_port()  # instead of the example's, which another process of this machine may use
    file = tmp_path / "agent.yaml"
    file.write_text((EXAMPLE / "agent.yaml").read_text().replace(":9000/", f":{port}/"))
    partner = subprocess.Popen([sys.executable, str(EXAMPLE / "partner.py"), str(port)])
    try:
        card = f"http://127.0.0.1:{port}/.well-known/agent-card.json"
        wait(lambda: _serves(card))
        with dev(file, data=tmp_path / "data") as running:
            run(calls, tmp_path, at=running.url)
        call = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {}}
        assert httpx.post(f"http://127.0.0.1:{port}/rpc", content=json.dumps(call)).status_code == 401
    finally:
        partner.terminate()
        partner.wait(10)


def test_the_example_has_the_port_that_its_server_listens_on() -> None:
    agent, secret = yaml.safe_load_all((EXAMPLE / "agent.yaml").read_text())
    source = (EXAMPLE / "partner.py").read_text()
    assert agent["spec"]["external"]["url"] == "http://127.0.0.1:9000/"
    assert "else 9000" in source
    assert f'"{secret["stringData"]["api-key"]}"' in source


def _serves(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False
