"""What a new user does with `lambdaagent dev` in the first hour: edits code, calls too early, breaks things."""

import asyncio
import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from tests.parts.commands import Done, dlq, run
from tests.parts.dev import Dev, alive, dev
from tests.parts.dev_agents import AGENT, pid, say, write
from tests.parts.keys import pem
from tests.parts.polling import wait

SLOW = """\
import pathlib, runpy, time
while not pathlib.Path("go").exists():
    time.sleep(0.02)
runpy.run_path({agent!r}, run_name="__main__")
"""


def annotate(path: Path, **annotations: str) -> None:
    """Sets annotations of the agent in its file."""
    text = path.read_text()
    for name, value in annotations.items():
        line = f"    dev.lambda.knative.io/{name}: {json.dumps(value)}\n"
        kept = [
            each for each in text.splitlines(keepends=True) if not each.startswith(f"    dev.lambda.knative.io/{name}:")
        ]
        text = "".join(kept).replace("  annotations:\n", f"  annotations:\n{line}")
    path.write_text(text)


def test_an_edit_of_the_code_restarts_the_agent_and_no_call_is_refused_meanwhile(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
        (folder / "agent.py").write_text(AGENT.read_text())
        annotate(write(folder, folder.name), command=f"{sys.executable} agent.py")
    with dev(tmp_path, data=tmp_path / "data") as running:
        before, other = pid(running, "one"), pid(running, "two")
        (one / "agent.py").write_text(AGENT.read_text().replace("{body}", "edited {body}"))
        answers: list[tuple[int, str]] = []
        wait(lambda: answers.append(say(running, "one", "x")) or answers[-1][1] == "edited x")
        assert {status for status, _ in answers} <= {200, 502, 504}, "a call may be cut, and its agent is never unknown"
        assert not alive(before)
        assert pid(running, "two") == other
        # What an agent writes beside its code is no edit of it.
        (one / "state.json").write_text("{}")
        (one / "notes.txt").write_text("x")
        after = pid(running, "one")
        (two / "agent.py").write_text(AGENT.read_text() + "\n# edited\n")
        wait(lambda: pid(running, "two") != other)
        assert pid(running, "one") == after


def test_the_annotation_chooses_what_is_watched(tmp_path: Path) -> None:
    (tmp_path / "prompt.md").write_text("a")
    path = write(tmp_path, "one")
    annotate(path, watch="prompt.md")
    with dev(path, data=tmp_path / "data") as running:
        before = pid(running, "one")
        (tmp_path / "prompt.md").write_text("b")
        wait(lambda: pid(running, "one") != before)
        running.wait_for("code.changed")


def test_a_call_to_an_agent_that_is_starting_waits_for_it(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW.format(agent=str(AGENT)))
    path = write(tmp_path, "one")
    path.write_text(path.read_text().replace("timeoutSeconds: 1", "timeoutSeconds: 60"))
    annotate(path, command=f"{sys.executable} slow.py")
    with dev(path, data=tmp_path / "data", ready=False) as running:
        running.url = running.wait_for(" url=").rpartition(" url=")[2]
        wait(lambda: running.get("/readyz").status_code == 200)
        direct, task = asyncio.run(_call_both(running, tmp_path / "go"))
        assert (direct.status_code, direct.text) == (200, "early")
        assert task.json()["result"]["task"]["status"]["state"] == "TASK_STATE_COMPLETED"
        assert not running.says("call.failed")


async def _call_both(running: Dev, go: Path) -> tuple[httpx.Response, httpx.Response]:
    """Sends a direct call and a message before the agent listens, and returns their responses."""
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "hello"}]}
    body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message}}
    async with httpx.AsyncClient(base_url=running.url, timeout=60) as http:
        calls = [
            asyncio.create_task(http.post("/agents/default/one/api/a2a/skills/say", content="early")),
            asyncio.create_task(http.post("/agents/default/one/api/a2a", json=body, headers={"A2A-Version": "1.0"})),
        ]
        # The gateway has both once it has counted another request that came after them.
        for _ in range(3):
            await http.get("/agents")
        assert not any(call.done() for call in calls)
        go.touch()
        direct, task = await asyncio.gather(*calls)
        return direct, task


def test_an_agent_that_ends_at_its_start_is_not_waited_for_and_says_why(tmp_path: Path) -> None:
    path = write(tmp_path, "one")
    annotate(path, command="sh -c 'echo boom; exit 3'")
    with dev(path, data=tmp_path / "data", ready=False) as running:
        running.url = running.wait_for(" url=").rpartition(" url=")[2]
        running.wait_for("exit_code=3")
        statuses = wait(lambda: [answer for answer in [say(running, "one", "x")] if "exit code 3" in answer[1]])
        assert statuses[0][0] in (502, 503)
        running.wait_for("call.failed")
        running.wait_for("[default/one] boom")


def test_a_missing_command_is_said_once_and_taken_when_it_is_there(tmp_path: Path) -> None:
    path = write(tmp_path, "one")
    annotate(path, command=f"./serve {AGENT}")
    with dev(path, data=tmp_path / "data", ready=False) as running:
        running.url = running.wait_for(" url=").rpartition(" url=")[2]
        line = running.wait_for("agent.start_failed")
        assert "'./serve'" in line
        assert "--command one='...'" in line
        status, text = say(running, "one", "x")
        assert status == 503
        assert "./serve" in json.loads(text)["detail"]
        (tmp_path / "serve").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
        (tmp_path / "serve").chmod(0o755)
        running.wait_for(" agent.became_ready [lambdaagent.dev")
        assert say(running, "one", "x") == (200, "x")
        assert sum("agent.start_failed" in line for line in running.lines) == 1
        assert not running.says("agent.exited")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Dev, Path]]:
    """Starts one `lambdaagent dev` for tests that use agents of their own; yields it and its folder."""
    folder = tmp_path_factory.mktemp("shared")
    for name in ("worker", "deaf", "listener"):
        path = write(folder, name)
        if name != "deaf":
            source = ", source: /a2a/default/worker" if name == "worker" else ""
            heard = f"{{eventType: io.knative.lambda.task.canceled{source}}}"
            path.write_text(path.read_text().replace("subscriptions: [", f"subscriptions: [{heard}, "))
    for name in ("called", "crashes", "refuses", "greeted", "caller", "other"):
        write(folder, name, answer="other says " if name == "other" else "")
    key = ed25519.Ed25519PrivateKey.generate()
    with dev(folder, data=folder / "data", environment={"LAMBDAAGENT_CARD_SIGNING_KEY": pem(key)}) as running:
        yield running, folder / "data"


def test_failed_calls_show_in_the_terminal(shared: tuple[Dev, Path]) -> None:
    running, _ = shared
    say(running, "crashes", "crash")
    assert "status=502" in running.wait_for("call='POST /agents/default/crashes/api/a2a/skills/say'")
    running.post("/agents/default/nobody/api/a2a?token=a-secret")
    assert "no agent 'nobody'" in running.wait_for("/agents/default/nobody/api/a2a")
    rpc(running, "called", "NoSuchMethod", {})
    assert "status=200" in running.wait_for("NoSuchMethod")
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "x"}]}
    rpc(running, "called", "SendMessage", {"message": message | {"metadata": {"skillId": "gone\x1b[31m\nforged"}}})
    line = running.wait_for("gone")
    assert "forged" in line, "one line"
    rpc(running, "crashes", "SendMessage", {"message": message | {"parts": [{"data": "crash"}]}})
    # Its cause is that of the moment: it drops the connection, or is still ending after the call before.
    failed = running.wait_for("task.failed")
    assert "agent=default/crashes" in failed and "error='The agent " in failed
    assert not running.says("a-secret")
    assert not running.says("gone\x1b")


def rpc(running: Dev, agent: str, method: str, params: object) -> Any:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    answer = running.post(f"/agents/default/{agent}/api/a2a", json=body, headers={"A2A-Version": "1.0"}).json()
    return answer.get("result", {})


def test_a_call_that_works_is_not_spoken_of(shared: tuple[Dev, Path]) -> None:
    running, _ = shared
    assert say(running, "called", "works") == (200, "works")
    running.post("/agents/default/called/api/a2a/skills/after")
    running.wait_for("skills/after")
    assert not [line for line in running.lines if "failed" in line and "default/called/api/a2a/skills/say" in line]


def test_dead_letters_are_listed_and_redriven_beside_a_dev_that_runs(shared: tuple[Dev, Path]) -> None:
    running, data = shared
    running.send_event("test.refused", event_id="poison", data=b"bad")

    def letters() -> list[dict[str, object]]:
        found: list[dict[str, object]] = json.loads(beside(data, "list", "--agent", "refuses", "-o", "json").out)[
            "items"
        ]
        return found

    [letter] = wait(letters)
    assert (letter["agent"], letter["code"], letter["eventId"]) == ("default/refuses", 422, "poison")
    assert beside(data, "redrive", str(letter["id"])).out == "1 redriven\n"
    wait(lambda: sum("[default/refuses] got test.refused poison" in line for line in running.lines) == 2)


def beside(data: Path, *arguments: str) -> Done:
    return asyncio.run(dlq(*arguments, "--data", str(data)))


def test_an_event_sent_by_hand_says_whether_an_agent_takes_it(shared: tuple[Dev, Path]) -> None:
    running, _ = shared
    for kind, said in (
        ("test.greeted", "accepted, and an agent subscribes to it"),
        ("test.nobody", "accepted, but no agent subscribes to it"),
    ):
        done = asyncio.run(run("events", "send", "--type", kind, "--url", running.url))
        assert (done.code, done.out.partition(" ")[2].strip()) == (0, said)


def test_an_agent_that_answered_202_hears_that_its_task_is_canceled(shared: tuple[Dev, Path]) -> None:
    running, _ = shared
    tasks = {name: started(running, name) for name in ("deaf", "worker")}
    for name, task in tasks.items():
        canceled = rpc(running, name, "CancelTask", {"id": task})
        assert canceled["status"]["state"] == "TASK_STATE_CANCELED"
    line = running.wait_for("[default/worker] got io.knative.lambda.task.canceled")
    event = json.loads(line[line.index("{") :])
    assert (event["id"], event["agent"], event["state"]) == (tasks["worker"], "worker", "TASK_STATE_CANCELED")
    # The other agent does not subscribe, so its cancellation, the earlier one, was told to nobody.
    assert tasks["worker"] in running.wait_for("[default/listener] got io.knative.lambda.task.canceled")
    assert not running.says(f'"id":"{tasks["deaf"]}"')


def started(running: Dev, name: str) -> str:
    """Starts a task and waits until its container works on it."""
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"data": "later"}]}
    task = rpc(running, name, "SendMessage", {"message": message, "configuration": {"returnImmediately": True}})["task"]
    running.wait_for(f"[default/{name}] got io.knative.lambda.invoke.sync")
    found: str = task["id"]
    return found


def test_every_agent_is_told_where_the_gateway_is_and_may_call_another(shared: tuple[Dev, Path]) -> None:
    running, _ = shared
    url = json.loads(say(running, "caller", "environment")[1])["GATEWAY_URL"]
    assert url == running.url
    called = httpx.post(f"{url}/agents/default/other/api/a2a/skills/say", content="hello")
    assert called.text == "other says hello"


def test_cards_are_signed_with_the_key_that_is_given(shared: tuple[Dev, Path]) -> None:
    running, _ = shared
    assert running.get("/agents/default/called/.well-known/agent-card.json").json()["signatures"]
    assert running.get("/.well-known/jwks.json").json()["keys"]


def test_a_second_dev_is_told_how_to_be_started(shared: tuple[Dev, Path], tmp_path: Path) -> None:
    running, data = shared
    path = write(tmp_path, "one")
    done = start(path, "--data", str(data))
    assert done.code == 2
    assert running.url in done.err
    assert f"--data {data}-2" in done.err
    assert "--port" in done.err
    done = start(path, "--data", str(tmp_path / "other"), port=running.url.rpartition(":")[2])
    assert done.code == 2
    assert "--port" in done.err


def start(*arguments: str | Path, port: str = "0", **settings: str) -> Done:
    """Runs `lambdaagent dev`, which must end by itself and without a traceback."""
    return asyncio.run(run("dev", *map(str, arguments), port=port, **settings))


@pytest.mark.parametrize(
    ("data", "options", "settings", "says"),
    [
        pytest.param("file", [], {}, "file: cannot be created: File exists", id="a folder that is a file"),
        pytest.param("broken", [], {}, "lambdaagent.db is not a database", id="a database that is none"),
        pytest.param("new", ["--command", "ones=true"], {}, "did you mean one?", id="a command of nobody"),
        pytest.param("new", [], {"port": "x"}, "LAMBDAAGENT_PORT", id="a port that is none"),
        pytest.param("new", [], {"card_signing_key": "x"}, "LAMBDAAGENT_CARD_SIGNING_KEY", id="a key that is none"),
    ],
)
def test_what_is_asked_wrongly_is_named(
    tmp_path: Path, data: str, options: list[str], settings: dict[str, str], says: str
) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "lambdaagent.db").write_text("no database at all")
    done = start(write(tmp_path, "one"), "--data", str(tmp_path / data), *options, **settings)
    assert done.code in (1, 2)
    assert says in done.err


def test_an_agent_that_listens_elsewhere_is_told_so(tmp_path: Path) -> None:
    path = write(tmp_path, "one")
    annotate(path, command=f"{sys.executable} -m http.server 0 --bind 127.0.0.1")
    with dev(path, data=tmp_path / "data", ready=False) as running:
        line = running.wait_for("agent.listen_failed", within=30)
        assert "it listens on 127.0.0.1:" in line
