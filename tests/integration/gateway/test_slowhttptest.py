"""slowhttptest, a tool that others use to attack servers, against a gateway: slow heads, slow bodies, slow readers.

While its connections are open, a client gets its answers as before, and the gateway closes the connections in the time
that its limits say, before the tool would.
"""

import asyncio
import csv
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.parts import fetch
from tests.parts.gateway import World, message, world
from tests.parts.process import Process
from tests.parts.upstream import PlainAgent

from lambdaagent.gateway.http.bodies import Pace

TASKS = "/agents/shop/echo/api/a2a/tasks?includeArtifacts=true"
SKILL = "/agents/shop/echo/api/a2a/skills/say"
CONNECTIONS = 40
SECONDS = 6  # that the tool would go on
# A loop busy with 40 lists may find a connection idle for 2 s in the moment in which the client uses it again.
OWN_CONNECTION = {"Connection": "close"}
WAYS = {
    "slow heads": ("GET", SKILL, ["-H", "-i", "1", "-x", "4"]),
    "slow bodies": ("POST", SKILL, ["-B", "-i", "1", "-x", "4", "-s", "8192"]),
    "slow readers": ("GET", TASKS, ["-X", "-n", "1", "-z", "5", "-w", "512", "-y", "1024", "-k", "1"]),
}


@pytest.fixture
async def limited(container: PlainAgent) -> AsyncIterator[World]:
    """A gateway with limits of one or two seconds in place of a minute."""
    async with world(idle=2.0, pace=Pace(patience=2.0, rate=1_000), stalled=1.0) as made:
        made.agent(url=container.url)
        for _ in range(4):  # a list of 8 MiB, which no buffer of the kernel takes at once
            await made.rpc("SendMessage", {"message": message("x" * 1_000_000)})
        yield made


@pytest.mark.parametrize("way", WAYS)
async def test_slow_clients_of_the_tool_are_disconnected_and_others_served(
    limited: World, tmp_path: Path, way: str
) -> None:
    verb, path, mode = WAYS[way]
    args = [str(fetch.program_part("slowhttptest")), *mode, "-c", str(CONNECTIONS), "-r", str(CONNECTIONS)]
    args += ["-t", verb, "-u", limited.url + path, "-l", str(SECONDS), "-p", "3", "-g", "-o", str(tmp_path / "found")]
    tool = Process("slowhttptest", args, folder=tmp_path)
    statuses: Counter[int] = Counter()
    try:
        with capture_logs() as lines:
            async with asyncio.timeout(SECONDS + 20):
                while tool.running:
                    answer = await limited.request("POST", SKILL, data=b"{}", headers=OWN_CONNECTION)
                    statuses[answer.status] += 1
                    await asyncio.sleep(0.02)
    finally:
        tool.stop()
    assert list(statuses) == [200]
    assert statuses[200] > 10
    rows = list(csv.DictReader((tmp_path / "found.csv").read_text().splitlines()))
    print(f"\n{way}: {max(int(row['Connected']) for row in rows)} connections, {statuses[200]} good answers meanwhile")
    assert max(int(row["Connected"]) for row in rows) > CONNECTIONS / 2, "the tool did not attack"
    assert all(int(row["Service Available"]) for row in rows), "the tool found the gateway to be down"
    if way == "slow readers":  # the tool does not notice, as it has bytes left to read
        assert len([line for line in lines if line["event"] == "connection.stalled"]) == CONNECTIONS
    else:
        assert "No open connections left" in tool.log_tail(), "connections stayed open"
