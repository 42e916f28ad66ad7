"""Fetches or builds every real part that the tests start: `python -m tests.parts.fetch`.

`make test` calls it before pytest, so that the minutes of a first build show as progress and not as a test that hangs.
The fixtures call the same functions, so a run without it works too.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.parts import gobuild, mcp_suite, packages, places

GO_PARTS = tuple(gobuild.COMMANDS)


def go_part(name: str) -> Path:
    found = places.find(name)
    if found is None:
        command = gobuild.COMMANDS[name]
        say(f"{name}: building {command.version} from its Go module (minutes the first time, cached afterwards)")
        found = _timed(name, lambda: gobuild.build(command))
    return found


def rabbitmq_part() -> Path:
    found = packages.rabbitmq_server()
    if found is None:
        say("rabbitmq-server: installing the package")
        found = _timed("rabbitmq-server", packages.install_rabbitmq)
    return found


def postgres_part() -> Path:
    """Returns the folder of PostgreSQL's programs."""
    found = packages.postgres_tools()
    if found is None:
        say("postgresql: installing the package")
        found = _timed("postgresql", packages.install_postgres)
    return found


def mcp_suite_part() -> mcp_suite.Suite:
    found = mcp_suite.find()
    if found is None:
        say("the MCP conformance suite: installing it and its Node.js from npm")
        start = time.monotonic()
        found = mcp_suite.install()
        say(f"the MCP conformance suite: there after {time.monotonic() - start:.0f} s")
    return found


PROGRAMS = {"nginx": "nginx-light", "slowhttptest": "slowhttptest"}
"""The programs that are parts by themselves, with their packages."""


def program_part(name: str) -> Path:
    found = packages.program(name)
    if found is None:
        say(f"{name}: installing the package {PROGRAMS[name]}")
        found = _timed(name, lambda: packages.install_program(name, PROGRAMS[name]))
    return found


def say(text: str) -> None:
    print(f"parts: {text}", file=sys.stderr, flush=True)


def _timed(name: str, get: Callable[[], Path]) -> Path:
    start = time.monotonic()
    path = get()
    say(f"{name}: there after {time.monotonic() - start:.0f} s")
    return path


def main() -> int:
    try:
        for name in GO_PARTS:
            say(f"{name}: {go_part(name)}")
        if os.environ.get("AMQP_URL"):
            say("rabbitmq: the one that AMQP_URL names")
        else:
            say(f"rabbitmq-server: {rabbitmq_part()}")
        say(f"postgresql: {postgres_part()}")
        say(f"the MCP conformance suite: {mcp_suite_part().root}")
        for name in PROGRAMS:
            say(f"{name}: {program_part(name)}")
    except places.PartMissingError as missing:
        say(str(missing))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
