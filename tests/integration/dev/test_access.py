"""`lambdaagent dev` with access control, and where it listens without."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.parts.dev import dev
from tests.parts.dev_agents import write

from lambdaagent.identity import api_keys

KEY = api_keys.create("root")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.com"])
def test_an_open_gateway_does_not_listen_on_the_network(tmp_path: Path, host: str) -> None:
    with dev(write(tmp_path, "one"), "--host", host, data=tmp_path / "data", ready=False) as running:
        running.wait_for("--insecure-open")
        assert running.process.wait(10) == 2
        assert not running.says("server.started")


def test_it_does_if_the_user_says_so(tmp_path: Path) -> None:
    with dev(write(tmp_path, "one"), "--host", "0.0.0.0", "--insecure-open", data=tmp_path / "data") as running:
        assert running.get("/agents", headers={"Host": "gateway.example"}).status_code == 200


def test_it_has_one_port_whatever_is_set_for_a_cluster(tmp_path: Path) -> None:
    with dev(write(tmp_path, "one"), data=tmp_path / "data", environment={"LAMBDAAGENT_METRICS_PORT": "1"}) as running:
        assert running.get("/metrics").status_code == 200


def test_a_page_of_this_machine_may_call_it(tmp_path: Path) -> None:
    origin = "http://localhost:3000"
    with dev(write(tmp_path, "one"), data=tmp_path / "data") as running:
        answer = running.get("/agents", headers={"Origin": origin})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, origin)


def test_on_loopback_a_page_of_another_site_is_refused(tmp_path: Path) -> None:
    with dev(write(tmp_path, "one"), data=tmp_path / "data") as running:
        running.wait_for("access.not_checked")
        assert running.get("/agents").status_code == 200
        assert running.get("/agents", headers={"Host": "evil.example"}).status_code == 403
        assert running.get("/agents", headers={"Origin": "https://evil.example"}).status_code == 403


def test_an_access_file_is_enforced_and_the_client_command_has_a_credential(tmp_path: Path) -> None:
    file = {
        "apiKeys": [{"id": "root", "sha256": api_keys.hash_of(KEY)}],
        "admins": ["key:root"],
        "audit": {"sink": "file", "file": str(tmp_path / "audit.log")},
    }
    (tmp_path / "access.yaml").write_text(yaml.safe_dump(file))
    environment = {"LAMBDAAGENT_ACCESS": "enforce", "LAMBDAAGENT_ACCESS_FILE": str(tmp_path / "access.yaml")}
    (tmp_path / "agents").mkdir()
    with dev(write(tmp_path / "agents", "one"), data=tmp_path / "data", environment=environment) as running:
        path = "/agents/default/one/api/a2a/skills/say"
        assert running.post(path, json={"text": "x"}).status_code == 401
        headers = {"Authorization": f"Bearer {KEY}"}
        assert running.post(path, json={"text": "x"}, headers=headers).status_code == 200
        (tmp_path / "token").write_text(f"{KEY}\n")
        send = [sys.executable, "-m", "lambdaagent", "events", "send", "--type", "test.one", "--url", running.url]
        refused = subprocess.run(send, capture_output=True, text=True, check=False)
        assert (refused.returncode, "401" in refused.stderr) == (1, True)
        sent = subprocess.run(
            [*send, "--token-file", str(tmp_path / "token")], capture_output=True, text=True, check=False
        )
        assert (sent.returncode, "an agent subscribes" in sent.stdout) == (0, True)
        running.wait_for("got test.one")
    audited = (tmp_path / "audit.log").read_text()
    assert '"username":"key:root"' in audited
    assert KEY not in audited
