"""Content codings (RFC 9110 8.4): a body that is read here is decoded, in slices and never beyond a limit.

A small body may decode to a very large one. So each coding yields at most one slice at a time, every stage of stacked
codings is limited, and `decoded` lets the event loop run between slices. gzip and deflate are decoded; brotli and zstd
are not, because no library for them is installed.
"""

import asyncio
import re
import time
import zlib
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator

TAKEN = "gzip, deflate"
# For requests whose response is read here. Both codings would be decoded, but a container near the gateway gains
# nothing from them, and one that compresses a stream delays it.
ACCEPT_ENCODING = ("accept-encoding", "identity")
_GZIP = frozenset(("gzip", "x-gzip"))
_DEPTH = 4  # codings on one body
_MEMBERS = 10_000  # of one gzip body with a limit
_SLICE = 64 * 1024
_BUSY = 0.01  # seconds of decoding after which other tasks run
_NAME = re.compile(r"[a-z0-9-]{1,32}")


class CodingError(ValueError):
    """A body that cannot be decoded."""


class UnknownCodingError(CodingError):
    """The body has a coding that is not supported."""


class BrokenCodingError(CodingError):
    """The body's bytes do not match its coding."""


class TooLongError(Exception):
    """The decoded body exceeds the limit."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the decoded body is over the limit of {limit} bytes")
        self.limit = limit


def listed(values: Iterable[str]) -> tuple[str, ...]:
    """Return the codings of one body, in the order in which they were applied, without `identity`.

    `values` are those of every Content-Encoding header. Raises UnknownCodingError.
    """
    names = [name.strip().lower() for value in values for name in value.split(",")]
    found = tuple("gzip" if name in _GZIP else name for name in names if name not in ("", "identity"))
    for name in found:
        if name not in ("gzip", "deflate"):
            shown = repr(name) if _NAME.fullmatch(name) else "that it names"
            raise UnknownCodingError(f"the content coding {shown} is not supported; use one of {TAKEN}, identity")
    if len(found) > _DEPTH:
        raise UnknownCodingError(f"{len(found)} content codings are stacked; at most {_DEPTH} are supported")
    return found


def room(limit: int) -> int:
    """Return the limit in bytes of a coded body that decodes to at most `limit`: incompressible data grows."""
    return limit + limit // 64 + 1024


class ContentDecoder:
    """Decodes a body piece by piece; slices may be empty. Without a limit, the body may be endless."""

    def __init__(self, codings: Iterable[str], *, limit: int | None = None) -> None:
        self._stages = [_Stage(name, limit=None if limit is None else room(limit)) for name in reversed([*codings])]
        self._limit = limit
        self._size = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield decoded slices. Raises BrokenCodingError, TooLongError."""
        for at in range(0, len(data), _SLICE):
            yield from self._through(0, data[at : at + _SLICE])

    def end(self) -> None:
        """Raises BrokenCodingError if the body was cut."""
        for stage in self._stages:
            stage.end()

    def _through(self, index: int, data: bytes) -> Iterator[bytes]:
        if index < len(self._stages):
            for piece in self._stages[index].feed(data):
                yield from self._through(index + 1, piece)
            return
        self._size += len(data)
        if self._limit is not None and self._size > self._limit:
            raise TooLongError(self._limit)
        yield data


class _Stage:
    """One coding. A gzip body may have several members (RFC 1952 2.2); deflate may have a zlib frame or not."""

    def __init__(self, name: str, *, limit: int | None) -> None:
        self._name = name
        self._limit = limit
        self._size = 0
        self._start = b""  # of a deflate body, until its form is known
        self._work = zlib.decompressobj(31) if name == "gzip" else None
        self._begun = False
        self._members = 1

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._work is None:
            self._start += data
            if len(self._start) < 2:
                self._begun = self._begun or bool(data)
                return
            framed = self._start[0] & 0x0F == 8 and int.from_bytes(self._start[:2]) % 31 == 0
            self._work = zlib.decompressobj(15 if framed else -15)
            data, self._start = self._start, b""
        more = False  # After a full slice the decompressor may hold output that needs no further input.
        while data or more:
            if self._work.eof:
                self._next()
            self._begun = True
            try:
                piece = self._work.decompress(data, _SLICE)
            except zlib.error:
                raise BrokenCodingError(f"it is not {self._name}, the coding that its Content-Encoding names") from None
            data = self._work.unused_data if self._work.eof else self._work.unconsumed_tail
            more = len(piece) == _SLICE and not self._work.eof
            self._size += len(piece)
            if self._limit is not None and self._size > self._limit:
                raise TooLongError(self._limit)
            yield piece

    def _next(self) -> None:
        """Begin another member of a gzip body. They are limited too, because empty ones cost time and add no bytes."""
        self._members += 1
        if self._name != "gzip":
            raise BrokenCodingError(f"bytes follow the end of its {self._name} stream")
        if self._limit is not None and self._members > _MEMBERS:
            raise BrokenCodingError(f"its gzip stream has more than {_MEMBERS} members")
        self._work = zlib.decompressobj(31)

    def end(self) -> None:
        if self._begun and (self._work is None or not self._work.eof):
            raise BrokenCodingError(f"its {self._name} stream ends too early")


async def decoded(chunks: AsyncIterable[bytes], codings: Iterable[str], *, limit: int | None) -> AsyncIterator[bytes]:
    """Yield the decoded body. Raises BrokenCodingError, TooLongError."""
    decoder = ContentDecoder(codings, limit=limit)
    async for chunk in chunks:
        since = time.perf_counter()
        for piece in decoder.feed(chunk):
            if piece:
                yield piece
            if time.perf_counter() - since > _BUSY:
                await asyncio.sleep(0)
                since = time.perf_counter()
    decoder.end()
