"""Finds where the processes of an agent listen, from /proc; on other systems than Linux this is not known.

Invariant: it only reads, and a process that ends meanwhile is ignored.
"""

import contextlib
import socket
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

from lambdaagent.dev.guard import family

_LISTEN = "0A"
_PROC = Path("/proc")


def listening(guard: int) -> list[str] | None:
    """Return `host:port` of every TCP socket on which a descendant of the process listens; None if it is not known."""
    if sys.platform != "linux":
        return None
    pids = family(guard)
    inodes = {inode for pid in pids for inode in _sockets(pid)}
    return sorted({address for pid in pids for inode, address in _addresses(pid) if inode in inodes})


def _sockets(pid: int) -> Iterable[str]:
    with contextlib.suppress(OSError):
        for descriptor in (_PROC / str(pid) / "fd").iterdir():
            with contextlib.suppress(OSError):
                kind, _, inode = str(descriptor.readlink()).partition(":[")
                if kind == "socket":
                    yield inode.rstrip("]")


def _addresses(pid: int) -> Iterable[tuple[str, str]]:
    """Yield inode and address of each listening socket in the process's network namespace."""
    for table, kind in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        with contextlib.suppress(OSError):
            for line in (_PROC / str(pid) / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                if len(fields) > 9 and fields[3] == _LISTEN:
                    yield fields[9], readable(fields[1], kind)


def readable(written: str, kind: socket.AddressFamily) -> str:
    """Return a readable address: `0100007F:1F90` is 127.0.0.1:8080. Each four-byte word is in the machine's order."""
    host, _, port = written.partition(":")
    raw = bytes.fromhex(host)
    words = struct.unpack(f"={len(raw) // 4}I", raw)
    name = socket.inet_ntop(kind, struct.pack(f"!{len(words)}I", *words))
    return f"[{name}]:{int(port, 16)}" if kind is socket.AF_INET6 else f"{name}:{int(port, 16)}"
