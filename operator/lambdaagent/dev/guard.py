"""Runs one agent's command and ends all its processes when `dev` ends: `guard.py COMMAND...`.

dev holds the write end of this process's standard input and never writes to it. When that end closes, for whatever
reason dev ended (kill -9 included), all descendants get SIGTERM and, after the grace time, SIGKILL. As a subreaper the
guard inherits orphans, so a command that forks away is found too. It runs isolated and on the standard library alone,
because it starts once per agent and must start fast.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

GRACE_SECONDS = 5.0
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_LINUX = sys.platform == "linux"


def _prctl(option: int, argument: int) -> None:
    if _LINUX:
        ctypes.CDLL(None).prctl(option, argument, 0, 0, 0)


def family(root: int) -> list[int]:
    """Return every process that descends from this one, from /proc."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # The command's name is in parentheses and may contain any character, including spaces.
            fields = (folder / "stat").read_bytes().rpartition(b")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(folder.name))
    found, waiting = [], [root]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


def _descendants(child: int) -> list[int]:
    """Return the descendants of this process; without /proc, the process group of the child in their place."""
    return family(os.getpid()) if _LINUX else [-child]


def _end_all(child: subprocess.Popen[bytes]) -> None:
    deadline, number = time.monotonic() + GRACE_SECONDS, signal.SIGTERM
    signalled: set[int] = set()
    while targets := _descendants(child.pid):
        for pid in targets:
            if pid not in signalled or number == signal.SIGKILL:
                signalled.add(pid)
                try:
                    os.kill(pid, number)
                except (ProcessLookupError, PermissionError):
                    return
        time.sleep(0.02)
        child.poll()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if time.monotonic() > deadline:
            number = signal.SIGKILL


def _asked_to_stop(child: subprocess.Popen[bytes], ended: int) -> bool:
    """Return True when dev has ended or closed the pipe, False when the agent has ended on its own."""
    while True:
        ready, _, _ = select.select([0, ended], [], [])
        if 0 in ready and not os.read(0, 1):
            return True
        if ended in ready:
            os.read(ended, 4096)
        if child.poll() is not None:
            return False


def main() -> int:
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    # A terminal's Ctrl-C reaches the whole process group, but dev decides when its agents end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    try:
        child = subprocess.Popen(
            sys.argv[1:],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            # If this guard itself is killed, at least the agent's first process ends with it.
            preexec_fn=lambda: _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),
        )
    except OSError as error:
        sys.stderr.write(f"cannot start {sys.argv[1]}: {error.strerror}\n")
        return 127
    asked = _asked_to_stop(child, ended)
    _end_all(child)
    code = child.returncode
    return 0 if asked or code is None else (code if code >= 0 else 128 - code)


if __name__ == "__main__":
    sys.exit(main())
