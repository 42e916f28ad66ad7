"""`guard.py PARENT COMMAND...`: becomes COMMAND, which the kernel kills when the process PARENT dies, however it dies.

The death signal survives exec, and is bound to the thread that started this process (see process.py). A preexec
function would do the same, but forking with one from a process with threads is a warning (an error in our tests) since
Python 3.12.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the signal was armed
        sys.exit(1)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
