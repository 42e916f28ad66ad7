"""`lambdaagent mcp` with the official SDK's stdio client in both eras, in front of a running `lambdaagent dev`."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.shared.exceptions import MCPError
from tests.parts.dev import Dev, dev
from tests.parts.polling import wait

from lambdaagent.identity import api_keys

ERAS = ["legacy", "2026-07-28", "auto"]
KEY = api_keys.create("root")
WHERE = {
    "id": "where",
    "name": "Where",
    "inputSchema": {"type": "object", "properties": {"text": {"type": "string", "x-mcp-header": "Text"}}},
}
COMMAND = [sys.executable, "-m", "lambdaagent", "mcp"]
AGENT = """
import json, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import os
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        text = body.get("text", "")
        if text == "slow":
            time.sleep(30)
        answer = json.dumps({"you_said": text}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
    def do_GET(self):
        self.do_POST()
    def log_message(self, *_):
        pass
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    folder = tmp_path_factory.mktemp("stdio")
    agents = folder / "agents"
    agents.mkdir()
    (agents / "server.py").write_text(AGENT)
    document = {
        "apiVersion": "lambda.knative.io/v1alpha1",
        "kind": "LambdaAgent",
        "metadata": {"name": "echo"},
        "spec": {
            "image": {"repository": "example.com/echo"},
            "a2a": {"enabled": True, "skills": [{"id": "say", "name": "Say", "tags": ["repeat"]}, WHERE]},
        },
    }
    (agents / "echo.yaml").write_text(yaml.safe_dump(document))
    file = {
        "apiKeys": [{"id": "root", "sha256": api_keys.hash_of(KEY)}],
        "admins": ["key:root"],
        "audit": {"sink": "none"},
    }
    (folder / "access.yaml").write_text(yaml.safe_dump(file))
    environment = {"LAMBDAAGENT_ACCESS": "enforce", "LAMBDAAGENT_ACCESS_FILE": str(folder / "access.yaml")}
    command = f"default/echo={sys.executable} {agents / 'server.py'}"
    with dev(agents, "--command", command, data=folder / "data", environment=environment) as found:
        yield found


@asynccontextmanager
async def host(running: Dev, era: str, *args: str, token: str = KEY) -> AsyncIterator[Client]:
    arguments = [*COMMAND[1:], "--url", running.url, *args]
    server = StdioServerParameters(command=COMMAND[0], args=arguments, env={"LAMBDAAGENT_TOKEN": token})
    async with Client(stdio_client(server), mode=era) as found:
        yield found


def text(result: Any) -> str:
    assert not result.is_error, result
    return str(result.content[0].text)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    ("args", "name"),
    [((), "default__echo__say"), (("-n", "default"), "echo__say"), (("--agent", "default/echo"), "say")],
)
async def test_a_host_lists_and_calls_tools(running: Dev, era: str, args: tuple[str, ...], name: str) -> None:
    async with host(running, era, *args) as found:
        assert name in [each.name for each in (await found.list_tools()).tools]
        assert json.loads(text(await found.call_tool(name, {"text": "hello"}))) == {"you_said": "hello"}


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("lists", [True, False])
async def test_arguments_that_a_tool_wants_as_headers_become_headers(running: Dev, era: str, lists: bool) -> None:
    """A host over stdio knows of no headers; without them, the gateway refuses the call."""
    async with host(running, era) as found:
        if lists:
            await found.list_tools()
        result = await found.session.call_tool("default__echo__where", {"text": "in Zürich"})
        assert json.loads(text(result)) == {"you_said": "in Zürich"}


@pytest.mark.parametrize("era", ERAS)
async def test_requests_run_at_the_same_time(running: Dev, era: str) -> None:
    async with host(running, era) as found:
        slow = asyncio.create_task(found.call_tool("default__echo__say", {"text": "slow"}))
        await asyncio.sleep(1)  # by now the answer is a stream
        for number in range(3):
            result = await asyncio.wait_for(found.call_tool("default__echo__say", {"text": str(number)}), 10)
            assert json.loads(text(result)) == {"you_said": str(number)}
        assert not slow.done()
        slow.cancel()


async def test_a_cancelled_call_cancels_its_task(running: Dev) -> None:
    async with host(running, "2026-07-28") as found:
        call = asyncio.create_task(found.call_tool("default__echo__say", {"text": "slow"}))
        headers = {"Authorization": f"Bearer {KEY}", "A2A-Version": "1.0"}

        async def states() -> list[str]:
            answer = await asyncio.to_thread(
                running.get, "/agents/default/echo/api/a2a/tasks", params={"pageSize": 1}, headers=headers
            )
            return [each["status"]["state"] for each in answer.json()["tasks"]]

        async def become(state: str) -> None:
            until = time.monotonic() + 10
            while await states() != [state]:
                assert time.monotonic() < until
                await asyncio.sleep(0.1)

        await asyncio.sleep(0.5)
        await become("TASK_STATE_WORKING")
        call.cancel()
        await become("TASK_STATE_CANCELED")


@pytest.mark.parametrize("era", ["legacy", "2026-07-28"])
async def test_without_a_credential_the_error_names_the_remedy(running: Dev, era: str) -> None:
    with pytest.raises((MCPError, ExceptionGroup)) as caught:
        async with host(running, era, token="") as found:
            await found.list_tools()
    assert "LAMBDAAGENT_TOKEN" in repr(caught.value) + str(getattr(caught.value, "exceptions", ""))


async def test_the_token_file_is_read_again(running: Dev, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("wrong")
    async with host(running, "2026-07-28", "--token-file", str(file), token="") as found:
        with pytest.raises(MCPError, match="401"):
            await found.list_tools()
        file.write_text(KEY)
        assert (await found.list_tools()).tools


def relay(*lines: object, url: str, within: float = 20) -> list[Any]:
    """Returns the messages on standard output for these lines, which are JSON unless they are bytes."""
    given = b"\n".join(each if isinstance(each, bytes) else json.dumps(each).encode() for each in lines)
    done = subprocess.run(
        [*COMMAND, "--url", url], input=given, capture_output=True, timeout=within, env={"LAMBDAAGENT_TOKEN": KEY}
    )
    assert (done.returncode, done.stderr) == (0, b"")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_what_is_no_message_gets_an_error_and_the_rest_goes_on(running: Dev) -> None:
    ping = {"jsonrpc": "2.0", "id": 7, "method": "ping"}
    found = relay(b"{", [], b"", b"x" * 17_000_000, {"jsonrpc": "2.0"}, ping, url=running.url)
    assert [each["error"]["code"] for each in found if "error" in each] == [-32700, -32600, -32700]
    assert [each["id"] for each in found if "result" in each] == [7]


def test_a_gateway_that_is_not_there_is_an_error_of_each_request() -> None:
    (found,) = relay({"jsonrpc": "2.0", "id": "a", "method": "ping"}, url="http://127.0.0.1:1")
    assert found["id"] == "a"
    assert "check --url" in found["error"]["message"]


def test_many_requests_at_once_are_refused_and_not_kept(running: Dev) -> None:
    call = {"method": "tools/call", "params": {"name": "default__echo__say", "arguments": {"text": "slow"}}}
    found = relay(*({"jsonrpc": "2.0", "id": number, **call} for number in range(70)), url=running.url)
    assert len([each for each in found if "64 requests are open" in each["error"]["message"]]) == 6


def test_it_ends_when_it_is_told_to() -> None:
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        time.sleep(2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_although_nobody_reads_what_it_writes(number: signal.Signals) -> None:
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        fd = process.stdin.fileno()
        os.set_blocking(fd, False)
        until = time.monotonic() + 3
        while time.monotonic() < until:  # it stops to read when its output is full
            with suppress(BlockingIOError):
                os.write(fd, b"garbage\n" * 1_000)
            time.sleep(0.01)
        process.send_signal(number)
        assert process.wait(10) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""


@pytest.mark.parametrize("id_", [1.5, None, True, [], 2**70])
def test_a_request_with_an_odd_id_gets_an_error(running: Dev, id_: Any) -> None:
    (found,) = relay({"jsonrpc": "2.0", "id": id_, "method": "ping"}, url=running.url)
    assert (found["id"], found["error"]["code"]) == (None, -32600)


def test_notifications_open_a_limited_number_of_connections() -> None:
    server, accepted = socket.create_server(("127.0.0.1", 0), backlog=1_000), []

    def accept() -> None:
        with suppress(OSError):
            while True:
                accepted.append(server.accept()[0])  # and no answer

    threading.Thread(target=accept, daemon=True).start()
    with (
        server,
        subprocess.Popen(
            [*COMMAND, "--url", f"http://127.0.0.1:{server.getsockname()[1]}"], stdin=subprocess.PIPE
        ) as process,
    ):
        assert process.stdin is not None
        process.stdin.write(b'{"jsonrpc": "2.0", "method": "notifications/x"}\n' * 500)
        process.stdin.flush()
        wait(lambda: accepted)
        time.sleep(3)
        process.terminate()
        assert process.wait(30) == 0
    for each in accepted:
        each.close()
    assert 0 < len(accepted) <= 64


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (["--url", "ftp://x"], "no http or https URL"),
        (["--url", "http://x/mcp", "-n", "shop"], "names the endpoint already"),
        (["-n", "shop", "--agent", "shop/echo"], "either --namespace or --agent"),
        (["--agent", "echo"], "as NAMESPACE/NAME"),
        (["-n", "../x"], "no name of a namespace"),
        (["--token-file", "/nowhere"], "cannot be read"),
    ],
)
def test_wrong_usage_is_told(args: list[str], why: str) -> None:
    done = subprocess.run([*COMMAND, *args], input=b"", capture_output=True, timeout=20)
    assert (done.returncode, done.stdout) == (2, b"")
    assert why in done.stderr.decode()
