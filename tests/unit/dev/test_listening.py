"""An agent that listens on a wrong port: one log line says where it listens."""

import socket
import subprocess
import sys
from collections.abc import Sequence

import pytest
import structlog

from lambdaagent.dev import ports
from lambdaagent.dev.listening import PATIENCE_SECONDS, problem, until_listening

LISTEN = """\
import socket, sys
taken = []
for host in sys.argv[1:]:
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    s = socket.socket(family); s.bind((host, 0)); s.listen(); taken.append(s)
print(*[s.getsockname()[1] for s in taken], flush=True)
sys.stdin.read()
"""


class Clock:
    """A clock that advances by each sleep."""

    def __init__(self) -> None:
        self.now = 0.0

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


async def watch(*, up_after: float, found: Sequence[str] | None) -> list[structlog.typing.EventDict]:
    clock = Clock()
    asked: list[int] = []

    async def connects(port: int) -> bool:
        assert port == 4711
        return clock.now >= up_after

    def listeners(process: int) -> Sequence[str] | None:
        asked.append(process)
        return found

    with structlog.testing.capture_logs() as said:
        await until_listening(
            4711,
            process=42,
            agent="n/a",
            sleep=clock.sleep,
            monotonic=lambda: clock.now,
            connects=connects,
            listeners=listeners,
        )
    assert asked == [42] * len(said)
    return [line for line in said if line["event"] == "agent.listen_failed"]


@pytest.mark.parametrize("up_after", [0.0, 1.0, PATIENCE_SECONDS - 0.1])
async def test_an_agent_that_comes_up_in_time_is_not_spoken_of(up_after: float) -> None:
    assert await watch(up_after=up_after, found=["0.0.0.0:8080"]) == []


@pytest.mark.holds_the_loop("an hour passes without a sleep")
@pytest.mark.parametrize("up_after", [PATIENCE_SECONDS + 0.2, 3600.0])
async def test_a_late_one_is_said_once_with_what_it_listens_on(up_after: float) -> None:
    [line] = await watch(up_after=up_after, found=["0.0.0.0:8080", "[::1]:9"])
    assert line["agent"] == "n/a"
    assert "4711" in line["error"]
    assert "it listens on 0.0.0.0:8080, [::1]:9" in line["error"]
    assert "$(PORT)" in line["next_step"]


@pytest.mark.parametrize(("found", "says"), [([], "on no port yet"), (None, "after 5 s")])
def test_what_cannot_be_told_is_not_claimed(found: Sequence[str] | None, says: str) -> None:
    assert problem(1, found).endswith(says)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_sockets_of_a_real_process_and_of_its_children_are_found() -> None:
    hosts = ["127.0.0.1", "0.0.0.0", *(["::1"] if _has_ipv6() else [])]
    # A child of a child, as an agent is of its guard.
    command = [sys.executable, "-c", "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"]
    process = subprocess.Popen(
        [*command, sys.executable, "-c", LISTEN, *hosts], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    taken = process.stdout.readline().split()
    expected = {
        f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in zip(hosts, taken, strict=True)
    }
    assert set(ports.listening(process.pid) or []) == expected
    process.communicate("")
    assert ports.listening(process.pid) == []


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
