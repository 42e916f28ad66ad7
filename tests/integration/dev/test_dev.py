"""`lambdaagent dev` as a user meets it: started, called, edited, killed."""

import json
import re
import sys
from pathlib import Path

import pytest
from tests.parts.dev import Dev, alive, dev
from tests.parts.dev_agents import AGENT, YAML, pid, say, write
from tests.parts.polling import wait


def test_an_agent_is_discovered_called_and_reached_by_an_event(tmp_path: Path) -> None:
    with dev(write(tmp_path, "one", answer="> "), data=tmp_path / "data") as running:
        card = running.get("/agents/default/one/.well-known/agent-card.json").json()
        assert card["name"] == "one"
        assert say(running, "one", "hello") == (200, "> hello")
        sent = running.send_event("test.one", event_id="e1", data=b"good day")
        assert (sent.status_code, sent.headers["lambdaagent-routed"]) == (202, "1")
        running.wait_for("[default/one] got test.one e1 good day")
        assert running.send_event("test.nobody", event_id="e2").headers["lambdaagent-routed"] == "0"
        assert running.stop() == 0


def test_an_event_reaches_exactly_those_that_subscribe(tmp_path: Path) -> None:
    write(tmp_path, "one")
    write(tmp_path, "two")
    with dev(tmp_path, data=tmp_path / "data") as running:
        running.send_event("test.two", event_id="for-two")
        running.send_event("test.one", event_id="for-one")
        running.wait_for("[default/two] got test.two for-two")
        running.wait_for("[default/one] got test.one for-one")
        assert not running.says("[default/one] got test.two")
        assert not running.says("[default/two] got test.one")


def test_an_edit_restarts_the_edited_agent_and_leaves_the_others(tmp_path: Path) -> None:
    write(tmp_path, "one", answer="old ")
    write(tmp_path, "two")
    with dev(tmp_path, data=tmp_path / "data") as running:
        before, other = pid(running, "one"), pid(running, "two")
        write(tmp_path, "one", answer="new ")
        wait(lambda: say(running, "one", "x") == (200, "new x"))
        assert not alive(before)
        assert alive(other)
        assert pid(running, "two") == other


def test_agents_come_and_go_with_their_files(tmp_path: Path) -> None:
    write(tmp_path, "one")
    with dev(tmp_path, data=tmp_path / "data") as running:
        second = write(tmp_path, "two")
        wait(lambda: say(running, "two", "x") == (200, "x"))
        process = pid(running, "two")
        second.unlink()
        wait(lambda: say(running, "two", "x")[0] == 404)
        wait(lambda: not alive(process))
        assert say(running, "one", "x") == (200, "x")


def test_a_file_that_becomes_wrong_changes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, "one")
    with dev(tmp_path, data=tmp_path / "data") as running:
        path.write_text(path.read_text().replace("repository", "repositry"))
        running.wait_for("did you mean 'repository'?")
        running.wait_for("files.reload_failed")
        assert say(running, "one", "x") == (200, "x")


def test_a_crashed_agent_is_restarted_and_loses_no_event(tmp_path: Path) -> None:
    with dev(write(tmp_path, "one"), data=tmp_path / "data") as running:
        first = pid(running, "one")
        assert say(running, "one", "crash")[0] == 502
        sent = running.send_event("test.one", event_id="waits")
        assert sent.headers["lambdaagent-routed"] == "1"
        running.wait_for("[default/one] got test.one waits")
        assert pid(running, "one") != first
        assert running.says("exit_code=3")


@pytest.mark.parametrize("ending", ["stop", "kill"])
def test_no_process_is_left_behind(tmp_path: Path, ending: str) -> None:
    with dev(write(tmp_path, "one", arguments="--with-child"), data=tmp_path / "data") as running:
        processes = [pid(running, "one"), pid(running, "one", word="child")]
        assert all(map(alive, processes))
        getattr(running, ending)()
        wait(lambda: not any(map(alive, processes)), within=10)


def test_the_environment_is_the_clusters_with_references_resolved(tmp_path: Path) -> None:
    more = """\
---
apiVersion: v1
kind: Secret
metadata: {name: tokens}
stringData: {token: from-secret}
data: {other: ZGVjb2RlZA==}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: flags}
data: {all: from-config}
"""
    path = write(tmp_path, "one", more=more)
    refs = [
        "{name: TOKEN, valueFrom: {secretKeyRef: {name: tokens, key: token}}}",
        "{name: OTHER, valueFrom: {secretKeyRef: {name: tokens, key: other}}}",
        "{name: FLAGS, valueFrom: {configMapKeyRef: {name: flags, key: all}}}",
        "{name: FROM_DEV, valueFrom: {secretKeyRef: {name: missing, key: a}}}",
        "{name: NOWHERE, valueFrom: {secretKeyRef: {name: missing, key: b}}}",
        '{name: COMBINED, value: "$(FLAGS)-$(UNKNOWN)-$$(FLAGS)"}',
    ]
    text = path.read_text().replace("  env: [", "  env: [" + ", ".join(refs) + ", ")
    path.write_text(text.replace("spec:\n", "spec:\n  behavior: {systemPrompt: 'Cost: $(PORT) $$ {x} 🍝'}\n", 1))
    with dev(path, data=tmp_path / "data", environment={"FROM_DEV": "dev's own"}) as running:
        variables = json.loads(say(running, "one", "environment")[1])
        running.wait_for("NOWHERE stays unset")
    assert variables["TOKEN"] == "from-secret"
    assert variables["OTHER"] == "decoded"
    assert variables["FLAGS"] == "from-config"
    assert variables["FROM_DEV"] == "dev's own"
    assert variables["COMBINED"] == "from-config-$(UNKNOWN)-$(FLAGS)"
    assert variables["SYSTEM_PROMPT"] == "Cost: $(PORT) $$ {x} 🍝"
    assert variables["K_SINK"] == f"{running.url}/events/default/from/one"
    assert "NOWHERE" not in variables


def test_tasks_outlive_dev(tmp_path: Path) -> None:
    path = write(tmp_path, "one")
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "hello"}]}

    def rpc(running: Dev, method: str, params: object) -> dict[str, object]:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = running.post("/agents/default/one/api/a2a", json=body, headers={"A2A-Version": "1.0"}).json()
        return answer["result"]  # type: ignore[no-any-return]

    with dev(path, data=tmp_path / "data") as running:
        task = rpc(running, "SendMessage", {"message": message})["task"]
        running.kill()
    with dev(path, data=tmp_path / "data") as running:
        assert rpc(running, "GetTask", {"id": task["id"]}) == task  # type: ignore[index]


def test_a_command_option_wins_over_the_annotation(tmp_path: Path) -> None:
    path = write(tmp_path, "one")
    path.write_text(path.read_text().replace(str(AGENT), "nowhere.py"))
    option = f"one={sys.executable} {AGENT}"
    with dev(path, "--command", option, data=tmp_path / "data") as running:
        assert say(running, "one", "x") == (200, "x")


def test_an_agent_that_cannot_be_started_says_what_is_missing_and_spares_the_others(tmp_path: Path) -> None:
    write(tmp_path, "one")
    lost = write(tmp_path, "lost")
    lost.write_text(lost.read_text().replace("dev.lambda.knative.io/command", "other"))
    with dev(tmp_path, data=tmp_path / "data", environment={"PATH": "/nowhere"}, ready=False) as running:
        line = running.wait_for("no command is known to start it here")
        assert "--command lost=" in line
        running.wait_for("[default/one] pid")


def test_a_slow_agent_is_cut_off_at_its_skills_limit(tmp_path: Path) -> None:
    with dev(write(tmp_path, "one"), data=tmp_path / "data") as running:
        status, text = say(running, "one", "slow")
        assert status == 504
        # What is left of the second after the wait for the agent's port.
        assert re.search(r"(1|0\.\d+) s", text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("apiVersion: [", "not YAML", id="malformed YAML"),
        pytest.param(
            YAML.format(name="x", python="p", script="s", arguments="", answer="").replace("r}", "1}"),
            "spec.image.repository",
            id="invalid agent",
        ),
        pytest.param("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n", "no LambdaAgent", id="nothing of ours"),
    ],
)
def test_wrong_files_start_nothing_and_say_why(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with dev(path, data=tmp_path / "data", ready=False) as running:
        running.wait_for(says)
        assert running.process.wait(10) in (1, 2)
        assert not running.says("Traceback")
