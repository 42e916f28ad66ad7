"""`python -m benchmarks.gateway_mcp`: the gateway's MCP endpoint against the official SDK's server, in one run.

Calls of a tool in both eras, against the SDK's server that answers in its own process, and against one whose tool calls
the same agent; what such a call adds to the direct call of the same skill; the list of 500 tools; and the memory of a
host that listens.
docs/benchmarks.md says how to read it. Nothing is asserted.
"""

import argparse
import asyncio
import http.client
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import uvloop

from benchmarks import gateway_parts as parts
from benchmarks.gateway import SKILL
from benchmarks.gateway_streams import resident

VERSION = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": VERSION,
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
ACCEPTS = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
TEXT = json.loads(parts.DIRECT)
TOOLS = 500
HOSTS = 1_000


@dataclass(frozen=True, slots=True)
class Request:
    body: str
    headers: Mapping[str, str]


def request(method: str, params: Mapping[str, object], *, modern: bool, name: str = "") -> Request:
    headers = {**ACCEPTS, "MCP-Protocol-Version": VERSION if modern else "2025-11-25"}
    if modern:
        params = {**params, "_meta": META}
        headers |= {"Mcp-Method": method} | ({"Mcp-Name": name} if name else {})
    return Request(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}), headers)


def call(name: str, *, modern: bool) -> Request:
    return request("tools/call", {"name": name, "arguments": TEXT}, modern=modern, name=name)


def post(connection: http.client.HTTPConnection, path: str, asked: Request) -> object:
    connection.request("POST", path, asked.body, dict(asked.headers))
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise SystemExit(f"{path}: {answer.status} {body[:300]!r}")
    found = json.loads(body)
    if "result" not in found or found["result"].get("isError"):
        raise SystemExit(f"{path}: {body[:300]!r}")
    return found["result"]


def connect(server: parts.Server) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=30)


@contextmanager
def servers(tools: int) -> Iterator[tuple[parts.Server, parts.Server, parts.Server]]:
    """The SDK's server that answers itself, the one that calls the agent, and the gateway."""
    with ExitStack() as stack:
        agent = stack.enter_context(parts.upstream())
        sdk = stack.enter_context(parts.python("benchmarks.gateway_mcp_sdk", str(tools)))
        calling = stack.enter_context(parts.python("benchmarks.gateway_mcp_sdk", str(tools), agent))
        gateway = stack.enter_context(parts.python("benchmarks.gateway_server", agent, "memory", str(tools)))
        yield sdk, calling, gateway


Run = Callable[[], parts.Load]


def interleaved(runs: Mapping[str, Run], *, rounds: int) -> dict[str, parts.Load]:
    """The medians of each; alternating, so that what else the machine does hits all of them."""
    seen: dict[str, list[parts.Load]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            seen[name].append(run())
    return {
        name: parts.Load(
            statistics.median(load.per_second for load in loads),
            statistics.median(load.per_cpu_second for load in loads),
            sum(load.errors for load in loads),
            statistics.median(load.p50 for load in loads),
            statistics.median(load.p99 for load in loads),
        )
        for name, loads in seen.items()
    }


def calls(*, rounds: int, seconds: int, connections: int) -> None:
    with servers(1) as (sdk, calling, gateway):

        def load(server: parts.Server, path: str, asked: Request, most: int = connections) -> Run:
            post(connect(server), path, asked)  # what is measured must be what is meant
            return lambda: parts.wrk(
                server, path, body=asked.body, connections=most, seconds=seconds, headers=asked.headers
            )

        def direct(most: int) -> Run:
            path = SKILL.format(0)
            return lambda: parts.wrk(gateway, path, body=parts.DIRECT, connections=most, seconds=seconds)

        modern, legacy = call("a0__say", modern=True), call("a0__say", modern=False)
        found = interleaved(
            {
                "SDK, 2026-07-28": load(sdk, "/mcp", modern),
                "gateway, 2026-07-28": load(gateway, "/mcp/bench", modern),
                "SDK calls it, 2026-07-28": load(calling, "/mcp", modern),
                "SDK, 2025-11-25": load(sdk, "/mcp", legacy),
                "SDK calls it, 2025-11-25": load(calling, "/mcp", legacy),
                "gateway, 2025-11-25": load(gateway, "/mcp/bench", legacy),
                "gateway, direct": direct(connections),
                "alone: gateway, 2026-07-28": load(gateway, "/mcp/bench", modern, 1),
                "alone: gateway, direct": direct(1),
            },
            rounds=rounds,
        )
    print(f"\ntools/call, {connections} connections (alone: 1)")
    for name, one in found.items():
        base = found["SDK, 2025-11-25" if "2025" in name else "SDK, 2026-07-28"]
        print(
            f"  {name:28} {one.per_second:7.0f} /s {one.per_second / base.per_second:5.2f} of the SDK"
            f"   p50 {one.p50:6.2f} p99 {one.p99:6.2f} ms   {one.per_cpu_second:7.0f} per CPU second"
            + (f"   {one.errors} errors" if one.errors else "")
        )
    added = 1e6 / found["gateway, 2026-07-28"].per_cpu_second - 1e6 / found["gateway, direct"].per_cpu_second
    alone = found["alone: gateway, 2026-07-28"].p50 - found["alone: gateway, direct"].p50
    print(f"  a call adds to the direct call: {added:.0f} us of processor time, {alone * 1000:.0f} us of latency alone")
    print("  aim: 3 times the SDK")


def lists(*, runs: int) -> None:
    with servers(TOOLS) as (sdk, _, gateway):
        print(f"\ntools/list with {TOOLS} tools, one connection, {runs} times")
        for name, server, path in (("SDK, one page", sdk, "/mcp"), ("gateway, all pages", gateway, "/mcp/bench")):
            connection, whole, pages = connect(server), list[float](), list[float]()
            for _ in range(runs):
                begun, cursor, number = time.perf_counter(), None, 0
                while cursor is not None or number == 0:
                    params = {"cursor": cursor} if cursor is not None else {}
                    at = time.perf_counter()
                    found = post(connection, path, request("tools/list", params, modern=True))
                    pages.append(time.perf_counter() - at)
                    assert isinstance(found, dict)
                    number += len(found["tools"])
                    cursor = found.get("nextCursor")
                assert number >= TOOLS
                whole.append(time.perf_counter() - begun)
            for what, seconds in (("all", whole), ("a page", pages)):
                p50, p99 = (parts.quantile(seconds, at) * 1000 for at in (0.5, 0.99))
                print(f"  {name:20} {what:7} p50 {p50:6.2f} p99 {p99:6.2f} ms")
        print("  aim: p99 under 20 ms")


async def _listening(gateway: parts.Server, hosts: int) -> tuple[float, float]:
    """Return the bytes of the gateway's memory for each host, and the share of its core while all listen."""
    asked = request("subscriptions/listen", {"notifications": {"toolsListChanged": True}}, modern=True)
    host, _, port = gateway.url.removeprefix("http://").partition(":")
    head = "".join(f"{name}: {value}\r\n" for name, value in asked.headers.items())
    sent = f"POST /mcp/bench HTTP/1.1\r\nHost: x\r\n{head}Content-Length: {len(asked.body)}\r\n\r\n{asked.body}"
    before, writers = resident(gateway.pid), []
    for _ in range(hosts):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(sent.encode())
        while b"acknowledged" not in (line := await reader.readline()):
            if not line:
                raise SystemExit("the subscription ended")
        writers.append(writer)
    each = (resident(gateway.pid) - before) / hosts
    used, begun = gateway.cpu(), time.perf_counter()
    await asyncio.sleep(20)  # with a ping each
    share = (gateway.cpu() - used) / (time.perf_counter() - begun)
    for writer in writers:
        writer.close()
    return each, share


def listening() -> None:
    with ExitStack() as stack:
        agent = stack.enter_context(parts.upstream())
        gateway = stack.enter_context(parts.python("benchmarks.gateway_server", agent, "memory", "10"))
        uvloop.run(_listening(gateway, 20))
        each, share = uvloop.run(_listening(gateway, HOSTS))
    print(f"\nsubscriptions/listen, {HOSTS} hosts: {each / 1024:.0f} KiB a host, {share:.1%} of a core")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway_mcp")
    parser.add_argument("--only", choices=["calls", "lists", "listening"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--connections", type=int, default=16)
    asked = parser.parse_args()
    parts.require_tools()
    if asked.only in (None, "calls"):
        calls(rounds=asked.rounds, seconds=asked.seconds, connections=asked.connections)
    if asked.only in (None, "lists"):
        lists(runs=200)
    if asked.only in (None, "listening"):
        listening()


if __name__ == "__main__":
    main()
