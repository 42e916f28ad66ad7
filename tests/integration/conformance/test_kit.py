"""What the public conformance kit asks, asked by ourselves: the same agent under `lambdaagent dev`, both bindings."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.conformance.run import AGENT
from tests.parts.a2a_schemas import check_v1
from tests.parts.agents import Container
from tests.parts.dev import Dev, dev
from tests.parts.polling import wait

ROOT = Path(__file__).parents[3]
PATH = "/agents/default/tck"
VERSION = {"A2A-Version": "1.0"}
Json = dict[str, Any]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    with dev(AGENT, data=tmp_path_factory.mktemp("conformance")) as found:
        yield found


@pytest.fixture(params=["JSON-RPC", "HTTP+JSON"])
def kit(request: pytest.FixtureRequest, running: Dev) -> Iterator["Kit"]:
    with httpx.Client(base_url=f"{running.url}{PATH}/api/a2a", timeout=30, headers=VERSION) as client:
        yield Kit(client, rest=request.param == "HTTP+JSON")


class Kit:
    def __init__(self, client: httpx.Client, *, rest: bool) -> None:
        self.client = client
        self.rest = rest

    def ask(self, method: str, params: Json, *, verb: str = "POST", path: str) -> Json:
        """Returns the result, or the error with the `reason` that both bindings give."""
        if self.rest:
            options: Json = {"json": params} if verb == "POST" else {"params": params}
            answer = self.client.request(verb, path, **options)
            body: Json = answer.json() if answer.content else {}
            return body["error"] | {"reason": body["error"]["details"][0]["reason"]} if "error" in body else body
        body = self.client.post("/", json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).json()
        if "error" in body:
            return {**body["error"], "reason": body["error"]["data"][0]["reason"]}
        result: Json = body["result"]
        return result

    def send(self, id_: str, *, part: Json | None = None, configuration: Json | None = None, **more: Any) -> Json:
        params: Json = {"message": message(id_, part=part, **more)}
        if configuration is not None:
            params["configuration"] = configuration
        return self.ask("SendMessage", params, path="/message:send")

    def task(self, id_: str, **more: Any) -> Json:
        sent = self.send(id_, **more)
        check_v1("SendMessageResponse", sent)
        task: Json = sent["task"]
        return task

    def get(self, task: str, **more: Any) -> Json:
        return self.ask("GetTask", {"id": task, **more} if not self.rest else more, verb="GET", path=f"/tasks/{task}")

    def cancel(self, task: str) -> Json:
        return self.ask("CancelTask", {"id": task}, path=f"/tasks/{task}:cancel")

    def stream(self, method: str, path: str, params: Json, *, first: threading.Semaphore | None = None) -> list[Json]:
        """Reads a stream to its end; `first` is released when the first event arrives."""
        body = params if self.rest else {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        found = []
        with self.client.stream("POST", path if self.rest else "/", json=body) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    event = json.loads(line[6:])
                    found.append(event if self.rest else event["result"])
                    check_v1("StreamResponse", found[-1])
                    if first is not None and len(found) == 1:
                        first.release()
        return found

    def subscribe(self, task: str, *, first: threading.Semaphore) -> list[Json]:
        params = {"id": task} if not self.rest else {}
        return self.stream("SubscribeToTask", f"/tasks/{task}:subscribe", params, first=first)


def message(id_: str, *, part: Json | None = None, **more: Any) -> Json:
    return {"role": "ROLE_USER", "parts": [part or {"text": "Hello"}], "messageId": f"tck-{id_}-5e5510", **more}


def state(task: Json) -> str:
    return str(task["status"]["state"]).removeprefix("TASK_STATE_")


def test_an_agent_that_answers_with_a_message_is_answered_with_a_message(kit: Kit) -> None:
    """DM-MSG-001."""
    sent = kit.send("message-response")
    check_v1("SendMessageResponse", sent)
    assert sent["message"]["role"] == "ROLE_AGENT"
    assert "taskId" not in sent["message"]


@pytest.mark.parametrize(
    ("id_", "becomes", "part"),
    [
        ("complete-task", "COMPLETED", None),
        ("reject-task", "REJECTED", None),
        ("input-required", "INPUT_REQUIRED", None),
        ("auth-required", "AUTH_REQUIRED", None),
        ("anything-else", "COMPLETED", None),
        ("artifact-text", "COMPLETED", "text"),
        ("artifact-file", "COMPLETED", "raw"),
        ("artifact-file-url", "COMPLETED", "url"),
        ("artifact-data", "COMPLETED", "data"),
    ],
)
def test_a_message_comes_to_what_its_id_says(kit: Kit, id_: str, becomes: str, part: str | None) -> None:
    task = kit.task(id_)
    assert state(task) == becomes
    parts = [each for artifact in task.get("artifacts", []) for each in artifact["parts"]]
    assert [part in each for each in parts] == ([True] if part else [])
    again = kit.get(task["id"])
    check_v1("Task", again)
    assert state(again) == becomes


@pytest.mark.parametrize(
    "id_", ["stream-001", "stream-002", "stream-003", "stream-ordering-001", "stream-artifact-file"]
)
def test_a_stream_begins_with_the_task_and_closes_at_its_end(kit: Kit, id_: str) -> None:
    events = kit.stream("SendStreamingMessage", "/message:stream", {"message": message(id_)})
    assert "task" in events[0]
    assert state(events[-1]["statusUpdate"]) == "COMPLETED"


def test_chunks_of_an_artifact_are_put_together(kit: Kit) -> None:
    events = kit.stream("SendStreamingMessage", "/message:stream", {"message": message("stream-artifact-chunked")})
    chunks = [event["artifactUpdate"] for event in events if "artifactUpdate" in event]
    assert [chunk["artifact"]["parts"][0]["text"] for chunk in chunks] == ["chunk-1 ", "chunk-2"]
    task = kit.get(events[0]["task"]["id"])
    assert [part["text"] for part in task["artifacts"][0]["parts"]] == ["chunk-1 ", "chunk-2"]


def test_a_blocking_send_waits_and_another_does_not(kit: Kit) -> None:
    at_once = kit.task("delayed-complete", configuration={"returnImmediately": True})
    assert state(at_once) in ("SUBMITTED", "WORKING")
    assert state(kit.task("delayed-complete", configuration={"returnImmediately": False})) == "COMPLETED"


def test_two_subscribers_see_the_same_through_a_wait_for_input(kit: Kit) -> None:
    task = kit.task("input-required")["id"]
    listening = threading.Semaphore(0)
    with ThreadPoolExecutor(2) as both:
        seen = [both.submit(kit.subscribe, task, first=listening) for _ in range(2)]
        assert all(listening.acquire(timeout=10) for _ in seen)
        assert state(kit.task("complete-task", taskId=task)) == "COMPLETED"
        first, second = (each.result(10) for each in seen)
    assert first == second
    assert ("task" in first[0], state(first[-1]["statusUpdate"])) == (True, "COMPLETED")


def test_history_is_kept_in_order_and_cut_where_asked(kit: Kit) -> None:
    task = kit.task("input-required")["id"]
    silent = kit.task("complete-task", taskId=task, part={"text": "again"}, configuration={"historyLength": 0})
    assert not silent.get("history")
    texts = [entry["parts"][0]["text"] for entry in kit.get(task, historyLength=10)["history"]]
    assert [text for text in texts if text in ("Hello", "again")] == ["Hello", "again"]
    assert len(kit.get(task, historyLength=1)["history"]) <= 1
    assert not kit.get(task, historyLength=0).get("history")


def test_what_must_be_refused_is(kit: Kit) -> None:
    waiting, done = kit.task("input-required"), kit.task("complete-task")
    odd = {"raw": "dGNr", "mediaType": "application/x-unsupported-tck-type"}
    cases = {
        "CONTENT_TYPE_NOT_SUPPORTED": [kit.send("send-003", part=odd)],
        "UNSUPPORTED_OPERATION": [kit.send("terminal", taskId=done["id"])],
        "TASK_NOT_CANCELABLE": [kit.cancel(done["id"])],
        "TASK_NOT_FOUND": [
            kit.get("tck-none"),
            kit.cancel("tck-none"),
            kit.send("multi-004", taskId="tck-none"),
        ],
    }
    for reason, answers in cases.items():
        assert [answer.get("reason") for answer in answers] == [reason] * len(answers)
    codes = {-32001, -32002, -32004, -32005} if not kit.rest else {400, 404}
    assert {answer["code"] for answers in cases.values() for answer in answers} == codes
    assert "code" in kit.send("mismatch", taskId=waiting["id"], contextId="tck-wrong")
    assert state(kit.cancel(waiting["id"])) == "CANCELED"


def test_a_push_to_this_machine_carries_the_clients_credentials(kit: Kit, webhook: Container) -> None:
    url = f"http://localhost:{webhook.port}/webhook"  # by name, as the kit does it
    config = {"id": "tck-push", "url": url, "authentication": {"scheme": "Bearer", "credentials": "c"}}
    task = kit.task("input-required", configuration={"taskPushNotificationConfig": config})
    kit.task("complete-task", taskId=task["id"])

    def updates() -> list[Json]:
        return [body["statusUpdate"] for got in webhook.got if "statusUpdate" in (body := json.loads(got.body))]

    wait(lambda: any(state(update) == "COMPLETED" for update in updates()))
    for got in webhook.got:
        assert got.headers["authorization"] == "Bearer c"
        check_v1("StreamResponse", json.loads(got.body))


def test_the_card_is_pure_and_may_be_cached(running: Dev) -> None:
    answer = running.get(f"{PATH}/.well-known/agent-card.json")
    check_v1("AgentCard", answer.json())
    assert {"etag", "last-modified"} <= set(answer.headers)
    assert "max-age" in answer.headers["cache-control"]
    bindings = [each["protocolBinding"] for each in answer.json()["supportedInterfaces"]]
    assert sorted(bindings) == ["HTTP+JSON", "JSONRPC"]


STUB = """\
import json, sys, urllib.request
host = sys.argv[sys.argv.index("--sut-host") + 1]
card = json.load(urllib.request.urlopen(host + "/.well-known/agent-card.json"))
print("kit:", card["name"], sys.argv[3:])
sys.exit(3)
"""


def test_the_target_starts_the_agent_and_hands_on_arguments_and_outcome(tmp_path: Path) -> None:
    (tmp_path / "run_tck.py").write_text(STUB)
    own = tmp_path / ".venv" / "bin"
    own.mkdir(parents=True)
    (own / "python").symlink_to(sys.executable)
    done = make(str(tmp_path), "--level", "must")
    assert "kit: tck ['--level', 'must']" in done.stdout
    assert done.returncode == 3


@pytest.mark.parametrize("folder", ["", "/nowhere"])
def test_without_the_kit_the_target_says_how_to_get_it(folder: str) -> None:
    done = make(folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert "git clone" in done.stderr


def make(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Runs what `make tck` runs."""
    command = [sys.executable, "-m", "tests.conformance.run", *arguments]
    return subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=60)


@pytest.fixture
def webhook() -> Iterator[Container]:
    found = Container(lambda _: (204, {}, b""))
    yield found
    found.close()
