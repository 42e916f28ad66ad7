"""Content codings: every body comes back as it was, none becomes longer than its reader takes, none holds the loop."""

import asyncio
import gzip
import os
import time
import zlib
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdaagent.httpclient import codings

Encode = Callable[[bytes], bytes]


def raw_deflate(body: bytes) -> bytes:
    work = zlib.compressobj(wbits=-15)
    return work.compress(body) + work.flush()


def members(body: bytes) -> bytes:
    """Returns gzip with several members, one of them empty, as appending to a file makes it."""
    half = len(body) // 2
    return gzip.compress(body[:half]) + gzip.compress(b"") + gzip.compress(body[half:])


ENCODERS: dict[str, tuple[str, Encode]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-GZip", gzip.compress),
    "members": ("gzip", members),
    "deflate": ("deflate", zlib.compress),
    "deflate without a frame": ("Deflate", raw_deflate),
    "identity": ("identity", lambda body: body),
}


def decode(body: bytes, *labels: str, limit: int | None = 10_000_000, pieces: int = 1 << 20) -> bytes:
    decoder = codings.ContentDecoder(codings.listed(labels), limit=limit)
    found = [piece for at in range(0, len(body), pieces) for piece in decoder.feed(body[at : at + pieces])]
    decoder.end()
    assert all(len(piece) <= 64 * 1024 for piece in found)
    return b"".join(found)


@given(
    body=st.one_of(
        st.binary(max_size=2_000), st.integers(0, 300_000).map(bytes), st.binary(max_size=9).map(lambda b: b * 9_999)
    ),
    names=st.lists(st.sampled_from(sorted(ENCODERS)), max_size=4),
    pieces=st.sampled_from([1, 2, 3, 1_000, 1 << 20]),
)
def test_what_was_coded_comes_back_however_it_was_cut(body: bytes, names: list[str], pieces: int) -> None:
    coded = body
    for name in names:
        coded = ENCODERS[name][1](coded)
    pieces = max(pieces, len(coded) // 2_000)
    assert decode(coded, ", ".join(ENCODERS[name][0] for name in names), pieces=pieces) == body
    assert decode(coded, *(ENCODERS[name][0] for name in names), limit=len(body), pieces=pieces) == body


@given(body=st.binary(min_size=1, max_size=500), name=st.sampled_from(["gzip", "members", "deflate"]), data=st.data())
def test_a_body_that_was_cut_is_never_taken_for_whole(body: bytes, name: str, data: st.DataObject) -> None:
    label, encode = ENCODERS[name]
    coded = encode(body)
    kept = data.draw(st.integers(1, len(coded) - 1))
    if name == "members":
        ends = [
            len(gzip.compress(body[: len(body) // 2])),
            len(gzip.compress(body[: len(body) // 2]) + gzip.compress(b"")),
        ]
        kept += kept in ends  # there it is whole, only shorter
    with pytest.raises(codings.BrokenCodingError):
        decode(coded[:kept], label)


@pytest.mark.parametrize(
    ("body", "label", "says"),
    [
        pytest.param(b"plain", "gzip", "it is not gzip", id="no gzip"),
        pytest.param(gzip.compress(b"x") + b"more", "gzip", "it is not gzip", id="bytes behind gzip"),
        pytest.param(zlib.compress(b"x") + b"more", "deflate", "bytes follow", id="bytes behind deflate"),
        pytest.param(gzip.compress(b"x")[:-8] + b"12345678", "gzip", "it is not gzip", id="a wrong checksum"),
        pytest.param(b"\x78", "deflate", "ends too early", id="one byte"),
        pytest.param(gzip.compress(b"") * 20_000, "gzip", "more than 10000 members", id="empty members"),
    ],
)
def test_a_body_that_is_not_its_coding_is_an_error_that_says_so(body: bytes, label: str, says: str) -> None:
    with pytest.raises(codings.BrokenCodingError, match=says):
        decode(body, label)


def test_no_bytes_are_no_bytes_in_every_coding() -> None:
    assert decode(b"", "gzip, deflate") == b""


@pytest.mark.parametrize(
    ("label", "says"),
    [
        pytest.param("br", "'br' is not supported", id="brotli"),
        pytest.param("gzip, zstd", "'zstd' is not supported", id="zstd in a stack"),
        pytest.param("Bearer secret", "that it names", id="no name of a coding, which is not repeated"),
        pytest.param("gzip," * 5, "5 content codings", id="a high stack"),
    ],
)
def test_an_unknown_coding_is_named_with_those_that_are_taken(label: str, says: str) -> None:
    with pytest.raises(codings.UnknownCodingError, match=says) as refused:
        codings.listed([label])
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_bomb_stops_at_the_limit_in_every_stage(depth: int) -> None:
    bomb = bytes(20_000_000)
    for _ in range(depth):
        bomb = gzip.compress(bomb)
    with pytest.raises(codings.TooLongError):
        decode(bomb, ", ".join(["gzip"] * depth), limit=1_000_000)


def test_a_stage_that_gives_the_next_nothing_is_bounded_too() -> None:
    bomb = gzip.compress(gzip.compress(b"") * 200_000)
    with pytest.raises((codings.TooLongError, codings.BrokenCodingError)):
        decode(bomb, "gzip, gzip", limit=10_000)


@pytest.fixture
def large() -> bytes:
    """Returns a gzip of 64 MB; a test that made it in its coroutine would hold the event loop itself."""
    return gzip.compress(os.urandom(4_000_000).hex().encode() * 8, 1)


async def test_others_get_their_turn_while_a_large_body_is_decoded(large: bytes) -> None:
    async def sent() -> AsyncIterator[bytes]:
        yield large

    async def read() -> int:
        return sum([len(piece) async for piece in codings.decoded(sent(), ["gzip"], limit=None)])

    reading = asyncio.create_task(read())
    longest, turns, last = 0.0, 0, time.thread_time()
    while not reading.done():
        await asyncio.sleep(0)
        now = time.thread_time()
        longest, turns, last = max(longest, now - last), turns + 1, now
    assert await reading == 64_000_000
    assert turns > 5
    assert longest < 0.05  # of processor time, which other work on the machine does not change
