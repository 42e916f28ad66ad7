"""Becomes COMMAND, which the kernel kills when the process PARENT ends in any way: `guard.py PARENT COMMAND...`.

The death signal survives exec and is bound to the thread that started this process (see process.py). A preexec function
would do the same, but since Python 3.12 a fork with one from a process with threads is a warning, and so an error in
the tests.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the signal was set
        sys.exit(1)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
