"""Where the processes of an agent listen, out of /proc. Elsewhere than on Linux nobody can say.

Invariant: it only reads, and a process that ends meanwhile is as if it had never been.
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
    """`host:port` of every TCP socket that a descendant of this process listens on; None: it cannot be told here."""
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
    """Inode and address of what listens in the process's network namespace."""
    for table, kind in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        with contextlib.suppress(OSError):
            for line in (_PROC / str(pid) / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                if len(fields) > 9 and fields[3] == _LISTEN:
                    yield fields[9], readable(fields[1], kind)


def readable(written: str, kind: socket.AddressFamily) -> str:
    """`0100007F:1F90` is 127.0.0.1:8080: words of four bytes, each in the machine's own order."""
    host, _, port = written.partition(":")
    raw = bytes.fromhex(host)
    words = struct.unpack(f"={len(raw) // 4}I", raw)
    name = socket.inet_ntop(kind, struct.pack(f"!{len(words)}I", *words))
    return f"[{name}]:{int(port, 16)}" if kind is socket.AF_INET6 else f"{name}:{int(port, 16)}"
